"""Rendered views, the true disparity and a model's, side by side at a camera's size.

    python -m bench.scene_pictures --scenes indoor/office:3 outdoor/street:8 --output thin.jpg
    python -m bench.scene_pictures --worst 4 --of 100 --output failures.jpg

The first shows the named scenes (kind:seed), the second those of a hundred scenes of all kinds in which the model errs
most. Predictions are fitted to 1/depth where it is known and share the colour scale of the truth, in which the sky is black.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import ConfigError, UserError, refuse
from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE, depth_errors
from depth_distill_ros.evaluation.metrics import align_to_depth, valid_depth
from depth_distill_ros.geometry.colour import colourise
from depth_distill_ros.inference.alignment import align_affine
from depth_distill_ros.inference.estimator import DepthEstimator
from training.scenes.assets import load_assets
from training.scenes.catalogue import all_kinds, mixture
from training.scenes.dataset import views
from training.scenes.files import replace_file
from training.scenes.frame import Frame
from training.scenes.renderer import Renderer

SIZE = (640, 480)
FIRST_SEED = 500


@dataclass(frozen=True)
class Shown:
    """A view with what a model makes of it: disparity (H, W), aligned, in 1/m, and its AbsRel."""

    label: str
    frame: Frame
    disparity: np.ndarray
    abs_rel: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m bench.scene_pictures``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    chosen = parser.add_mutually_exclusive_group(required=True)
    chosen.add_argument("--scenes", nargs="+", metavar="KIND:SEED", help="scenes to show")
    chosen.add_argument("--worst", type=int, metavar="N", help="show the N worst scenes")
    parser.add_argument("--of", type=int, default=100, help="of how many scenes [100]")
    parser.add_argument("--model", help="a model; the default model without it")
    parser.add_argument("--tier", choices=("procedural", "full"), default="full")
    parser.add_argument("--output", type=Path, required=True, metavar="IMAGE")
    options = parser.parse_args(arguments)
    try:
        scenes = [named(s) for s in options.scenes] if options.scenes else every_kind(options.of)
        if options.output.suffix not in (".jpg", ".png"):
            raise ConfigError(f"--output {options.output}: give a file that ends in .jpg or .png")
        shown = list(predictions(scenes, options.model, options.tier))
        if options.worst:
            shown = sorted(shown, key=lambda s: -s.abs_rel)[: options.worst]
        if not shown:
            raise ConfigError("none of these scenes has a useful view: try other seeds")
    except UserError as error:
        return refuse(error)
    picture = np.vstack([row(view) for view in shown])
    code = cv2.imencode(options.output.suffix, picture[..., ::-1])[1]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    replace_file(options.output, lambda file: file.write(code.tobytes()))
    for view in shown:
        print(f"{view.label:24} AbsRel {view.abs_rel:.3f}")
    return 0


def named(text: str) -> tuple[str, int]:
    """Kind and seed of "kind:seed"; raises ConfigError for anything else."""
    kind, _, seed = text.partition(":")
    if not seed.isdecimal():
        raise ConfigError(f"'{text}' is no scene: give kind:seed, such as indoor/office:3")
    mixture((kind,))
    return kind, int(seed)


def every_kind(count: int) -> list[tuple[str, int]]:
    """Scenes of all kinds in turn."""
    kinds = sorted(all_kinds())
    return [(kinds[i % len(kinds)], FIRST_SEED + i) for i in range(count)]


def predictions(scenes: Sequence[tuple[str, int]], model: str | None, tier: str) -> Iterator[Shown]:
    """The first useful view of each scene; scenes without one are passed over."""
    assets = load_assets(tier)
    renderer = Renderer(assets, SIZE, supersampling=2)
    estimator = DepthEstimator.from_pretrained(model)
    for kind, seed in scenes:
        for frame, _ in views(assets, renderer, kind, seed, limit=1):
            disparity = estimator(frame.rgb).disparity
            known = valid_depth(frame.depth, DEPTH_RANGE)
            truth = frame.depth[known]
            scale, shift = align_affine(disparity[known], 1 / truth)
            depth = align_to_depth(disparity[known], truth, "disparity", DEPTH_RANGE)
            error = depth_errors(depth, truth).abs_rel
            yield Shown(f"{kind}:{seed}", frame, scale * disparity + shift, error)


def row(view: Shown) -> np.ndarray:
    """Image, truth and prediction side by side, uint8 RGB (H, 3 W, 3)."""
    depth = view.frame.depth
    truth = np.where(depth > 0, 1 / np.maximum(depth, 1e-3), 0)
    low, high = np.quantile(truth, (0.01, 0.99))
    maps = [colourise(m, low, high) for m in (truth, view.disparity)]
    picture = np.ascontiguousarray(np.hstack([view.frame.rgb, *maps]))
    cv2.rectangle(picture, (0, 0), (10 * len(view.label) + 12, 22), (0, 0, 0), cv2.FILLED)
    font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
    cv2.putText(picture, view.label, (6, 16), font, 0.5, white, 1, cv2.LINE_AA)
    return picture


if __name__ == "__main__":
    sys.exit(main())
