"""Measured depth at some pixels of a view: what the scale of the model's disparity is fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_distill_ros.geometry.camera import Intrinsics, project


@dataclass(frozen=True)
class ReferenceSamples:
    """Depth in metres at pixels of one view.

    Attributes:
        u, v: float32 (N,), pixel coordinates inside the image; the centre of the top left pixel
            is (0, 0).
        depth: float32 (N,), planar z in metres, finite and positive.
        width, height: of the image that the coordinates belong to.
    """

    u: np.ndarray
    v: np.ndarray
    depth: np.ndarray
    width: int
    height: int


def samples_from_points(points: np.ndarray, intrinsics: Intrinsics) -> ReferenceSamples:
    """The points, float (N, 3) metres in the optical frame, that the camera has in its view.

    Points that are not finite, behind the camera or outside the image are left out. A sensor
    beside the camera also measures what the camera does not see; those points are outliers, and
    the fit has to stand them.
    """
    u, v, z = project(np.asarray(points, np.float64).reshape(-1, 3), intrinsics)
    inside = (u >= -0.5) & (u < intrinsics.width - 0.5)
    inside &= (v >= -0.5) & (v < intrinsics.height - 0.5) & (z < np.inf)
    u, v, z = (values[inside].astype(np.float32) for values in (u, v, z))
    return ReferenceSamples(u, v, z, intrinsics.width, intrinsics.height)


def samples_from_depth(depth: np.ndarray, limit: int = 5000, seed: int = 0) -> ReferenceSamples:
    """At most `limit` measured pixels, drawn at random, of a depth image (H, W) in metres.

    0, negative, NaN and infinite are not measured. The same seed draws the same pixels of the
    same image.
    """
    measured = np.flatnonzero((depth > 0) & (depth < np.inf))
    if len(measured) > limit:
        measured = np.random.default_rng(seed).choice(measured, limit, replace=False)
    height, width = depth.shape
    v, u = (index.astype(np.float32) for index in np.divmod(measured, width))
    return ReferenceSamples(u, v, depth.ravel()[measured].astype(np.float32), width, height)


def disparity_at(samples: ReferenceSamples, disparity: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Disparity and depth, each (M,), at the samples where the disparity is finite.

    `disparity` (h, w) shows the samples' view at any size; the nearest pixel counts.
    """
    height, width = disparity.shape
    column = np.rint((samples.u + 0.5) * (width / samples.width) - 0.5).astype(np.intp)
    row = np.rint((samples.v + 0.5) * (height / samples.height) - 0.5).astype(np.intp)
    values = disparity[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    finite = np.isfinite(values)
    return values[finite], samples.depth[finite]
