"""Decoding of raw images: what holds for every encoding, agreement with rosbags-image, faults."""

from __future__ import annotations

import importlib.util
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ros_messages import image, image_of_lines

from depth_distill_ros.errors import MessageError
from depth_distill_ros.ros.images import (
    NATIVE_ENCODINGS,
    depth_from_image,
    image_to_rgb,
    picture,
)

BAYER = ["bayer_rggb", "bayer_bggr", "bayer_gbrg", "bayer_grbg"]
# Bytes of a line for each pixel, and lines for each row.
LAYOUTS = {
    **{"rgb8": (3, 1), "bgr8": (3, 1), "rgba8": (4, 1), "bgra8": (4, 1), "mono8": (1, 1)},
    **{"rgb16": (6, 1), "bgr16": (6, 1), "rgba16": (8, 1), "bgra16": (8, 1), "mono16": (2, 1)},
    **{f"{name}8": (1, 1) for name in BAYER},
    **{f"{name}16": (2, 1) for name in BAYER},
    **{"8UC1": (1, 1), "8UC3": (3, 1), "8UC4": (4, 1)},
    **{name: (2, 1) for name in ("yuv422", "uyvy", "yuv422_yuy2", "yuyv")},
    **{"nv12": (1, 1.5), "nv21": (1, 1.5), "nv24": (1, 3)},
}
WIDE = [name for name in LAYOUTS if name.endswith("16")]


def random_lines(encoding: str, width: int, height: int, seed: int = 0) -> np.ndarray:
    size, lines = LAYOUTS[encoding]
    shape = int(height * lines), width * size
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("encoding", [name for name in LAYOUTS if name != "nv24"])
@given(padding=st.integers(1, 9), seed=st.integers(0, 3))
def test_padding_changes_nothing(encoding, padding, seed):
    lines = random_lines(encoding, 6, 4, seed)
    padded = image_to_rgb(image_of_lines(lines, encoding, 6, 4, padding))
    assert np.array_equal(padded, image_to_rgb(image_of_lines(lines, encoding, 6, 4)))


@pytest.mark.parametrize("encoding", WIDE)
def test_byte_order_changes_nothing(encoding):
    lines = random_lines(encoding, 6, 4)
    swapped = lines.reshape(4, -1, 2)[..., ::-1].reshape(4, -1)
    assert np.array_equal(
        image_to_rgb(image_of_lines(swapped, encoding, 6, 4, 3, is_bigendian=1)),
        image_to_rgb(image_of_lines(lines, encoding, 6, 4, is_bigendian=0)),
    )


@pytest.mark.parametrize("encoding", LAYOUTS)
def test_results_are_new_and_contiguous(encoding):
    lines = random_lines(encoding, 6, 4)
    message = image_of_lines(lines, encoding, 6, 4)
    decoded = image_to_rgb(message)
    assert decoded.shape == (4, 6, 3) and decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous and decoded.flags.writeable
    assert not np.shares_memory(decoded, message.data)


def test_the_table_above_is_complete():
    assert set(LAYOUTS) == set(NATIVE_ENCODINGS)


@given(st.data())
def test_codecs_agree_with_rosbags_image(data):
    rosbags_image = pytest.importorskip("rosbags.image")
    colours = ["rgb8", "bgr8", "rgba8", "bgra8", "mono8"]
    encoding = data.draw(st.sampled_from([*colours, *(f"{name}8" for name in BAYER)]))
    channels = LAYOUTS[encoding][0]
    height, width = data.draw(st.tuples(st.integers(3, 6), st.integers(3, 6)))
    pixels = data.draw(arrays(np.uint8, (height, width * channels)))
    # It ignores row padding, so only our message has some: padding must not change the picture.
    padded = image_of_lines(pixels, encoding, width, height, data.draw(st.integers(0, 7)))
    expected = rosbags_image.message_to_cvimage(
        image_of_lines(pixels, encoding, width, height), "rgb8"
    )
    assert np.array_equal(image_to_rgb(padded), expected)


@pytest.mark.parametrize(
    ("encoding", "channels"),
    [("mono16", 1), ("rgb16", 3), ("bgr16", 3), ("rgba16", 4), ("bgra16", 4)],
)
@pytest.mark.parametrize("order", "<>")
def test_sixteen_bits_agree_with_rosbags_image(encoding, channels, order):
    rosbags_image = pytest.importorskip("rosbags.image")
    pixels = np.random.default_rng(0).integers(0, 65536, (5, 4, channels)).astype(f"{order}u2")
    message = image(pixels, encoding, is_bigendian=int(order == ">"))
    theirs = rosbags_image.message_to_cvimage(message, "rgb8").astype(int)
    difference = image_to_rgb(message) - theirs
    assert difference.min() >= 0 and difference.max() <= 1  # it truncates, we round


@pytest.mark.parametrize("container", [bytes, bytearray, list, lambda b: array("B", b)])
def test_any_container_of_bytes_is_read_and_left_alone(container):
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    message = image(pixels, "rgb8", data=container(pixels.tobytes()))
    decoded = image_to_rgb(message)
    assert np.array_equal(decoded, pixels)
    decoded[:] = 0
    assert bytes(message.data) == pixels.tobytes()


RGB = np.zeros((4, 5, 3), np.uint8)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data": b""}, "no data"),
        ({"data": array("B")}, "no data"),
        ({"data": bytes(59)}, "59 bytes.*truncated"),
        ({"data": bytes(61)}, "61 bytes"),
        ({"step": 14}, "step is 14.*5 rgb8 pixels takes 15"),
        ({"step": 0}, "step is 0"),
        ({"step": 16}, "16 x 4 = 64"),
        ({"width": 0}, "size of 0x4"),
        ({"height": 0}, "size of 5x0"),
        ({"width": 6}, "takes 18"),
        ({"height": 5}, "15 x 5 = 75"),
        ({"encoding": "mono16", "step": 9, "data": bytes(36)}, "takes 10"),
        ({"encoding": "rgba8"}, "takes 20"),
        ({"encoding": "yuyv"}, "5x4 pixels.*blocks of 2x1"),
        ({"encoding": "nv12", "width": 4, "height": 3}, "4x3 pixels.*blocks of 2x2"),
        ({"encoding": "nv12", "width": 4}, "step x 1.5 height is 15 x 6 = 90"),
        ({"encoding": "nv24"}, "step x 3 height is 15 x 12 = 180"),
        ({"encoding": "bayer_rggb8", "height": 2}, "5x2 pixels.*3x3 to see colours"),
        ({"encoding": "16UC1"}, "depth.*not a picture.*mono16"),
        ({"encoding": "32FC1"}, "depth.*not a picture.*reference/image"),
    ],
)
def test_contradictions_are_refused_with_a_reason(changes, what):
    with pytest.raises(MessageError, match=what):
        image_to_rgb(image(RGB, "rgb8", **changes))


@pytest.mark.parametrize("encoding", ["", "RGB8", "rgb888", "64FC1", "no such encoding"])
def test_encodings_that_nobody_knows_are_refused(encoding):
    with pytest.raises(MessageError, match="rgb8, bgr8, rgba8, bgra8, mono8"):
        image_to_rgb(image(RGB, encoding))


@given(
    size=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    step=st.integers(0, 40),
    extra=st.sampled_from([0, 0, 0, -1, 1]),
    encoding=st.sampled_from([*NATIVE_ENCODINGS, "nonsense"]),
    is_bigendian=st.integers(0, 1),
)
def test_garbage_is_decoded_to_its_size_or_refused(size, step, extra, encoding, is_bigendian):
    height, width = size
    pixel, lines = LAYOUTS.get(encoding, (1, 1))
    data = bytes(max(0, int(step * height * lines) + extra))
    fields = dict(height=height, width=width, step=step, data=data, is_bigendian=is_bigendian)
    fits = extra == 0 and width and height and encoding in LAYOUTS and step >= width * pixel
    if encoding.startswith("bayer"):
        fits = fits and min(size) >= 3
    if encoding in ("yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21"):
        fits = fits and width % 2 == 0
    if encoding in ("nv12", "nv21"):
        fits = fits and height % 2 == 0
    message = image(RGB, "rgb8", **fields, encoding=encoding)
    if fits:
        assert image_to_rgb(message).shape == (height, width, 3)
    else:
        with pytest.raises(MessageError):
            image_to_rgb(message)


def test_unknown_encodings_go_to_cv_bridge():
    pytest.importorskip("cv_bridge", exc_type=Exception)
    with pytest.raises(MessageError, match="cv_bridge cannot make rgb8 of encoding 'no such'"):
        image_to_rgb(image(RGB, "no such"))


@pytest.mark.skipif(importlib.util.find_spec("cv_bridge") is not None, reason="it is installed")
def test_without_cv_bridge_unknown_encodings_are_refused():
    with pytest.raises(MessageError, match="no such.*install cv_bridge"):
        image_to_rgb(image(RGB, "no such"))


def test_raw_pictures_are_told_by_their_fields():
    assert np.array_equal(picture(image(RGB + 7, "rgb8")), RGB + 7)


@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
@pytest.mark.parametrize(("is_bigendian", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_in_millimetres_by_hand(encoding, is_bigendian, order, padding):
    row = np.array([[0, 1, 1234, 65535]], f"{order}u2").view(np.uint8)
    depth = depth_from_image(
        image_of_lines(row, encoding, 4, 1, padding, is_bigendian=is_bigendian)
    )
    expected = np.array([[np.nan, 0.001, 1.234, 65.535]], np.float32)
    assert depth.dtype == np.float32 and np.array_equal(depth, expected, equal_nan=True)


@pytest.mark.parametrize(("is_bigendian", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize("padding", [0, 3])
def test_depth_in_metres_by_hand(is_bigendian, order, padding):
    values = [0.0, -0.0, -1.0, 1.5, np.nan, np.inf, -np.inf, 100.25]
    row = np.array([values], f"{order}f4").view(np.uint8)
    message = image_of_lines(row, "32FC1", 8, 1, padding, is_bigendian=is_bigendian)
    depth = depth_from_image(message)
    nan = np.nan
    expected = np.array([[nan, nan, nan, 1.5, nan, nan, nan, 100.25]], np.float32)
    assert depth.dtype == np.float32 and np.array_equal(depth, expected, equal_nan=True)
    assert depth.dtype.isnative and not np.shares_memory(depth, message.data)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"encoding": "mono8"}, "'mono8' is no depth.*16UC1"),
        ({"encoding": "64FC1"}, "'64FC1' is no depth.*32FC1"),
        ({"width": 0}, "size of 0x4"),
        ({"data": b""}, "no data"),
        ({"step": 9}, "step is 9.*takes 10"),
        ({"data": bytes(39)}, "39 bytes.*truncated"),
    ],
)
def test_broken_depth_is_refused_with_a_reason(changes, what):
    with pytest.raises(MessageError, match=what):
        depth_from_image(image(np.zeros((4, 5), np.uint16), "16UC1", **changes))
