"""Intrinsics of whole, cut, binned and resized images, and copies that leave the original alone."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_messages import camera_info, header, roi

from depth_distill_ros.errors import MessageError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.ros.camera_info import intrinsics_of, scaled_camera_info


def matrix(fx, fy, cx, cy, tx=0.0) -> np.ndarray:
    return np.array([fx, 0, cx, tx, 0, fy, cy, 0, 0, 0, 1, 0], np.float64)


def test_intrinsics_are_those_of_p():
    info = camera_info(p=matrix(400, 410, 300, 200, tx=-40))
    assert intrinsics_of(info, 640, 480) == Intrinsics(400, 410, 300, 200, 640, 480)


def test_intrinsics_are_those_of_k_where_p_is_zero():
    info = camera_info(p=np.zeros(12))
    assert intrinsics_of(info, 640, 480) == Intrinsics(500, 510, 320.5, 240.5, 640, 480)


def test_half_size_by_hand():
    # Pixel 0 of the small image covers pixels 0 and 1: its centre is 0.5, so 0.5 becomes 0.
    info = camera_info(p=matrix(500, 510, 0.5, 240.5))
    assert intrinsics_of(info, 320, 240) == Intrinsics(250, 255, 0.0, 120.0, 320, 240)


def test_window_and_binning_by_hand():
    info = camera_info(roi=roi(100, 40, 400, 300), binning_x=2, binning_y=2)
    intrinsics = intrinsics_of(info, 200, 150)
    assert intrinsics == Intrinsics(
        250, 255, (220.5 + 0.5) / 2 - 0.5, (200.5 + 0.5) / 2 - 0.5, 200, 150
    )


@given(
    size=st.sampled_from([(320, 240), (640, 480), (1000, 750), (213, 160)]),
    window=st.sampled_from([roi(), roi(100, 40, 400, 300)]),
    x=st.floats(-2, 2),
    y=st.floats(-2, 2),
)
def test_intrinsics_and_copied_info_project_alike(size, window, x, y):
    info = camera_info(roi=window)
    copied = scaled_camera_info(info, *size, header())
    one, two = intrinsics_of(info, *size), intrinsics_of(copied, *size)
    u, v = one.fx * x + one.cx, one.fy * y + one.cy
    assert two.fx * x + two.cx == pytest.approx(u, abs=1e-6)
    assert two.fy * y + two.cy == pytest.approx(v, abs=1e-6)


def test_same_size_is_a_copy_with_another_header():
    info = camera_info(roi=roi(100, 40, 400, 300), binning_x=2, binning_y=2)
    copied = scaled_camera_info(info, 200, 150, header(9, 8, "new"))
    assert copied.header == header(9, 8, "new") and type(copied) is type(info)
    for name in ("height", "width", "distortion_model", "binning_x", "binning_y", "roi"):
        assert getattr(copied, name) == getattr(info, name)
    for name in "dkrp":
        assert np.array_equal(getattr(copied, name), getattr(info, name))


def test_resized_info_by_hand():
    info = camera_info(p=matrix(500, 510, 0.5, 240.5, tx=-60))
    copied = scaled_camera_info(info, 320, 240, header())
    assert (copied.width, copied.height) == (320, 240)
    assert np.asarray(copied.k).tolist() == [250, 0, 160, 0, 255, 120, 0, 0, 1]
    assert np.asarray(copied.p).tolist() == [250, 0, 0, -30, 0, 255, 120, 0, 0, 0, 1, 0]
    assert np.array_equal(copied.d, info.d) and np.array_equal(copied.r, info.r)


def test_unknown_p_stays_unknown_when_resized():
    copied = scaled_camera_info(camera_info(p=np.zeros(12)), 320, 240, header())
    assert not np.any(copied.p) and copied.k[0] == 250


@pytest.mark.parametrize("size", [(640, 480), (320, 240)])
def test_the_original_is_never_changed(size):
    info = camera_info()
    before = copy.deepcopy(info)
    copied = scaled_camera_info(info, *size, header())
    copied.k[:], copied.p[:], copied.d[:] = 7, 7, 7
    copied.roi.width = 7
    assert all(np.array_equal(getattr(info, n), getattr(before, n)) for n in "dkrp")
    assert info.roi == before.roi and info.header == before.header
    assert (info.width, info.height) == (before.width, before.height)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"k": np.zeros(9), "p": np.zeros(12)}, "never calibrated"),
        ({"k": np.full(9, np.nan)}, "not finite"),
        ({"p": matrix(500, np.nan, 1, 1)}, "not finite"),
        ({"p": matrix(500, 500, np.inf, 1)}, "not finite"),
        ({"k": np.zeros(9), "p": matrix(-500, 500, 1, 1)}, "never calibrated"),
        ({"width": 0}, "0x480"),
        ({"height": 0}, "640x0"),
        ({"width": 1280}, "1280x480 pixels, the image has 640x480"),
        ({"roi": roi(0, 0, 400, 100)}, "400x100 pixels, the image has"),
    ],
)
def test_unusable_infos_are_refused_with_a_reason(changes, what):
    info = camera_info(**changes)
    with pytest.raises(MessageError, match=what):
        intrinsics_of(info, 640, 480)
    with pytest.raises(MessageError, match=what):
        scaled_camera_info(info, 640, 480, header())
