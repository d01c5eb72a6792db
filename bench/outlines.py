"""How well models keep outlines: boundary F1 (Depth Pro) on rendered images, which have depth everywhere.

    python -m bench.outlines d3epth-lite d3epth-tiny prior:d3epth-tiny --shards runs/lite/unseen

`prior:` and a model is that model's data-driven prior alone, `hf:` a pipeline of Hugging Face. A prediction is fitted to 1/depth of each
image, as in `d3epth evaluate`; sky does not count.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import UserError, refuse
from depth_distill_ros.evaluation.benchmarks import (
    DEPTH_RANGE,
    MIN_PIXELS,
    shards_benchmark,
)
from depth_distill_ros.evaluation.boundary import boundary_f1
from depth_distill_ros.evaluation.metrics import align_to_depth, valid_depth
from depth_distill_ros.evaluation.tables import columns
from training.label_priors import open_prior


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
    predictors = [open_prior(model) for model in models]
    found: dict[str, list[list[float]]] = {}
    for sample in shards_benchmark(shards).samples:
        maps = [predict(sample.rgb, sample.group) for predict in predictors]
        scores = [outline_f1(disparity, sample.depth) for disparity in maps]
        if None not in scores:
            found.setdefault(sample.group, []).append(scores)
    kinds = {kind: np.mean(scores, axis=0) for kind, scores in found.items()}
    kinds["mean"] = np.mean(list(kinds.values()), axis=0)
    rows = [[kind, *(f"{100 * score:.2f}" for score in scores)] for kind, scores in kinds.items()]
    return [["boundary F1, %", *models], *rows]


def outline_f1(disparity: np.ndarray, depth: np.ndarray) -> float | None:
    """Boundary F1 of a prediction of any size, aligned; None where too little is measured."""
    disparity = cv2.resize(disparity, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    valid = valid_depth(depth, DEPTH_RANGE) & np.isfinite(disparity)
    if np.count_nonzero(valid) < MIN_PIXELS:
        return None
    aligned = np.ones(depth.shape)
    aligned[valid] = align_to_depth(disparity[valid], depth[valid], "disparity", DEPTH_RANGE)
    return boundary_f1(aligned, depth, valid)


if __name__ == "__main__":
    sys.exit(main())
