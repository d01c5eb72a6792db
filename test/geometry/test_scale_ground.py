"""The scale by the camera's height over time: metres of a floor, attitude, smoothing, hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from depth_distill_ros.geometry.camera import Intrinsics, ray_grid
from depth_distill_ros.geometry.scale_tracker import ScaleSettings, ScaleTracker

CAMERA = Intrinsics(fx=80.0, fy=80.0, cx=79.5, cy=59.5, width=160, height=120)
GROUND = ScaleSettings("camera_height", near=0.5, far=50.0, height=1.2)


def floor_disparity(nominal_height: float = 0.7) -> np.ndarray:
    """A level floor in the cloud between `near` and `far`; NaN above the horizon."""
    y_over_z = np.broadcast_to(ray_grid(CAMERA)[1], (120, 160))
    inverse = np.where(y_over_z > 0, y_over_z / nominal_height, np.nan)
    disparity = (inverse - 1 / GROUND.far) / (1 / GROUND.near - 1 / GROUND.far)
    return np.where(disparity >= 0, disparity, np.nan).astype(np.float32)


def test_the_ground_gives_metres():
    tracker = ScaleTracker(GROUND)
    tracker.observe_ground(floor_disparity(), CAMERA, 3.0)
    state = tracker.state(3.0)
    assert (state.mode, state.status) == ("camera_height", "ok")
    # the last row looks 59.5 / 80 down: 1.2 m below is 1.613 m ahead
    assert state.depth(floor_disparity())[-1, 80] == pytest.approx(1.2 / (59.5 / 80), rel=0.01)
    assert state.scale / state.shift == pytest.approx((1 / 0.5 - 1 / 50) * 50)


def test_height_and_attitude_come_with_the_observation():
    tracker = ScaleTracker(replace(GROUND, height=0.0, max_tilt=5.0))
    tracker.observe_ground(floor_disparity(), CAMERA, 0.0)
    assert "set camera_height.height" in tracker.state(0.0).reason
    tracker.observe_ground(floor_disparity(), CAMERA, 0.0, up=(0.0, -0.8, -0.6), height=2.0)
    assert "no ground is seen" in tracker.state(0.0).reason
    tracker.observe_ground(floor_disparity(), CAMERA, 0.1, up=(0.0, -1.0, 0.0), height=2.0)
    depth = tracker.state(0.1).depth(floor_disparity())
    assert depth[-1, 80] == pytest.approx(2.0 / (59.5 / 80), rel=0.01)


def test_the_ground_is_smoothed_and_held_as_a_reference_is():
    tracker = ScaleTracker(GROUND)
    for index in range(10):
        tracker.observe_ground(floor_disparity(), CAMERA, 0.1 * index)
    before = tracker.state(0.9)
    tracker.observe_ground(floor_disparity(0.77), CAMERA, 1.0)
    # the nominal floor 10 % lower: depth 10 % less at once, by 1 - exp(-0.1) of it with the filter
    at = np.full((1, 1), 0.5, np.float32)
    ratio = tracker.state(1.0).depth(at) / before.depth(at)
    assert ratio[0, 0] == pytest.approx(1 / (1 + 0.1 * (1 - np.exp(-0.1))), rel=2e-3)
    sky = np.full((120, 160), np.nan, np.float32)
    tracker.observe_ground(sky, CAMERA, 1.1)
    state = tracker.state(1.1)
    assert state.status == "held" and "no ground is seen" in state.reason
    # another shape of the cloud is another scale
    tracker.settings = replace(GROUND, far=20.0)
    assert tracker.state(1.1).status == "none"
