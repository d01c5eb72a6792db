"""Poses of sensors, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.geometry.pose import pose_matrix, transformed


def test_pose_matrix_by_hand():
    half = np.sqrt(0.5)  # a quarter turn about z takes x to y
    pose = pose_matrix(np.array([1.0, 2, 3]), np.array([0, 0, 2 * half, 2 * half]))
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [1, 3, 3, 1], atol=1e-12)
    with pytest.raises(DataError, match="quaternion"):
        pose_matrix(np.zeros(3), np.zeros(4))


def test_transformed_points_keep_their_type():
    half = np.sqrt(0.5)
    pose = pose_matrix(np.array([1.0, 2, 3]), np.array([0, 0, half, half]))
    points = transformed(np.array([[1, 0, 0], [0, 2, 5]], np.float32), pose)
    assert points.dtype == np.float32
    np.testing.assert_allclose(points, [[1, 3, 3], [-1, 2, 8]], atol=1e-6)
