"""Depth images and clouds by hand-computed bytes and, where installed, against ROS's own tools."""

from __future__ import annotations

import struct
import sys
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from ros_messages import Image, PointCloud2, PointField, header

from depth_distill_ros.errors import ConfigError, MessageError
from depth_distill_ros.geometry.point_cloud import POINT, pack_xyzrgb
from depth_distill_ros.ros.images import depth_from_image, image_to_rgb
from depth_distill_ros.ros.messages import (
    cloud_message,
    depth_image,
    float_image,
    read_cloud,
    rgb_image,
)


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


def test_depth_in_metres_keeps_what_rep_117_says():
    values = np.array([[1.5, np.nan, np.inf, -np.inf]], np.float32)
    message = depth_image(values, header(), Image)
    assert message.encoding == "32FC1"
    assert message.data.tobytes() == struct.pack("=4f", 1.5, np.nan, np.inf, -np.inf)


def test_depth_in_millimetres_by_hand():
    values = [0.0004, 0.0006, 1.2344, 1.2346, 65.535, 65.536, 1e9, -1, np.nan, np.inf, -np.inf]
    expected = [0, 1, 1234, 1235, 65535, 0, 0, 0, 0, 0, 0]
    message = depth_image(np.array([values], np.float32), header(), Image, "16UC1")
    assert (message.height, message.width, message.step) == (1, 11, 22)
    assert message.encoding == "16UC1" and message.is_bigendian == (sys.byteorder == "big")
    assert isinstance(message.data, array) and message.data.typecode == "B"
    assert message.data.tobytes() == struct.pack("=11H", *expected)


def test_depth_in_millimetres_leaves_the_values_alone():
    values = np.array([[1.0, np.nan], [np.inf, 2.0]], np.float32)
    before = values.copy()
    depth_image(values.T, header(), Image, "16UC1")
    assert np.array_equal(values, before, equal_nan=True)


@given(depth=arrays(np.float32, (3, 4), elements=st.floats(2**-9, 65.5, width=32)))
def test_depth_images_are_read_back(depth):
    metres = depth_from_image(depth_image(depth, header(), Image, "32FC1"))
    millimetres = depth_from_image(depth_image(depth, header(), Image, "16UC1"))
    assert np.array_equal(metres, depth)
    assert np.abs(millimetres - depth).max() <= 0.0005 + 4e-6  # and float32 at 65 m


def test_depth_images_of_another_encoding_are_refused():
    with pytest.raises(ConfigError, match="32FC1 or 16UC1, not 'mono16'"):
        depth_image(np.ones((2, 2), np.float32), header(), Image, "mono16")


def test_pictures_are_read_back():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    message = rgb_image(pixels, header(), Image)
    assert (message.encoding, message.step, message.header) == ("rgb8", 12, header())
    assert np.array_equal(image_to_rgb(message), pixels)


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
