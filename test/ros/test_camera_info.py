"""camera_info: intrinsics of whole, cut, binned, resized and rectified images."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_messages import CameraInfo, camera_info, header, roi
from rosbags.typesys import Stores, get_typestore

from depth_distill_ros.errors import ConfigError, MessageError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.ros.camera_info import (
    camera_info_from_fov,
    intrinsics_of,
    needs_rectification,
    rectified_camera_info,
    rectifier_of,
    scaled_camera_info,
)


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
        ({"p": matrix(-500, 500, 1, 1)}, "negative focal length.*inverted"),
        ({"p": matrix(500, -500, 1, 1)}, "negative focal length"),
        ({"k": -matrix(500, 500, 320, 240)[[0, 1, 2, 4, 5, 6, 8, 9, 10]]}, "negative focal"),
        ({"p": matrix(1, 1, 0.5, 0.5)}, "focal length of 1 in P.*must be in pixels"),
        ({"p": matrix(500, 500, 1e5, 240)}, "100000, 240.*far outside an image of 640x480"),
        ({"p": matrix(500, 500, 320, -1700)}, "320, -1700.*far outside"),
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


@pytest.mark.parametrize(
    ("width", "height", "cx", "cy"),
    [
        (640, 480, -30.0, 500.0),  # a little outside
        (64, 48, 320.5, 240.5),  # the first tenth of a 640x480 image, and its last
        (64, 48, 320.5 - 576, 240.5 - 432),
    ],
)
def test_windows_of_an_image_may_have_the_principal_point_outside(width, height, cx, cy):
    info = camera_info(width, height, p=matrix(500, 500, cx, cy))
    assert intrinsics_of(info, width, height) == Intrinsics(500, 500, cx, cy, width, height)


def test_the_window_that_is_stated_counts():
    corner = camera_info(6400, 4800, p=matrix(500, 500, 3200, 2400), roi=roi(6300, 0, 100, 75))
    with pytest.raises(MessageError, match="far outside an image of 100x75"):
        intrinsics_of(corner, 100, 75)


def test_images_without_distortion_need_no_rectification():
    assert not needs_rectification(camera_info(d=np.zeros(5)))
    assert not needs_rectification(camera_info(d=np.zeros(0)))
    assert needs_rectification(camera_info(d=np.array([0, 0, 0, 0, 1e-6])))


ROTATION = np.array([[0.8, 0, 0.6], [0, 1, 0], [-0.6, 0, 0.8]]).ravel()


def test_rectified_info_by_hand():
    info = camera_info(p=matrix(400, 410, 300, 200, tx=-40), r=ROTATION, binning_x=2)
    before = copy.deepcopy(info)
    rectified = rectified_camera_info(info)
    assert np.asarray(rectified.k).tolist() == [400, 0, 300, 0, 410, 200, 0, 0, 1]
    assert np.asarray(rectified.p).tolist() == matrix(400, 410, 300, 200, tx=-40).tolist()
    assert np.asarray(rectified.r).tolist() == np.eye(3).ravel().tolist()
    assert np.asarray(rectified.d).tolist() == [0] * 5
    assert rectified.header == info.header and rectified.binning_x == 2
    assert all(np.array_equal(getattr(info, n), getattr(before, n)) for n in "dkrp")
    assert not needs_rectification(rectified)


def test_rectified_info_is_k_where_p_is_zero():
    rectified = rectified_camera_info(camera_info(p=np.zeros(12)))
    assert np.asarray(rectified.p).tolist() == matrix(500, 510, 320.5, 240.5).tolist()
    assert np.array_equal(rectified.k, camera_info().k)


def ramp(width: int, height: int) -> np.ndarray:
    """A picture that tells where its pixels were: u in red, v in green, 0 to 200 each."""
    v, u = np.mgrid[:height, :width]
    planes = [200 * u / (width - 1), 200 * v / (height - 1), np.zeros((height, width))]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, (640, 480)),
        ({"p": np.zeros(12)}, (640, 480)),
        ({"r": np.zeros(9)}, (640, 480)),
        ({"p": matrix(450, 470, 300, 250, tx=-40), "r": np.eye(3).ravel()}, (320, 240)),
        ({"roi": roi(100, 40, 400, 300), "binning_x": 2, "binning_y": 2}, (200, 150)),
    ],
)
def test_pixels_are_fetched_from_where_the_lens_put_them(changes, size):
    info = camera_info(d=np.array([-0.2, 0.05, 0.001, -0.002, 0.01]), **changes)
    width, height = size
    rectifier = rectifier_of(info, width, height)
    rectified = rectifier.image(np.round(ramp(width, height)).astype(np.uint8))
    # The other way, by hand: the ray of a rectified pixel, bent by the lens, seen through K.
    out = intrinsics_of(info, width, height)
    raw = intrinsics_of(camera_info(**{**changes, "p": np.zeros(12)}), width, height)
    k1, k2, p1, p2, k3 = info.d
    for u, v in [(width // 2, height // 2), (width // 4, height // 3), (width - 20, height - 9)]:
        x, y = (u - out.cx) / out.fx, (v - out.cy) / out.fy
        square = x * x + y * y
        radial = 1 + k1 * square + k2 * square**2 + k3 * square**3
        bent_x = x * radial + 2 * p1 * x * y + p2 * (square + 2 * x * x)
        bent_y = y * radial + p1 * (square + 2 * y * y) + 2 * p2 * x * y
        where = raw.fx * bent_x + raw.cx, raw.fy * bent_y + raw.cy
        expected = 200 * where[0] / (width - 1), 200 * where[1] / (height - 1)
        assert rectifier.valid[v, u]
        assert rectified[v, u, :2].astype(float) == pytest.approx(expected, abs=1.1)


def test_rectifiers_are_kept():
    one, same = rectifier_of(camera_info(), 640, 480), rectifier_of(camera_info(), 640, 480)
    assert one is same
    assert rectifier_of(camera_info(), 320, 240) is not one
    assert rectifier_of(camera_info(d=np.array([0.1, 0, 0, 0, 0])), 640, 480) is not one


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"distortion_model": "fov"}, "'fov' is not one of plumb_bob, rational_polynomial"),
        ({"distortion_model": ""}, "'' is not one of"),
        ({"d": np.array([0.1, 0.2])}, "plumb_bob has 4 or 5 coefficients, D has 2"),
        ({"distortion_model": "rational_polynomial"}, "8 or 12 or 14 coefficients, D has 5"),
        ({"distortion_model": "equidistant"}, "equidistant has 4 coefficients, D has 5"),
        ({"d": np.full(5, np.nan)}, "not finite"),
        ({"k": np.zeros(9)}, "no positive focal length"),
        ({"r": np.full(9, 0.1)}, "R is not a rotation"),
        ({"p": matrix(-500, 500, 1, 1)}, "negative focal length"),
        ({"width": 1280}, "1280x480 pixels, the image has 640x480"),
    ],
)
def test_lenses_that_cannot_be_rectified_are_refused_with_a_reason(changes, what):
    with pytest.raises(MessageError, match=what):
        rectifier_of(camera_info(**changes), 640, 480)


def test_info_from_the_field_of_view_by_hand():
    # 90 degrees: half the width is the focal length. Pixel centres are integers: 319.5.
    info = camera_info_from_fov(CameraInfo, header(7, 8, "eye"), 640, 480, 90)
    assert np.asarray(info.k).tolist() == pytest.approx([320, 0, 319.5, 0, 320, 239.5, 0, 0, 1])
    assert intrinsics_of(info, 640, 480).fx == pytest.approx(320)
    assert info.header == header(7, 8, "eye") and (info.width, info.height) == (640, 480)
    assert info.distortion_model == "plumb_bob" and not needs_rectification(info)
    assert np.asarray(info.r).tolist() == np.eye(3).ravel().tolist()
    copied = scaled_camera_info(info, 320, 240, header())
    assert copied.k[0] == pytest.approx(160)


@given(degrees=st.floats(1, 170), width=st.integers(2, 4000))
def test_the_field_of_view_spans_the_image(degrees, width):
    info = camera_info_from_fov(CameraInfo, header(), width, 10, degrees)
    left, right = ((edge - info.k[2]) / info.k[0] for edge in (-0.5, width - 0.5))
    assert math.degrees(math.atan(right) - math.atan(left)) == pytest.approx(degrees)


@pytest.mark.parametrize("degrees", [0, -60, 180, 400, math.nan])
def test_fields_of_view_that_no_pinhole_has_are_refused(degrees):
    with pytest.raises(ConfigError, match="between 0 and 180"):
        camera_info_from_fov(CameraInfo, header(), 640, 480, degrees)


def test_made_infos_can_be_written_to_a_bag():
    typestore = get_typestore(Stores.ROS2_JAZZY)
    name = "sensor_msgs/msg/CameraInfo"
    made = camera_info_from_fov(CameraInfo, header(), 640, 480, 75)
    rectified = rectified_camera_info(camera_info())
    for info in (made, rectified, scaled_camera_info(made, 320, 240, header())):
        read = typestore.deserialize_cdr(typestore.serialize_cdr(info, name), name)
        assert all(np.array_equal(getattr(read, n), getattr(info, n)) for n in "dkrp")
        assert read.roi.width == 0


def test_the_messages_of_rclpy_are_made_and_read_alike():
    messages = pytest.importorskip("sensor_msgs.msg")
    made = camera_info_from_fov(messages.CameraInfo, messages.CameraInfo().header, 640, 480, 75)
    theirs = camera_info_from_fov(CameraInfo, header(), 640, 480, 75)
    assert all(np.array_equal(getattr(made, n), getattr(theirs, n)) for n in "dkrp")
    made.d = [0.1, -0.2, 0.0, 0.0, 0.0]
    assert needs_rectification(made)
    assert rectifier_of(made, 320, 240).valid.any()
    rectified = rectified_camera_info(made)
    assert list(rectified.d) == [0.0] * 5 and list(made.d)[0] == 0.1
    assert not needs_rectification(scaled_camera_info(rectified, 320, 240, made.header))
