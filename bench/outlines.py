"""How well models keep outlines: boundary F1 (Depth Pro) on rendered images, which have depth everywhere.

    python -m bench.outlines d3epth-lite d3epth-tiny prior:d3epth-tiny --shards runs/lite/unseen

`prior:` and a model is that model's data-driven prior alone. A prediction is fitted to 1/depth of each
image, as in `d3epth evaluate`; sky does not count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from depth_distill_ros.errors import UserError, refuse
from depth_distill_ros.evaluation.benchmarks import (
    DEPTH_RANGE,
    MIN_PIXELS,
    shards_benchmark,
    with_invalid,
)
from depth_distill_ros.evaluation.boundary import boundary_f1
from depth_distill_ros.evaluation.metrics import align_to_depth, valid_depth
from depth_distill_ros.evaluation.tables import columns
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.resizing import resize_image, working_size
from training.latents import load_prior

PRIOR = "prior:"
RESOLUTION, MULTIPLE = (224, 288), 32
Predictor = Callable[[np.ndarray], np.ndarray]


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m bench.outlines``."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="+", help="names or folders; prior:MODEL is its prior")
    parser.add_argument("--shards", type=Path, required=True, help="rendered images")
    options = parser.parse_args(arguments)
    try:
        print(columns(table(options.models, options.shards)))
    except UserError as error:
        return refuse(error)
    return 0


def table(models: Sequence[str], shards: Path) -> list[list[str]]:
    """Boundary F1 in percent, a row a kind of scene, a column a model."""
    predictors = {model: open_predictor(model) for model in models}
    found: dict[str, list[list[float]]] = {}
    for sample in shards_benchmark(shards).samples:
        maps = [predict(sample.rgb) for predict in predictors.values()]
        scores = [outline_f1(disparity, sample.depth) for disparity in maps]
        if None not in scores:
            found.setdefault(sample.group, []).append(scores)
    kinds = {kind: np.mean(scores, axis=0) for kind, scores in found.items()}
    kinds["mean"] = np.mean(list(kinds.values()), axis=0)
    rows = [[kind, *(f"{100 * score:.2f}" for score in scores)] for kind, scores in kinds.items()]
    return [["boundary F1, %", *models], *rows]


def open_predictor(model: str) -> Predictor:
    """What maps uint8 RGB (H, W, 3) to disparity (H, W)."""
    if not model.startswith(PRIOR):
        estimator = DepthEstimator.from_pretrained(model, engine="torch")
        return lambda rgb: with_invalid(estimator(rgb))
    prior = load_prior(model.removeprefix(PRIOR)).float()

    def predict(rgb: np.ndarray) -> np.ndarray:
        pixels = resize_image(rgb, working_size(*rgb.shape[:2], RESOLUTION, MULTIPLE))
        images = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.inference_mode():
            disparity = prior.disparity_map(images)[0, 0].float().numpy()
        return cv2.resize(disparity, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)

    return predict


def outline_f1(disparity: np.ndarray, depth: np.ndarray) -> float | None:
    """Boundary F1 of an aligned prediction; None where too little is measured."""
    valid = valid_depth(depth, DEPTH_RANGE) & np.isfinite(disparity)
    if np.count_nonzero(valid) < MIN_PIXELS:
        return None
    aligned = np.ones(depth.shape)
    aligned[valid] = align_to_depth(disparity[valid], depth[valid], "disparity", DEPTH_RANGE)
    return boundary_f1(aligned, depth, valid)


if __name__ == "__main__":
    sys.exit(main())
