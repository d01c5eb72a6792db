"""Temporal alignment error (TAE): how far depth of adjacent frames disagrees about one scene.

Depth of one frame is moved to the next by the camera's motion, rounded to its pixels, and compared
with what is there; then the other way round. As Yang et al. (Depth Any Video, 2024) define it:

    TAE = 1 / (2 (N - 1)) * sum over k of AbsRel(f(d_k), d_k+1) + AbsRel(f(d_k+1), d_k)

with AbsRel relative to the depth of the frame moved to. Two readings of it are published:

`depth_any_video` (its own code): only pixels with measured depth are moved, and only moved to such.
`video_depth_anything` (Chen et al., 2025): every predicted pixel is.

Relative depth is aligned first: by one fit for the whole clip (`ClipFit`), since a fit for each
frame would take the flicker out of what is measured. Where the published code gives 100 times the
error, this is the error itself; where it counts a pair without common pixels as error 0, the pair
is left out here; where several pixels land on one, the nearest surface counts, not the last.

What a depth camera itself scores (`tae` of the measured depth) is the floor of what can be told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.metrics import MIN_DISPARITY
from depth_distill_ros.geometry.camera import Intrinsics, reproject

Variant = Literal["depth_any_video", "video_depth_anything"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)


@dataclass(frozen=True)
class View:
    """Depth of one frame and where it was seen from.

    Attributes:
        depth: (H, W) metres; 0, NaN or inf where there is none.
        measured: bool (H, W), where the true depth is known.
        pose: 4x4, optical frame to world.
    """

    depth: np.ndarray
    measured: np.ndarray
    intrinsics: Intrinsics
    pose: np.ndarray


def tae(first: View, second: View, variant: Variant) -> float | None:
    """The error between two views, a share of the depth, the mean of both directions.

    None where the views have no pixel in common in one of the directions.
    """
    there, back = _one_way(first, second, variant), _one_way(second, first, variant)
    return None if there is None or back is None else (there + back) / 2


def _one_way(source: View, target: View, variant: Variant) -> float | None:
    depth, compared = source.depth, np.isfinite(target.depth) & (target.depth > 0)
    if variant == "depth_any_video":
        depth = np.where(source.measured, depth, np.float32(0))
        compared &= target.measured
    moved = splat(depth, source, target)
    compared &= moved > 0
    if not compared.any():
        return None
    expected = target.depth[compared].astype(np.float64)
    return float(np.mean(np.abs(moved[compared] - expected) / expected))


def splat(depth: np.ndarray, source: View, target: View) -> np.ndarray:
    """Depth (H, W) of the source view as the target view sees it, float32; 0 where it sees none."""
    u, v, z = reproject(depth, source.intrinsics, source.pose, target.pose, target.intrinsics)
    height, width = target.depth.shape
    with np.errstate(invalid="ignore"):
        inside = (u > -0.5) & (u < width - 0.5) & (v > -0.5) & (v < height - 0.5)
    pixels = np.rint(v[inside]).astype(np.int64) * width + np.rint(u[inside]).astype(np.int64)
    nearest = np.full(height * width, np.inf, np.float32)
    np.minimum.at(nearest, pixels, z[inside])
    nearest[np.isinf(nearest)] = 0
    return nearest.reshape(height, width)


@dataclass
class ClipFit:
    """Least squares of disparity to 1 / depth over all frames of a clip, one frame at a time.

    Attributes:
        sums: n and the sums of x, y, x² and x·y, with x the disparity and y = 1 / depth.
    """

    sums: np.ndarray

    @classmethod
    def of(cls, disparity: np.ndarray, depth: np.ndarray) -> ClipFit:
        """The sums of one frame; disparity and depth (N,) hold valid pixels only."""
        x, y = np.asarray(disparity, np.float64), 1 / np.asarray(depth, np.float64)
        return cls(np.array([x.size, x.sum(), y.sum(), x @ x, x @ y]))

    def __add__(self, other: ClipFit) -> ClipFit:
        return ClipFit(self.sums + other.sums)

    def solve(self) -> tuple[float, float]:
        """Scale and shift. Raises DataError without pixels, or where they say nothing."""
        n, x, y, xx, xy = self.sums
        spread = n * xx - x * x
        if n == 0 or spread <= 1e-12 * n * xx:
            raise DataError("the clip cannot be aligned: its disparity is constant, or never valid")
        scale = (n * xy - x * y) / spread
        return float(scale), float((y - scale * x) / n)


def aligned_depth(
    disparity: np.ndarray, scale: float, shift: float, depth_range: tuple[float, float]
) -> np.ndarray:
    """Metres, float32, of relative disparity; NaN stays NaN, the rest is clipped to the range."""
    inverse = np.maximum(scale * disparity.astype(np.float64) + shift, MIN_DISPARITY)
    return np.clip(1 / inverse, *depth_range).astype(np.float32)
