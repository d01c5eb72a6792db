"""Coloured point clouds: the 16-byte point of PCL and ROS, and PLY files."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.geometry.camera import Intrinsics, unproject

# One point as PCL and rviz expect it: `rgb` is the integer 0x00RRGGBB whose bits are read as a
# float32. The top byte stays 0; 255 there would make a NaN of every colour with red >= 128.
POINT = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4")])

_PLY_VERTEX = np.dtype(
    [("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
)


def pack_xyzrgb(points: np.ndarray, rgb: np.ndarray) -> np.ndarray:
    """Points (H, W, 3) float32 in metres and colours (H, W, 3) uint8 as an array of POINT (H, W).

    The result is contiguous, 16 bytes a point; `.view(np.uint8)` is a PointCloud2's data.
    Raises DataError where the shapes differ.
    """
    cloud = np.empty((*points.shape[:2], 4), "<f4")
    cloud[..., :3] = points
    _pack_colours(rgb, cloud)
    return cloud.view(POINT)[..., 0]


def coloured_cloud(depth: np.ndarray, rgb: np.ndarray, intrinsics: Intrinsics) -> np.ndarray:
    """`pack_xyzrgb(unproject(depth, intrinsics), rgb)` without the copy in between.

    depth (H, W) in metres, rgb (H, W, 3) uint8; the result is an array of POINT (H, W), NaN
    where the depth is not finite or not positive. Raises DataError where the sizes differ.
    """
    cloud = np.empty((*depth.shape, 4), "<f4")
    unproject(depth, intrinsics, out=cloud[..., :3])
    _pack_colours(rgb, cloud)
    return cloud.view(POINT)[..., 0]


def _pack_colours(rgb: np.ndarray, cloud: np.ndarray) -> None:
    """Writes 0x00RRGGBB into the last of the four floats of every point."""
    if rgb.shape != (*cloud.shape[:2], 3) or rgb.dtype != np.uint8:
        raise DataError(
            f"colours must be uint8 of shape {(*cloud.shape[:2], 3)}, "
            f"got {rgb.dtype} of shape {rgb.shape}"
        )
    packed = rgb[..., 0].astype("<u4")
    for channel in (1, 2):
        packed <<= 8
        packed |= rgb[..., channel]
    cloud.view("<u4")[..., 3] = packed


def write_ply(path: str | Path, points: np.ndarray, rgb: np.ndarray) -> int:
    """Writes the finite points (..., 3) in metres with their uint8 colours as a binary PLY file.

    Replaces the file atomically. Returns the number of points written.
    """
    keep = np.isfinite(points).all(axis=-1)
    vertices = np.empty(int(keep.sum()), _PLY_VERTEX)
    for axis, name in enumerate(("x", "y", "z")):
        vertices[name] = points[..., axis][keep]
    for channel, name in enumerate(("red", "green", "blue")):
        vertices[name] = rgb[..., channel][keep]
    types = {"f4": "float", "u1": "uchar"}
    properties = [
        f"property {types[_PLY_VERTEX[name].str[1:]]} {name}" for name in _PLY_VERTEX.names
    ]
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment optical frame: x right, y down, z forward, metres",
        f"element vertex {len(vertices)}",
        *properties,
        "end_header",
    ]
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        file.write(("\n".join(header) + "\n").encode("ascii"))
        file.write(vertices.tobytes())
    os.replace(partial, path)
    return len(vertices)
