"""Accuracy of depth maps, and the affine alignment that relative depth needs first.

The protocol is that of Ranftl et al. (MiDaS, TPAMI 2022) and Ke et al. (Marigold, CVPR 2024): one
scale and one shift per image, by least squares over the valid pixels, in the space that the model
predicts; then the usual errors of depth in metres. Pure NumPy, float64 inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal, TypeVar

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.inference.alignment import align_affine

MIN_DISPARITY = 1e-3
"""Aligned disparity is clipped here, at 1000 m, before it is inverted."""

MIN_DEPTH = 1e-6
"""Aligned depth is clipped here, so that ratios and logarithms exist."""

Space = Literal["disparity", "depth"]
Errors = TypeVar("Errors")


@dataclass(frozen=True)
class DepthErrors:
    """Errors of one image, or means of them. Lower is better but for the deltas.

    abs_rel, log10 and the deltas have no unit; rmse is in metres. delta1, delta2 and delta3 are
    shares of pixels, in [0, 1], whose ratio to the truth is below 1.25, 1.25² and 1.25³.
    """

    abs_rel: float
    rmse: float
    log10: float
    delta1: float
    delta2: float
    delta3: float


def valid_depth(depth: np.ndarray, depth_range: tuple[float, float]) -> np.ndarray:
    """Mask, bool, of the pixels with a measured depth strictly inside the range, in metres."""
    low, high = depth_range
    return np.isfinite(depth) & (depth > low) & (depth < high)


def align_to_depth(
    prediction: np.ndarray,
    depth: np.ndarray,
    space: Space = "disparity",
    depth_range: tuple[float, float] = (0.1, 80.0),
) -> np.ndarray:
    """Depth in metres, float64, of a relative prediction fitted to measured depth.

    prediction: relative disparity or relative depth, as `space` says; depth: metres, positive.
    Both hold valid pixels only (apply the mask first) and have one shape, which the result has.
    Disparity is fitted to 1/depth, clipped at MIN_DISPARITY and inverted. The result is clipped
    to the range.
    """
    target = 1.0 / np.asarray(depth, np.float64) if space == "disparity" else depth
    scale, shift = align_affine(prediction, target)
    aligned = scale * np.asarray(prediction, np.float64) + shift
    if space == "disparity":
        aligned = 1.0 / np.maximum(aligned, MIN_DISPARITY)
    return np.clip(aligned, max(depth_range[0], MIN_DEPTH), depth_range[1])


def abs_rel(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean of |prediction - target| / target; both metres, valid pixels only."""
    return float(np.mean(np.abs(prediction - target) / target))


def rmse(prediction: np.ndarray, target: np.ndarray) -> float:
    """Root of the mean squared difference, in metres; valid pixels only."""
    return float(np.sqrt(np.mean(np.square(prediction - target))))


def log10_error(prediction: np.ndarray, target: np.ndarray) -> float:
    """Mean of |log10 prediction - log10 target|; both metres and positive."""
    return float(np.mean(np.abs(np.log10(prediction) - np.log10(target))))


def delta(prediction: np.ndarray, target: np.ndarray, power: int = 1) -> float:
    """Share of pixels with max(prediction / target, target / prediction) < 1.25 ** power."""
    ratio = np.maximum(prediction / target, target / prediction)
    return float(np.mean(ratio < 1.25**power))


def depth_errors(prediction: np.ndarray, target: np.ndarray) -> DepthErrors:
    """All errors of depth in metres; both arrays hold positive values at valid pixels only."""
    prediction, target = np.asarray(prediction, np.float64), np.asarray(target, np.float64)
    return DepthErrors(
        abs_rel=abs_rel(prediction, target),
        rmse=rmse(prediction, target),
        log10=log10_error(prediction, target),
        delta1=delta(prediction, target, 1),
        delta2=delta(prediction, target, 2),
        delta3=delta(prediction, target, 3),
    )


def mean_errors(errors: Sequence[Errors], weights: Sequence[float] | None = None) -> Errors:
    """The mean of each error, weighted if asked for. Raises DataError for an empty list.

    errors: of one dataclass whose fields are numbers, DepthErrors for instance.
    """
    if not errors:
        raise DataError("there are no errors to average: no image had valid depth")
    kind = type(errors[0])
    return kind(
        **{
            field.name: float(
                np.average([getattr(error, field.name) for error in errors], weights=weights)
            )
            for field in fields(kind)
        }
    )
