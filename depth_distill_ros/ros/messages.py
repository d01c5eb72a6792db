"""Image and cloud messages to NumPy arrays and back; anything with the fields of a message passes.

Nothing here imports ROS: outgoing messages are made of the classes handed in, and incoming ones may
come from rclpy or from a bag reader.

Why neither cv_bridge nor sensor_msgs_py is on the hot path: cv_bridge is compiled against one
version of NumPy (the packages of ROS break with NumPy 2, the wheel with NumPy 2.3 and OpenCV 5),
and the wheel ignores `step` and `is_bigendian`; `sensor_msgs_py.create_cloud` takes 11 ms for a
640x480 cloud that is copied into place in 1 ms. So the common encodings are decoded here, and
cv_bridge, where it is installed, is asked for the others; sensor_msgs_py, where it is installed,
reads clouds, and checks ours in the tests.
"""

from __future__ import annotations

import sys
from array import array
from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError
from depth_distill_ros.geometry.point_cloud import POINT

# Bytes a pixel, and which bytes of a pixel are red, green and blue.
_COLOUR_ENCODINGS = {
    "rgb8": (3, (0, 1, 2)),
    "bgr8": (3, (2, 1, 0)),
    "rgba8": (4, (0, 1, 2)),
    "bgra8": (4, (2, 1, 0)),
    "mono8": (1, (0, 0, 0)),
}
NATIVE_ENCODINGS = (*_COLOUR_ENCODINGS, "mono16")

_FLOAT32 = 7  # sensor_msgs/PointField.FLOAT32


def image_to_rgb(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/Image as a new contiguous uint8 array (H, W, 3), RGB.

    rgb8, bgr8, rgba8, bgra8 (alpha is left out), mono8 and mono16 (its full range becomes 0..255,
    rounded) are decoded here, with row padding (`step`) and byte order honoured; other encodings
    by cv_bridge where it is installed.

    Raises MessageError where the fields contradict each other or the encoding is unknown.
    """
    encoding = message.encoding
    if message.width <= 0 or message.height <= 0:
        raise MessageError(
            f"the image has a size of {message.width}x{message.height} pixels: "
            "check the camera driver's settings"
        )
    if len(message.data) == 0:
        raise MessageError("the image has no data: check the camera driver")
    if encoding == "mono16":
        grey = _pixels(message, 2).view(">u2" if message.is_bigendian else "<u2")[..., 0]
        rounded = (grey.astype(np.uint32) + 128) // 257
        return _assemble([rounded] * 3)
    if encoding in _COLOUR_ENCODINGS:
        size, channels = _COLOUR_ENCODINGS[encoding]
        pixels = _pixels(message, size)
        return _assemble([pixels[..., channel] for channel in channels])
    return _decode_with_cv_bridge(message)


def _assemble(planes: list[np.ndarray]) -> np.ndarray:
    """Three planes as one image. A plane at a time is three times as fast as a fancy index."""
    rgb = np.empty((*planes[0].shape, 3), np.uint8)
    for channel, plane in enumerate(planes):
        rgb[..., channel] = plane
    return rgb


def _pixels(message: Any, size: int) -> np.ndarray:
    """The bytes of the pixels, uint8 (H, W, size), without padding; shares memory where it can."""
    height, width, step = message.height, message.width, message.step
    data = message.data
    if step < width * size:
        raise MessageError(
            f"step is {step} bytes, but a row of {width} {message.encoding} pixels takes "
            f"{width * size}: the publisher must set step to the length of a row in bytes"
        )
    if len(data) != step * height:
        raise MessageError(
            f"the image has {len(data)} bytes of data, but step x height is "
            f"{step} x {height} = {step * height}: it was truncated, or step is wrong"
        )
    flat = np.frombuffer(bytes(data) if isinstance(data, (list, tuple)) else data, np.uint8)
    return flat.reshape(height, step)[:, : width * size].reshape(height, width, size)


def _decode_with_cv_bridge(message: Any) -> np.ndarray:
    native = ", ".join(NATIVE_ENCODINGS)
    try:
        from cv_bridge import CvBridge
    except Exception as error:  # a build for another NumPy fails with more than ImportError
        raise MessageError(
            f"encoding '{message.encoding}' is not one of {native}, and cv_bridge cannot be used "
            f"for it ({error}): publish one of these, or install cv_bridge"
        ) from error
    try:
        picture = CvBridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # its own CvBridgeError, and what NumPy and OpenCV raise
        raise MessageError(
            f"cv_bridge cannot make rgb8 of encoding '{message.encoding}' ({error}): "
            f"publish one of {native}"
        ) from error
    expected = (message.height, message.width, 3)
    if picture.shape != expected or picture.dtype != np.uint8:
        raise MessageError(
            f"cv_bridge made {picture.dtype} {picture.shape} of encoding '{message.encoding}' "
            f"instead of uint8 {expected}: publish one of {native}"
        )
    return np.ascontiguousarray(picture)


def float_image(values: np.ndarray, header: Any, image_type: type) -> Any:
    """A 32FC1 image of float32 (H, W): disparity, or depth in metres with NaN and inf (REP 117)."""
    height, width = values.shape
    return image_type(
        header=header,
        height=height,
        width=width,
        encoding="32FC1",
        is_bigendian=int(sys.byteorder == "big"),
        step=4 * width,
        data=_byte_array(np.asarray(values, np.float32)),
    )


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
    return cloud_type(
        header=header,
        height=height,
        width=width,
        fields=fields,
        is_bigendian=False,  # POINT is little-endian everywhere
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * width,
        data=_byte_array(cloud),
        is_dense=False,
    )


def _byte_array(values: np.ndarray) -> array:
    """The bytes as array.array: the one type that rclpy takes over without a look at each byte."""
    data = array("B")
    data.frombytes(memoryview(np.ascontiguousarray(values)).cast("B"))
    return data


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
