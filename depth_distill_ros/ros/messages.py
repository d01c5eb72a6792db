"""Depth images and clouds as messages, and clouds read back; anything with their fields passes.

Nothing here imports ROS: outgoing messages are made of the classes handed in, and incoming ones may
come from rclpy or from a bag reader. Pictures are read in `images.py`.

Why sensor_msgs_py does not make the clouds: its `create_cloud` takes 11 ms for a 640x480 cloud that
is copied into place in 1 ms. It reads clouds, where it is installed, and checks ours in the tests.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np

from depth_distill_ros.errors import ConfigError, MessageError
from depth_distill_ros.geometry.point_cloud import POINT

_FLOAT32 = 7  # sensor_msgs/PointField.FLOAT32


def float_image(values: np.ndarray, header: Any, image_type: type) -> Any:
    """A 32FC1 image of float32 (H, W): disparity, or depth in metres with NaN and inf (REP 117)."""
    return _image(np.asarray(values, np.float32), header, image_type, "32FC1")


def depth_image(depth: np.ndarray, header: Any, image_type: type, encoding: str = "32FC1") -> Any:
    """An image of planar depth in metres, float32 (H, W), as REP 118 wants it.

    32FC1 is metres as they are: NaN is invalid, +inf beyond range, -inf too close (REP 117).
    16UC1 is millimetres, rounded, and 0 for all that has no such number: NaN, both infinities,
    negative depth and depth beyond 65.535 m; invalid and beyond range cannot be told apart there.

    Raises ConfigError for another encoding.
    """
    if encoding == "32FC1":
        return float_image(depth, header, image_type)
    if encoding != "16UC1":
        raise ConfigError(f"depth images are 32FC1 or 16UC1, not '{encoding}'")
    millimetres = np.multiply(depth, np.float32(1000), dtype=np.float32)
    np.rint(millimetres, out=millimetres)
    known = (millimetres > 0) & (millimetres <= np.iinfo(np.uint16).max)
    millimetres[~known] = 0
    return _image(millimetres.astype(np.uint16), header, image_type, "16UC1")


def rgb_image(rgb: np.ndarray, header: Any, image_type: type) -> Any:
    """An rgb8 image of uint8 (H, W, 3)."""
    return _image(rgb, header, image_type, "rgb8")


def _image(pixels: np.ndarray, header: Any, image_type: type, encoding: str) -> Any:
    """An image of the array's bytes: (H, W, ...), in this machine's byte order."""
    height, width = pixels.shape[:2]
    message = image_type(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=pixels[0].nbytes,
        data=array("B"),
    )
    return _filled(message, pixels)


def cloud_message(cloud: np.ndarray, header: Any, cloud_type: type, field_type: type) -> Any:
    """An organised PointCloud2 of an array of POINT (H, W): x, y, z in metres, and rgb.

    `cloud_type` and `field_type` are the classes PointCloud2 and PointField. Invalid points are
    NaN, so that `is_dense` is false.
    """
    height, width = cloud.shape
    fields = [
        field_type(name=name, offset=POINT.fields[name][1], datatype=_FLOAT32, count=1)
        for name in POINT.names
    ]
    message = cloud_type(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=False,  # POINT is little-endian everywhere
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * width,
        data=array("B"),
        is_dense=False,
    )
    return _filled(message, cloud)


def _filled(message: Any, values: np.ndarray) -> Any:
    """The message, with the bytes of an array in its empty data.

    They are copied once: rclpy's messages are filled in place, as of an array.array that they are
    given they make two more copies, and of anything else they look at each byte.
    """
    message.data.frombytes(memoryview(np.ascontiguousarray(values)).cast("B"))
    return message


def read_cloud(message: Any) -> np.ndarray:
    """The cloud of a PointCloud2 with float32 fields x, y, z and rgb, as an array of POINT (H, W).

    Read by sensor_msgs_py where it is installed and knows the message's class (a bag reader's
    messages are of another), else here; both honour offsets, padding and byte order.

    Raises MessageError where a field is missing or not float32, or the data does not fit the sizes.
    """
    fields = {field.name: field for field in message.fields}
    for name in POINT.names:
        if name not in fields or fields[name].datatype != _FLOAT32 or fields[name].count != 1:
            raise MessageError(f"the cloud has no float32 field '{name}': it has {sorted(fields)}")
    height, width = message.height, message.width
    step, row_step = message.point_step, message.row_step
    if (
        row_step < step * width
        or len(message.data) != row_step * height
        or any(fields[name].offset + 4 > step for name in POINT.names)
    ):
        raise MessageError(
            f"the cloud's {len(message.data)} bytes do not fit {width}x{height} points of {step} "
            f"bytes in rows of {row_step}: it was truncated, or a step is wrong"
        )
    values = _read_with_sensor_msgs_py(message)
    if values is None:
        order = ">" if message.is_bigendian else "<"
        layout = np.dtype(
            {
                "names": POINT.names,
                "formats": [f"{order}f4"] * len(POINT.names),
                "offsets": [fields[name].offset for name in POINT.names],
                "itemsize": step,
            }
        )
        rows = np.frombuffer(message.data, np.uint8).reshape(height, row_step)
        values = np.ascontiguousarray(rows[:, : step * width]).view(layout)
    cloud = np.empty((height, width), POINT)
    for name in POINT.names:
        cloud[name] = values[name].reshape(height, width)
    return cloud


def _read_with_sensor_msgs_py(message: Any) -> np.ndarray | None:
    """The points, structured, in one dimension or two; None where sensor_msgs_py is no help."""
    try:
        from sensor_msgs.msg import PointCloud2
        from sensor_msgs_py.point_cloud2 import read_points
    except ImportError:
        return None
    # Its reader takes the data for one run of points, without padding at the end of rows.
    padded = message.row_step != message.point_step * message.width
    if padded or not isinstance(message, PointCloud2):
        return None
    return read_points(message, field_names=list(POINT.names))
