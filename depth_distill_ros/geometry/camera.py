"""Pinhole camera: intrinsics, unprojection, projection and reprojection between views.

Convention, that of ROS and OpenCV: the optical frame has z forward, x right and y down; the centre
of the top left pixel is at (u, v) = (0, 0), so an image spans [-0.5, width - 0.5] horizontally.
Depth is planar: the z coordinate, not the length of the ray. Lens distortion is not modelled;
images are expected rectified.

    u = fx * x / z + cx,    v = fy * y / z + cy
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from depth_distill_ros.errors import DataError


@dataclass(frozen=True)
class Intrinsics:
    """Focal lengths and principal point in pixels, and the image size they belong to.

    Raises DataError for values no camera has: non-finite, or without positive focal length or size.
    """

    fx: float
    fy: float
    cx: float
    cy: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.fx, self.fy, self.cx, self.cy)):
            raise DataError(f"camera intrinsics must be finite numbers, got {self}")
        if self.fx <= 0 or self.fy <= 0:
            raise DataError(
                f"focal lengths must be positive, got fx={self.fx}, fy={self.fy}; "
                "is the camera calibrated?"
            )
        if self.width <= 0 or self.height <= 0:
            raise DataError(f"the image size must be positive, got {self.width}x{self.height}")

    def scaled(self, width: int, height: int) -> Intrinsics:
        """The intrinsics of the same view resized to `width` x `height` pixels.

        Pixel centres are integers, so the principal point scales about the image's corner at
        (-0.5, -0.5): c' = (c + 0.5) * ratio - 0.5.
        """
        ratio_x, ratio_y = width / self.width, height / self.height
        return Intrinsics(
            fx=self.fx * ratio_x,
            fy=self.fy * ratio_y,
            cx=(self.cx + 0.5) * ratio_x - 0.5,
            cy=(self.cy + 0.5) * ratio_y - 0.5,
            width=width,
            height=height,
        )

    def decimated(self, step: int) -> Intrinsics:
        """The intrinsics of every `step`-th row and column of this view, as `[start::step]` takes.

        They start at step // 2, so that the samples lie centred: `Intrinsics` of
        `image[step // 2 :: step, step // 2 :: step]`.
        """
        start = step // 2
        return Intrinsics(
            fx=self.fx / step,
            fy=self.fy / step,
            cx=(self.cx - start) / step,
            cy=(self.cy - start) / step,
            width=len(range(start, self.width, step)),
            height=len(range(start, self.height, step)),
        )

    def matrix(self) -> np.ndarray:
        """The 3x3 camera matrix K, float64."""
        return np.array(
            [[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]], dtype=np.float64
        )


@lru_cache(maxsize=16)
def ray_grid(intrinsics: Intrinsics) -> tuple[np.ndarray, np.ndarray]:
    """x/z of every column, shape (1, W), and y/z of every row, shape (H, 1), float32.

    Cached and read-only: a camera's rays are the same for every frame.
    """
    x_over_z = (np.arange(intrinsics.width, dtype=np.float64) - intrinsics.cx) / intrinsics.fx
    y_over_z = (np.arange(intrinsics.height, dtype=np.float64) - intrinsics.cy) / intrinsics.fy
    rays = x_over_z.astype(np.float32)[None, :], y_over_z.astype(np.float32)[:, None]
    for ray in rays:
        ray.setflags(write=False)
    return rays


def unproject(
    depth: np.ndarray, intrinsics: Intrinsics, out: np.ndarray | None = None
) -> np.ndarray:
    """Points in the optical frame, float32 (H, W, 3) in metres, from planar depth (H, W) in metres.

    A depth that is not finite or not positive gives a point of three NaNs. `out` may be any
    float32 array of shape (H, W, 3), also a strided one, and is then filled and returned.

    Raises DataError where the depth's size is not that of the intrinsics.
    """
    if depth.shape != (intrinsics.height, intrinsics.width):
        raise DataError(
            f"depth of shape {depth.shape} does not fit intrinsics of a "
            f"{intrinsics.width}x{intrinsics.height} image; scale the intrinsics first"
        )
    points = np.empty((*depth.shape, 3), np.float32) if out is None else out
    x_over_z, y_over_z = ray_grid(intrinsics)
    z = depth.astype(np.float32)
    z[~((z > 0) & (z < np.inf))] = np.nan
    np.multiply(z, x_over_z, out=points[..., 0])
    np.multiply(z, y_over_z, out=points[..., 1])
    points[..., 2] = z
    return points


def project(
    points: np.ndarray, intrinsics: Intrinsics
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixel coordinates u, v and depth z of points (..., 3) in the optical frame.

    Each has the points' leading shape and floating type. Points that are NaN or not in front of
    the camera (z <= 0) get NaN in all three; points outside the image keep their coordinates.
    """
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    z = np.where(z > 0, z, np.nan).astype(points.dtype, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        u = x / z * points.dtype.type(intrinsics.fx) + points.dtype.type(intrinsics.cx)
        v = y / z * points.dtype.type(intrinsics.fy) + points.dtype.type(intrinsics.cy)
    return u, v, z


def reproject(
    depth: np.ndarray,
    intrinsics: Intrinsics,
    pose_from: np.ndarray,
    pose_to: np.ndarray,
    intrinsics_to: Intrinsics | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the pixels of one view are seen in another.

    `depth` (H, W) metres belongs to the view at `pose_from`; both poses are 4x4 matrices that
    take optical-frame points to the world. Returns u, v and z in the view at `pose_to`, each
    float32 (H, W), NaN where the depth is invalid or the point lies behind the other camera.
    """
    # Composed in float64: the difference of two large world positions must not lose the baseline.
    motion = np.linalg.inv(np.asarray(pose_to, np.float64)) @ np.asarray(pose_from, np.float64)
    rotation, translation = motion[:3, :3].astype(np.float32), motion[:3, 3].astype(np.float32)
    points = unproject(depth, intrinsics) @ rotation.T + translation
    return project(points, intrinsics_to or intrinsics)
