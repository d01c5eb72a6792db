"""Codecs by hand-computed bytes, against rosbags-image and, where installed, ROS's own tools."""

from __future__ import annotations

import importlib.util
import struct
import sys
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ros_messages import Image, PointCloud2, PointField, header, image

from depth_distill_ros.errors import MessageError
from depth_distill_ros.geometry.point_cloud import POINT, pack_xyzrgb
from depth_distill_ros.ros.messages import (
    NATIVE_ENCODINGS,
    cloud_message,
    float_image,
    image_to_rgb,
    read_cloud,
)

CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
EIGHT_BIT = sorted(CHANNELS)


@pytest.mark.parametrize(
    ("encoding", "pixel", "rgb"),
    [
        ("rgb8", [10, 20, 30], [10, 20, 30]),
        ("bgr8", [10, 20, 30], [30, 20, 10]),
        ("rgba8", [10, 20, 30, 99], [10, 20, 30]),
        ("bgra8", [10, 20, 30, 99], [30, 20, 10]),
        ("mono8", [10], [10, 10, 10]),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_eight_bit_encodings_by_hand(encoding, pixel, rgb, padding):
    row = bytes(pixel) + bytes(len(pixel)) + b"\xee" * padding  # a pixel, a black one, padding
    message = image(np.zeros((2, 2), np.uint8), encoding, step=len(row), data=array("B", row + row))
    decoded = image_to_rgb(message)
    assert decoded.tolist() == [[rgb, [0, 0, 0]]] * 2
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous


@pytest.mark.parametrize(("is_bigendian", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize("padding", [0, 3])
def test_mono16_by_hand(is_bigendian, order, padding):
    # Full scale is 255; 128 is the last value that rounds down to 0, 129 the first of 1.
    values, expected = [0, 128, 129, 257 * 77, 65535], [0, 0, 1, 77, 255]
    row = struct.pack(f"{order}5H", *values) + b"\xee" * padding
    message = image(
        np.zeros((1, 5), np.uint8), "mono16", is_bigendian=is_bigendian, step=len(row), data=row
    )
    assert image_to_rgb(message)[0].tolist() == [[v, v, v] for v in expected]


@given(value=st.integers(0, 65535))
def test_mono16_is_the_nearest_of_255_steps(value):
    message = image(np.array([[value]], "<u2"), "mono16")
    assert int(image_to_rgb(message)[0, 0, 0]) == round(value * 255 / 65535)


@given(st.data())
def test_codecs_agree_with_rosbags_image(data):
    rosbags_image = pytest.importorskip("rosbags.image")
    encoding = data.draw(st.sampled_from(EIGHT_BIT))
    channels = CHANNELS[encoding]
    height, width = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    shape = (height, width) if channels == 1 else (height, width, channels)
    pixels = data.draw(arrays(np.uint8, shape))
    expected = rosbags_image.message_to_cvimage(image(pixels, encoding), "rgb8")
    # It ignores row padding, so only our message has some: padding must not change the picture.
    padding = data.draw(st.integers(0, 7))
    rows = np.pad(pixels.reshape(height, -1), ((0, 0), (0, padding)), constant_values=0xEE)
    padded = image(pixels, encoding, step=rows.shape[1], data=rows.ravel())
    assert np.array_equal(image_to_rgb(padded), expected)


@given(pixels=arrays(np.uint16, (3, 4)), order=st.sampled_from("<>"))
def test_mono16_agrees_with_rosbags_image(pixels, order):
    rosbags_image = pytest.importorskip("rosbags.image")
    message = image(pixels.astype(f"{order}u2"), "mono16", is_bigendian=int(order == ">"))
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
    ],
)
def test_contradictions_are_refused_with_a_reason(changes, what):
    with pytest.raises(MessageError, match=what):
        image_to_rgb(image(RGB, "rgb8", **changes))


@pytest.mark.parametrize("encoding", ["", "RGB8", "rgb888", "32FC1", "no such encoding"])
def test_encodings_that_nobody_knows_are_refused(encoding):
    with pytest.raises(MessageError, match="rgb8, bgr8, rgba8, bgra8, mono8, mono16"):
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
    data = bytes(max(0, step * height + extra))
    fields = dict(height=height, width=width, step=step, data=data, is_bigendian=is_bigendian)
    fits = extra == 0 and width and height and encoding in NATIVE_ENCODINGS
    fits = fits and step >= width * {"mono16": 2, **CHANNELS}[encoding]
    message = image(RGB, "rgb8", **fields, encoding=encoding)
    if fits:
        assert image_to_rgb(message).shape == (height, width, 3)
    else:
        with pytest.raises(MessageError):
            image_to_rgb(message)


def test_other_encodings_go_through_cv_bridge():
    pytest.importorskip("cv_bridge", exc_type=Exception)
    decoded = image_to_rgb(image(np.full((8, 6), 77, np.uint8), "bayer_rggb8"))
    assert decoded.shape == (8, 6, 3) and (decoded == 77).all()
    with pytest.raises(MessageError, match="cv_bridge cannot make rgb8 of encoding 'no such'"):
        image_to_rgb(image(RGB, "no such"))


@pytest.mark.skipif(importlib.util.find_spec("cv_bridge") is not None, reason="it is installed")
def test_without_cv_bridge_other_encodings_are_refused():
    with pytest.raises(MessageError, match="bayer_rggb8.*install cv_bridge"):
        image_to_rgb(image(RGB, "bayer_rggb8"))


def test_float_image_by_hand():
    values = np.array([[0.5, np.nan, np.inf]], np.float32)
    message = float_image(values, header(), Image)
    assert (message.height, message.width, message.step) == (1, 3, 12)
    assert message.encoding == "32FC1" and message.is_bigendian == (sys.byteorder == "big")
    assert isinstance(message.data, array) and message.data.typecode == "B"
    assert message.data.tobytes() == struct.pack("=3f", 0.5, np.nan, np.inf)
    assert message.header == header()


def test_float_image_takes_strided_values():
    values = np.arange(12, dtype=np.float32).reshape(3, 4).T
    message = float_image(values, header(), Image)
    assert np.array_equal(np.frombuffer(message.data, np.float32).reshape(4, 3), values)


def test_cloud_by_hand():
    points = np.array([[[1, 2, 3], [np.nan] * 3]], np.float32)
    rgb = np.array([[[0x11, 0x22, 0x33], [255, 0, 0]]], np.uint8)
    message = cloud_message(pack_xyzrgb(points, rgb), header(), PointCloud2, PointField)
    assert (message.height, message.width) == (1, 2)
    assert (message.point_step, message.row_step) == (16, 32)
    assert [(f.name, f.offset, f.datatype, f.count) for f in message.fields] == [
        ("x", 0, PointField.FLOAT32, 1),
        ("y", 4, PointField.FLOAT32, 1),
        ("z", 8, PointField.FLOAT32, 1),
        ("rgb", 12, PointField.FLOAT32, 1),
    ]
    assert not message.is_dense and not message.is_bigendian
    data = message.data.tobytes()
    assert data[:16] == struct.pack("<3f", 1, 2, 3) + b"\x33\x22\x11\x00"
    assert data[28:] == b"\x00\x00\xff\x00"
    assert np.isnan(np.frombuffer(data[16:28], "<f4")).all()


def random_cloud(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(3, 5, 3)).astype(np.float32)
    points[1, 2] = np.nan
    return pack_xyzrgb(points, rng.integers(0, 256, (3, 5, 3), dtype=np.uint8))


def test_clouds_are_read_back():
    cloud = random_cloud()
    message = cloud_message(cloud, header(), PointCloud2, PointField)
    assert read_cloud(message).tobytes() == cloud.tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_clouds_of_another_layout_are_read(order):
    cloud = random_cloud()
    layout = {"names": ["rgb", "z", "ring", "x", "y"], "offsets": [0, 4, 8, 16, 20], "itemsize": 28}
    formats = [f"{order}f4", f"{order}f4", f"{order}u2", f"{order}f4", f"{order}f4"]
    points = np.zeros((3, 5), np.dtype({**layout, "formats": formats}))
    for name in POINT.names:
        points[name] = cloud[name]
    rows = np.pad(points.view(np.uint8).reshape(3, -1), ((0, 0), (0, 9)), constant_values=0xEE)
    message = cloud_message(cloud, header(), PointCloud2, PointField)
    message.fields = [
        PointField(name=name, offset=offset, datatype=4 if name == "ring" else 7, count=1)
        for name, offset in zip(layout["names"], layout["offsets"], strict=True)
    ]
    message.is_bigendian = order == ">"
    message.point_step, message.row_step, message.data = 28, rows.shape[1], rows.ravel()
    read = read_cloud(message)
    for name in ("x", "y", "z"):
        assert np.array_equal(read[name], cloud[name], equal_nan=True)
    assert np.array_equal(read["rgb"].view("<u4"), cloud["rgb"].view("<u4"))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data": bytes(239)}, "239 bytes"),
        ({"row_step": 79, "data": bytes(79 * 3)}, "rows of 79"),
        ({"point_step": 12}, "points of 12"),
        ({"fields": []}, "field 'x'"),
    ],
)
def test_broken_clouds_are_refused(changes, what):
    message = cloud_message(random_cloud(), header(), PointCloud2, PointField)
    for name, value in changes.items():
        setattr(message, name, value)
    with pytest.raises(MessageError, match=what):
        read_cloud(message)


def test_sensor_msgs_py_reads_our_clouds_as_we_do():
    point_cloud2 = pytest.importorskip("sensor_msgs_py.point_cloud2")
    from sensor_msgs.msg import PointCloud2, PointField
    from std_msgs.msg import Header

    cloud = random_cloud()
    message = cloud_message(cloud, Header(), PointCloud2, PointField)
    theirs = point_cloud2.read_points(message).reshape(cloud.shape)
    created = point_cloud2.create_cloud(Header(), message.fields, cloud.ravel())
    assert theirs.tobytes() == cloud.tobytes() == bytes(created.data)
    assert read_cloud(message).tobytes() == cloud.tobytes()
