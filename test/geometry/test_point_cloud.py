"""Packing of coloured points and PLY files."""

from __future__ import annotations

import array

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.geometry.point_cloud import POINT, coloured_cloud, pack_xyzrgb, write_ply


@pytest.fixture
def points():
    return np.arange(18, dtype=np.float32).reshape(2, 3, 3)


@pytest.fixture
def rgb():
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0] = (255, 128, 1)
    colours[1, 2] = (0, 0, 255)
    return colours


def test_points_are_sixteen_bytes_with_pcl_colours(points, rgb):
    cloud = pack_xyzrgb(points, rgb)
    assert cloud.dtype == POINT and cloud.dtype.itemsize == 16 and cloud.shape == (2, 3)
    assert cloud.flags.c_contiguous
    raw = cloud.tobytes()
    np.testing.assert_array_equal(np.frombuffer(raw[:12], "<f4"), [0, 1, 2])
    assert raw[12:16] == bytes([1, 128, 255, 0]), "little endian 0x00RRGGBB"
    assert raw[-4:] == bytes([255, 0, 0, 0])
    np.testing.assert_array_equal(cloud["z"], points[..., 2])


def test_no_colour_is_nan(points):
    cloud = pack_xyzrgb(points, np.full((2, 3, 3), 255, np.uint8))
    assert np.isfinite(cloud["rgb"]).all()


def test_a_cloud_fills_a_message_buffer(points, rgb):
    data = array.array("B")
    data.frombytes(pack_xyzrgb(points, rgb).view(np.uint8))
    assert len(data) == 2 * 3 * 16


def test_cloud_from_depth_is_unproject_then_pack():
    camera = Intrinsics(300, 310, 15.5, 11.5, 32, 24)
    rng = np.random.default_rng(0)
    depth = rng.uniform(0.5, 5, (24, 32)).astype(np.float32)
    depth[3, 4] = np.inf
    rgb = rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)
    direct = coloured_cloud(depth, rgb, camera)
    assert direct.tobytes() == pack_xyzrgb(unproject(depth, camera), rgb).tobytes()
    assert np.isnan(direct["x"][3, 4]) and np.isfinite(direct["x"]).sum() == 24 * 32 - 1


@pytest.mark.parametrize(
    "bad", [np.zeros((3, 2, 3), np.uint8), np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3))]
)
def test_colours_of_another_shape_or_type_are_refused(points, bad):
    with pytest.raises(DataError, match="uint8"):
        pack_xyzrgb(points, bad)


def test_ply_holds_the_finite_points(tmp_path, points, rgb):
    points[0, 1, 2] = np.nan
    path = tmp_path / "cloud.ply"
    assert write_ply(path, points, rgb) == 5
    header, body = path.read_bytes().split(b"end_header\n", 1)
    assert header.startswith(b"ply\nformat binary_little_endian 1.0\n")
    assert b"element vertex 5\n" in header
    assert len(body) == 5 * 15
    np.testing.assert_array_equal(np.frombuffer(body[:12], "<f4"), points[0, 0])
    assert body[12:15] == bytes([255, 128, 1])
    assert [file.name for file in tmp_path.iterdir()] == ["cloud.ply"], "no partial file left"
