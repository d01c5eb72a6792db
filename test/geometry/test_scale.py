"""Disparity to depth: values by hand, the range's ends, invalid pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.geometry.scale import metric_depth, nominal_depth


def test_metric_depth_by_hand():
    disparity = np.array([[0.0, 0.25, 0.5, 1.0, np.nan]], np.float32)
    depth = metric_depth(disparity, scale=2.0, shift=-0.5)
    assert depth.dtype == np.float32
    # 1 / (2 d - 0.5): beyond range at -0.5 and 0, then 2 m and 2/3 m
    np.testing.assert_allclose(depth, [[np.inf, np.inf, 2.0, 2 / 3, np.nan]], rtol=1e-6)
    assert disparity[0, 2] == 0.5, "the caller's disparity must not change"


def test_negative_zero_is_beyond_range_not_minus_infinity():
    assert metric_depth(np.array([[-0.0]], np.float32), 1.0, 0.0)[0, 0] == np.inf


@pytest.mark.parametrize("scale, shift", [(0, 0), (-1, 1), (np.nan, 0), (1, np.inf)])
def test_impossible_scales_are_refused(scale, shift):
    with pytest.raises(ConfigError, match="scale"):
        metric_depth(np.zeros((1, 1), np.float32), scale, shift)


def test_nominal_depth_by_hand():
    depth = nominal_depth(np.array([[1.0, 0.0, 0.5, np.nan]], np.float32), near=0.5, far=10.0)
    # halfway in disparity: 1 / ((2 + 0.1) / 2)
    np.testing.assert_allclose(depth, [[0.5, 10.0, 1 / 1.05, np.nan]], rtol=1e-6)


@given(
    disparity=st.floats(-1, 2, width=32),
    near=st.floats(0.01, 5),
    ratio=st.floats(1.1, 1000),
)
def test_nominal_depth_stays_in_its_range(disparity, near, ratio):
    far = near * ratio
    depth = nominal_depth(np.array([[disparity]], np.float32), near, far)[0, 0]
    assert near * (1 - 1e-5) <= depth <= far * (1 + 1e-5)


@pytest.mark.parametrize("near, far", [(0, 1), (2, 1), (1, 1), (-1, 1), (np.nan, 1)])
def test_impossible_ranges_are_refused(near, far):
    with pytest.raises(ConfigError, match="near < far"):
        nominal_depth(np.zeros((1, 1), np.float32), near, far)
