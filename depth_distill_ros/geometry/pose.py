"""Poses of sensors: 4x4 matrices that take points of one frame to another."""

from __future__ import annotations

import math

import numpy as np

from depth_distill_ros.errors import DataError


def pose_matrix(translation: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """The 4x4 matrix of a translation (3,) and a quaternion (x, y, z, w), which is normalised.

    Raises DataError for a quaternion of length 0.
    """
    length = math.sqrt(float(np.dot(quaternion, quaternion)))
    if length == 0 or not math.isfinite(length):
        raise DataError("a pose's quaternion has no length")
    x, y, z, w = np.asarray(quaternion, np.float64) / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = translation
    return pose


def transformed(points: np.ndarray, pose: np.ndarray) -> np.ndarray:
    """Points (N, 3) taken to another frame by a pose (4, 4), in the points' floating type.

    A transform for each point is worth its cost in the points' own type: float32 has room for a
    tenth of a millimetre at a kilometre.
    """
    return points @ pose[:3, :3].T.astype(points.dtype) + pose[:3, 3].astype(points.dtype)
