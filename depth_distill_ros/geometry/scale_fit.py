"""Scale and shift of disparity by measured depth of one image, whatever else the measurements hold.

1 / z = scale * disparity + shift. Fits are judged by the relative error of depth against the
larger of both, |z - z'| / max(z, z'): symmetric, never above 1, and the same number in depth and
in inverse depth. RANSAC (Fischler and Bolles, 1981) finds a line that most measurements are near;
iteratively reweighted least squares then minimises the mean error of those that are, which is
close to the usual AbsRel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_distill_ros.errors import ScaleError

INLIER_ERROR = 0.3
"""Measurements off by more are outliers. Generous: a small model errs by 20 % and more itself."""

_LINES, _SCORED = 256, 500  # lines drawn, and measurements that each is scored on
_FITTED, _REFINEMENTS = 5000, 8  # measurements that are fitted at most, rounds of the refinement
_SMALL_ERROR = 0.02  # below it errors count by their square, for a smooth minimum
_MIN_SPREAD = 1e-5  # standard deviation of disparity; float32 resolves 6e-8 near 1
_SIGNIFICANCE = 5.0  # standard errors of the slope above 0; the best of many lines has some by luck


@dataclass(frozen=True)
class ScaleFit:
    """A line 1 / z = scale * disparity + shift, and how well it is known.

    Attributes:
        scale, shift: in 1/m per unit of disparity and 1/m; the scale is positive.
        inliers, points: measurements near the line, and all that were usable.
        residual: median relative error of depth among the inliers.
        centre, spread: weighted mean and standard deviation of the inliers' disparity. The line
            is known best at the centre; the wider the spread, the better its slope.
    """

    scale: float
    shift: float
    inliers: int
    points: int
    residual: float
    centre: float = 0.5
    spread: float = 0.3


def relative_error(inverse: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """|z - z'| / max(z, z') of two inverse depths in 1/m, the measured one positive.

    Above 1 where `inverse` is negative.
    """
    return np.abs(inverse - measured) / np.maximum(inverse, measured)


def fit_scale(
    disparity: np.ndarray,
    depth: np.ndarray,
    min_inliers: int = 10,
    min_inlier_ratio: float = 0.25,
    seed: int = 0,
) -> ScaleFit:
    """Fits scale and shift to disparity (N,) and measured depth (N,) in metres, in any order.

    Pairs with a value that is not finite, or without positive depth, are left out. The same
    input and seed give the same fit. Takes about 1 ms for 2,000 measurements.

    Raises ScaleError, saying which, where there are fewer than `min_inliers` measurements or
    inliers, a smaller share of inliers than `min_inlier_ratio`, or where depth does not clearly
    fall as disparity rises: one disparity alone, or measurements that have nothing to do with it.
    """
    disparity, inverse = _usable(disparity, depth)
    if len(disparity) < max(min_inliers, 2):
        raise ScaleError(
            f"only {len(disparity)} measurements have both depth and disparity, "
            f"{max(min_inliers, 2)} are needed: is what the sensor measures in the camera's view?"
        )
    rng = np.random.default_rng(seed)
    some = _some(len(disparity), _FITTED, rng)
    scale, shift = _consensus(disparity[some], inverse[some], rng)
    scale, shift, centre, spread = _refined(disparity[some], inverse[some], scale, shift)
    error = relative_error(scale * disparity + shift, inverse)
    error = error[error < INLIER_ERROR]
    inliers, points = len(error), len(disparity)
    if inliers < max(min_inliers, min_inlier_ratio * points):
        raise ScaleError(
            f"{inliers} of {points} measurements agree on a scale, {min_inliers} and "
            f"{min_inlier_ratio:.0%} are needed: check the reference's transform, time and units"
        )
    residual = float(np.median(error))
    # Relative change of inverse depth over one spread, against its standard error; 1.4826 times
    # the median is the standard deviation of a normal distribution.
    slope = scale * spread / (scale * centre + shift)
    if not slope > _SIGNIFICANCE * 1.4826 * residual / inliers**0.5:
        raise ScaleError(
            "measured depth does not fall as disparity rises: the reference covers too little "
            "of the scene's depth, or does not belong to this image"
        )
    return ScaleFit(scale, shift, inliers, points, residual, centre, spread)


def _usable(disparity: np.ndarray, depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Disparity and inverse depth, float64, of the pairs that have both."""
    disparity = np.asarray(disparity, np.float64).ravel()
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        inverse = 1 / np.asarray(depth, np.float64).ravel()
        usable = np.isfinite(disparity) & np.isfinite(inverse) & (inverse > 0)
    return disparity[usable], inverse[usable]


def _some(count: int, limit: int, rng: np.random.Generator) -> np.ndarray | slice:
    """Index of all, or of `limit` drawn at random."""
    return slice(None) if count <= limit else rng.choice(count, limit, replace=False)


def _consensus(
    disparity: np.ndarray, inverse: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """The best of many lines through two measurements, by the mean error cut off at the limit.

    One measurement is of the farther half, the other of the nearer: the slope of a line through
    two of almost equal disparity is noise.
    """
    order = np.argsort(disparity, kind="stable")
    half = len(order) // 2
    far = order[rng.integers(0, half, _LINES)]
    near = order[rng.integers(half, len(order), _LINES)]
    run, rise = disparity[near] - disparity[far], inverse[near] - inverse[far]
    if disparity.std() < _MIN_SPREAD:
        raise ScaleError(
            "all measurements have the same disparity, which does not tell scale from shift: "
            "point the camera at something with depth"
        )
    rising = (run > 0) & (rise > 0)
    if not rising.any():
        raise ScaleError(
            "measured depth rises with disparity: the reference does not belong to this image"
        )
    far, scale = far[rising], rise[rising] / run[rising]
    shift = inverse[far] - scale * disparity[far]
    some = _some(len(disparity), _SCORED, rng)
    x, y, a, b = (v.astype(np.float32) for v in (disparity[some], inverse[some], scale, shift))
    score = np.minimum(relative_error(a[:, None] * x + b[:, None], y), INLIER_ERROR).mean(axis=1)
    best = int(np.argmin(score))
    return float(scale[best]), float(shift[best])


def _refined(
    disparity: np.ndarray, inverse: np.ndarray, scale: float, shift: float
) -> tuple[float, float, float, float]:
    """Scale, shift, and the weighted mean and deviation of the inliers' disparity.

    The weights make the weighted squares' gradient that of the error's mean over the inliers.
    """
    centre, spread = 0.0, 0.0
    for _ in range(_REFINEMENTS):
        line = scale * disparity + shift
        error = relative_error(line, inverse)
        weight = np.minimum(1, inverse / np.maximum(line, inverse))
        weight /= np.maximum(line, inverse) ** 2 * np.maximum(error, _SMALL_ERROR)
        weight *= error < INLIER_ERROR
        total = weight.sum()
        if total == 0:
            break
        weight /= total
        centre, level = float(weight @ disparity), float(weight @ inverse)
        offset = disparity - centre
        variance = float(weight @ offset**2)
        spread = variance**0.5
        if spread < _MIN_SPREAD:
            break
        scale = float(weight @ (offset * (inverse - level))) / variance
        shift = level - scale * centre
    return scale, shift, centre, spread
