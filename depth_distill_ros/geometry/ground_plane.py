"""The ground in a depth map, and the scale that the camera's known height above it gives.

A plane is m · X = 1: m points from the camera towards it, and 1 / |m| is its distance. For a point
X, m · X is the ratio of its depth to the plane's along the same ray, so errors are relative errors
of depth, whatever the unit of the cloud. Shift and scale of inverse depth leave planes planes, but
a wrong shift tilts them: the height gives the scale only, and the shape must be about right.

What is taken for the ground: the plane that most of the view lies on, among those below the camera
and level within `max_tilt`, with points far below counted against it. A table top over a floor
that is in view loses, and ceilings and walls are no candidates. A table that hides its floor, a
platform seen from above and stairs are taken for the ground: measure the height above those.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from depth_distill_ros.errors import ScaleError
from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.geometry.scale import nominal_depth
from depth_distill_ros.geometry.scale_fit import ScaleFit

UP = (0.0, -1.0, 0.0)
"""Against gravity in the optical frame of a camera that looks at the horizon."""

_PLANES, _SCORED, _REFINEMENTS = 512, 1000, 6
_INLIER_ERROR, _MIN_ERROR = 0.1, 0.02  # of the distance, as of depth
_BELOW = 1.3  # times the plane's distance: lower than the unevenness of a floor
_BELOW_COST = 4.0  # points on a plane that one below it outweighs
_CLOUD = 3000  # points of a depth map that are looked at, about


@dataclass(frozen=True)
class GroundPlane:
    """n · X + distance = 0.

    Attributes:
        normal: unit vector (3,), float64, from the ground towards the camera.
        distance: of the camera from the plane, positive, in the cloud's unit.
        inliers, points: points within 10 % of the plane along their ray, and all finite ones.
        residual: median relative error of depth among the inliers.
    """

    normal: np.ndarray
    distance: float
    inliers: int
    points: int
    residual: float


def fit_ground(
    points: np.ndarray,
    up: np.ndarray | tuple[float, float, float] = UP,
    max_tilt: float = 30.0,
    min_inliers: int = 50,
    min_inlier_ratio: float = 0.1,
    seed: int = 0,
) -> GroundPlane:
    """The ground among points (N, 3) in the optical frame, by RANSAC; any unit, NaN left out.

    Its normal is within `max_tilt` degrees of `up`, a vector in the optical frame. The same input
    and seed give the same plane.

    Raises ScaleError where no plane has `min_inliers` points and a share of `min_inlier_ratio`.
    """
    points = np.asarray(points, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    count = len(points)
    needed = max(min_inliers, min_inlier_ratio * count, 3)
    up = np.asarray(up, np.float64) / np.linalg.norm(up)
    min_cosine = math.cos(math.radians(max_tilt))
    found = None
    if count >= needed:
        found = _consensus(points, up, min_cosine, np.random.default_rng(seed))
    if found is not None:
        found = _refined(points, found)
        error = np.abs(points @ found - 1)
        error = error[error < _INLIER_ERROR]
        distance = 1 / float(np.linalg.norm(found))
        normal = -distance * found
        if len(error) >= needed and normal @ up >= min_cosine:
            return GroundPlane(normal, distance, len(error), count, float(np.median(error)))
    raise ScaleError(
        f"no ground is seen: none of the planes in {count} points is below the camera, level "
        f"within {max_tilt:g} degrees, and has {math.ceil(needed)} of the points"
    )


def _consensus(
    points: np.ndarray, up: np.ndarray, min_cosine: float, rng: np.random.Generator
) -> np.ndarray | None:
    """m (3,) of the best of many planes through three points below the camera; None where none is
    level."""
    lower = points[points @ up < 0]
    if len(lower) == 0:
        return None
    corners = lower[rng.integers(0, len(lower), (_PLANES, 3))]
    determinant = np.linalg.det(corners)
    size = np.prod(np.linalg.norm(corners, axis=2), axis=1)
    corners = corners[np.abs(determinant) > 1e-6 * size]
    planes = np.linalg.solve(corners, np.ones((len(corners), 3, 1)))[..., 0]
    planes = planes[-planes @ up >= min_cosine * np.linalg.norm(planes, axis=1)]
    if len(planes) == 0:
        return None
    some = points if len(points) <= _SCORED else points[rng.choice(len(points), _SCORED, False)]
    ratio = planes.astype(np.float32) @ some.T.astype(np.float32)
    closeness = np.maximum(0, 1 - np.abs(ratio - 1) / _INLIER_ERROR).sum(axis=1)
    below = np.count_nonzero(ratio > _BELOW, axis=1)
    return planes[np.argmax(closeness - _BELOW_COST * below)]


def _refined(points: np.ndarray, plane: np.ndarray) -> np.ndarray:
    """Least squares of m · X - 1, reweighted by Tukey's biweight: what stands on the ground is
    near it at its foot, and must not tilt it. On even ground the limit comes down."""
    limit = _INLIER_ERROR
    for _ in range(_REFINEMENTS):
        error = np.abs(points @ plane - 1)
        near = error < limit
        if np.count_nonzero(near) < 3:
            break
        root_weight = 1 - (error[near] / limit) ** 2
        plane = np.linalg.lstsq(root_weight[:, None] * points[near], root_weight, rcond=None)[0]
        limit = float(np.clip(3 * np.median(error[near]), _MIN_ERROR, limit))
    return plane


def ground_scale(
    disparity: np.ndarray,
    intrinsics: Intrinsics,
    near: float,
    far: float,
    height: float,
    up: np.ndarray | tuple[float, float, float] = UP,
    max_tilt: float = 30.0,
) -> ScaleFit:
    """Scale and shift by which the ground lies `height` metres below the camera.

    Of `nominal_depth(disparity, near, far)`, with disparity (h, w) and intrinsics of the same view
    at any size: 1 / z = (disparity * (1/near - 1/far) + 1/far) / factor, where the factor is the
    height over the ground's nominal distance.

    Raises ScaleError where no ground is seen or the height is not positive.
    """
    if not height > 0:
        raise ScaleError(
            f"the camera's height above the ground must be positive, got {height:g} m: "
            "set camera_height.height, or provide it through TF"
        )
    step = max(1, round((disparity.size / _CLOUD) ** 0.5))
    sampled = intrinsics.scaled(disparity.shape[1], disparity.shape[0]).decimated(step)
    sparse = disparity[step // 2 :: step, step // 2 :: step]
    cloud = unproject(nominal_depth(sparse, near, far), sampled)
    ground = fit_ground(cloud, up, max_tilt)
    factor = height / ground.distance
    return ScaleFit(
        scale=(1 / near - 1 / far) / factor,
        shift=1 / far / factor,
        inliers=ground.inliers,
        points=ground.points,
        residual=ground.residual,
    )
