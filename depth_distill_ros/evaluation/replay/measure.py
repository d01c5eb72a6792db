"""The numbers of one frame: relative accuracy, metric accuracy, and how far the scale is off."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from depth_distill_ros.evaluation import benchmarks
from depth_distill_ros.evaluation.benchmarks import MIN_PIXELS
from depth_distill_ros.evaluation.metrics import (
    align_affine,
    align_to_depth,
    depth_errors,
    valid_depth,
)
from depth_distill_ros.evaluation.replay.journal import Record
from depth_distill_ros.evaluation.temporal import ClipFit, aligned_depth
from depth_distill_ros.ros.settings import Settings

ERRORS = ("abs_rel", "delta1", "rmse")
"""What is reported of the errors."""

DepthRange = tuple[float, float]


def depth_range(settings: Settings) -> DepthRange:
    """Metres within which depth is compared: those of `d3epth evaluate`, or the node's, if less."""
    low, high = benchmarks.DEPTH_RANGE
    return max(low, settings.depth_min_range), min(high, settings.depth_max_range)


def score(
    disparity: np.ndarray, metric: np.ndarray | None, truth: np.ndarray, limits: DepthRange
) -> Record:
    """Errors by name; empty where fewer than MIN_PIXELS pixels can be compared.

    disparity: float32 (H, W), relative, NaN where invalid; metric: metres, of the same size, NaN
    where invalid, inf beyond range, None where there is no scale; truth: metres, 0 where unknown.
    What lies outside the limits is not compared, and predictions are clipped to them.

    `aligned.*` are errors after an affine fit of the disparity for this image, `metric.*` those of
    the depth as it is; both over the same pixels, all that are measured and predicted.
    `scale_error` is the median of predicted over true depth, 1 where the scale is right;
    `coverage` the share of measured pixels that are predicted.
    """
    measured = valid_depth(truth, limits)
    mask = measured & np.isfinite(disparity)
    if metric is not None:
        mask &= ~np.isnan(metric)
    pixels = int(np.count_nonzero(mask))
    if pixels < MIN_PIXELS:
        return {}
    expected, found = truth[mask].astype(np.float64), disparity[mask]
    scale, shift = align_affine(found, 1 / expected)
    record: Record = {
        "pixels": pixels,
        "coverage": pixels / int(np.count_nonzero(measured)),
        "fit.scale": scale,
        "fit.shift": shift,
        "clip": ClipFit.of(found, expected).sums.tolist(),
        "near": float(np.quantile(expected, 0.01)),
        "far": float(np.quantile(expected, 0.99)),
    }
    aligned = align_to_depth(found, expected, "disparity", limits)
    record |= _named("aligned", aligned, expected)
    if metric is not None:
        metres = np.clip(metric[mask].astype(np.float64), *limits)
        record |= _named("metric", metres, expected)
        record["scale_error"] = float(np.median(metres / expected))
    return record


def _named(kind: str, depth: np.ndarray, truth: np.ndarray) -> Record:
    errors = asdict(depth_errors(depth, truth))
    return {f"{kind}.{name}": errors[name] for name in ERRORS}


def shown_depth(
    disparity: np.ndarray | None, metric: np.ndarray | None, record: Record, limits: DepthRange
) -> np.ndarray | None:
    """The depth that the errors are about, float32 (H, W): metric, or else aligned; None without."""
    if metric is not None:
        return metric
    if disparity is None or "fit.scale" not in record:
        return None
    return aligned_depth(disparity, record["fit.scale"], record["fit.shift"], limits)


def relative_error(depth: np.ndarray, truth: np.ndarray, limits: DepthRange) -> np.ndarray:
    """|depth - truth| / truth, float32 (H, W); NaN where either is unknown."""
    known = valid_depth(truth, limits) & ~np.isnan(depth)
    error = np.full(truth.shape, np.nan, np.float32)
    found = np.clip(depth[known], *limits)
    error[known] = np.abs(found - truth[known]) / truth[known]
    return error
