"""Scales that need no measurement, depth of a state, and settings that cannot be."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth_distill_ros.errors import ConfigError, ScaleError
from depth_distill_ros.geometry.reference import samples_from_depth
from depth_distill_ros.geometry.scale_tracker import ScaleSettings, ScaleTracker


def test_no_scale():
    state = ScaleTracker(ScaleSettings()).state(1.0)
    assert (state.mode, state.status, state.is_metric) == ("none", "none", False)
    assert state.age == math.inf
    with pytest.raises(ScaleError, match="no depth in metres, the scale is 'none'"):
        state.depth(np.zeros((2, 3), np.float32))


def test_a_fixed_scale():
    tracker = ScaleTracker(ScaleSettings("fixed", scale=2.0, shift=-0.5))
    state = tracker.state(1e9)
    assert (state.status, state.scale, state.shift, state.age) == ("ok", 2.0, -0.5, 0.0)
    disparity = np.array([[0.0, 0.25, 0.5, 1.0, np.nan]], np.float32)
    depth = state.depth(disparity)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, [[np.inf, np.inf, 2, 2 / 3, np.nan]], rtol=1e-6)
    np.testing.assert_allclose(
        state.inverse_depth(disparity), [[-0.5, 0, 0.5, 1.5, np.nan]], rtol=1e-6
    )
    assert disparity[0, 2] == 0.5, "the caller's disparity must not change"
    tracker.observe_reference(disparity, samples_from_depth(np.ones((1, 5))), 1.0)
    assert tracker.state(1.0).scale == 2.0


@pytest.mark.parametrize(
    "values, message",
    [
        ({"mode": "guess"}, "scale.mode must be one of none, fixed"),
        ({"mode": "fixed"}, "scale.scale must be positive"),
        ({"mode": "fixed", "scale": math.nan}, "scale.scale must be positive"),
        ({"mode": "camera_height", "near": 3.0, "far": 3.0}, "near must be below far"),
        ({"smoothing": -1.0}, "scale.smoothing and scale.timeout"),
        ({"timeout": math.nan}, "scale.smoothing and scale.timeout"),
    ],
)
def test_impossible_settings_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        ScaleSettings(**values)
