"""Orientation, and which views are kept."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.scenes.camera import is_useful, looking_at, orientation, random_height, random_tan


def test_yaw_pitch_and_roll_turn_as_documented():
    np.testing.assert_allclose(orientation(0.0) @ (0, 0, -1), (0, 0, -1))
    left = orientation(math.pi / 2) @ (0, 0, -1)
    np.testing.assert_allclose(left, (-1, 0, 0), atol=1e-12)
    up = orientation(0.0, math.pi / 2) @ (0, 0, -1)
    np.testing.assert_allclose(up, (0, 1, 0), atol=1e-12)
    rotation = orientation(0.3, -0.4, 0.5)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_looking_at_puts_the_target_ahead():
    eye, target = np.array([1.0, 2, 3]), np.array([-2.0, 0.5, 7])
    view = looking_at(eye, target, roll=0.3).T @ (target - eye)
    np.testing.assert_allclose(view, (0, 0, -np.linalg.norm(target - eye)), atol=1e-9)


def test_cameras_differ_widely():
    rng = np.random.default_rng(0)
    heights = [random_height(rng, 2.6) for _ in range(500)]
    angles = [2 * math.degrees(math.atan(random_tan(rng))) for _ in range(500)]
    assert min(heights) >= 0.2 and max(heights) <= 2.1 and np.std(heights) > 0.3
    assert min(angles) < 45 and max(angles) > 85


def corner(near: float = 1.0) -> np.ndarray:
    """Two walls that meet: disparity falls towards the middle column."""
    return np.tile(1 / (1 / near - np.minimum(np.arange(64), 63 - np.arange(64)) * 0.02), (48, 1))


def test_views_worth_keeping():
    assert is_useful(corner(), 0.3)
    assert not is_useful(corner(), 2.0), "too close"
    assert not is_useful(np.full((48, 64), 2.0), 0.3), "a wall, head-on"
    floor = 1 / np.tile(np.linspace(0.2, 1, 48)[:, None], (1, 64))
    assert np.log(floor).std() > 0.15 and not is_useful(floor, 0.3), "a bare floor"
    assert not is_useful(np.zeros((48, 64)), 0.3), "nothing but sky"
    some_sky = corner()
    some_sky[:20] = 0
    assert is_useful(some_sky, 0.3)
