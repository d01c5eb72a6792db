"""Pictures of disparity: near is bright, and every map has one."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.geometry.colour import INVALID_GREY, colourise


def test_near_is_bright_far_is_dark_invalid_is_grey():
    disparity = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    disparity[0, 0] = np.nan
    picture = colourise(disparity).astype(int)
    assert (picture[0, 0] == INVALID_GREY).all()
    brightness = picture.sum(axis=-1).ravel()[1:]
    assert brightness[-1] > brightness[50] > brightness[0]


def test_colour_scale_is_shared_when_given():
    low, high = (colourise(np.full((2, 2), value, np.float32), 0, 1) for value in (0.2, 0.8))
    assert low.sum() < high.sum()


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
def test_flat_or_invalid_maps_have_a_picture(value):
    assert colourise(np.full((3, 4), value, np.float32)).shape == (3, 4, 3)
