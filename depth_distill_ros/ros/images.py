"""Image and CompressedImage messages to pictures and to depth; anything with their fields passes.

Nothing here imports ROS: messages may come from rclpy or from a bag reader.

Why cv_bridge is not on the hot path: it is compiled against one version of NumPy (the packages of
ROS break with NumPy 2, the wheel with NumPy 2.3 and OpenCV 5), and the wheel ignores `step` and
`is_bigendian`. So the encodings of ROS are decoded here, and cv_bridge, where it is installed, is
asked for others.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError
from depth_distill_ros.ros.compressed import decode
from depth_distill_ros.ros.pixel_formats import FORMATS, PixelFormat, sixteen_bits

NATIVE_ENCODINGS = tuple(FORMATS)
_DEPTH_BYTES = {"16UC1": 2, "mono16": 2, "32FC1": 4}


def picture(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/Image or CompressedImage as a new uint8 array (H, W, 3), RGB.

    The two are told apart by the field `format`. Raises MessageError as `image_to_rgb` and
    `compressed_to_rgb`.
    """
    return compressed_to_rgb(message) if hasattr(message, "format") else image_to_rgb(message)


def image_to_rgb(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/Image as a new contiguous uint8 array (H, W, 3), RGB.

    Decoded here, with row padding (`step`) and byte order honoured: rgb, bgr, rgba, bgra (alpha is
    left out), mono and Bayer mosaics, each of 8 and of 16 bits (whose full range becomes 0..255,
    rounded); yuv422 and uyvy, yuv422_yuy2 and yuyv, nv12, nv21 and nv24 (limited range BT.601);
    8UC1, 8UC3 and 8UC4 as mono8, bgr8 and bgra8. Other encodings by cv_bridge where it is
    installed.

    Raises MessageError where the fields contradict each other, the encoding is unknown, or the
    image is depth and no picture.
    """
    encoding = message.encoding
    _check_not_empty(message)
    if encoding in FORMATS:
        pixels = FORMATS[encoding]
        _check_size(message, pixels)
        lines = _lines(message, pixels.pixel_bytes, pixels.half_lines)
        return pixels.to_rgb(lines, message.width, bool(message.is_bigendian))
    if encoding in _DEPTH_BYTES:
        raise MessageError(
            f"the image is depth ({encoding}), not a picture: give the camera's picture on this "
            "topic, and depth on reference/image; a grey picture of 16 bits has encoding mono16"
        )
    return _decode_with_cv_bridge(message)


def compressed_to_rgb(message: Any) -> np.ndarray:
    """The picture of a sensor_msgs/CompressedImage as a new uint8 array (H, W, 3), RGB.

    JPEG, PNG, and what else OpenCV reads, told by the data itself: `format` has been written in
    many ways ("jpeg", "rgb8; jpeg compressed bgr8"). Colours are those that any viewer of the
    file shows; grey pictures get three channels, 16 bits become 8 (the full range to 0..255,
    rounded), and an orientation in EXIF data turns nothing, as camera_info belongs to the pixels
    as they are.

    Raises MessageError for depth (compressedDepth), and for data that is truncated or corrupt: a
    PNG with any damage, a JPEG that lacks its end or blocks before it. Flipped bits within a JPEG
    cannot be noticed, it has no checksum.
    """
    if "compressedDepth" in message.format:
        raise MessageError(
            f"the image is depth ('{message.format}'), not a picture: subscribe to the camera's "
            "picture (.../compressed); for depth, to the raw topic or a republished one"
        )
    return decode(_bytes(message.data).tobytes())


def depth_from_image(message: Any) -> np.ndarray:
    """Planar depth of a sensor_msgs/Image in metres, float32 (H, W), new; invalid pixels are NaN.

    16UC1 (and mono16, as some drivers name it) is millimetres with 0 for invalid; 32FC1 is metres,
    where NaN, both infinities and what is not positive are invalid (REP 117, REP 118): neither
    "too close" nor "beyond range" is a measurement. Row padding and byte order are honoured.

    Raises MessageError where the fields contradict each other or the encoding is another.
    """
    if hasattr(message, "format"):
        raise MessageError(
            f"depth cannot be read from a compressed image ('{message.format}'): subscribe to the "
            "raw topic, or republish it with image_transport"
        )
    size = _DEPTH_BYTES.get(message.encoding)
    if size is None:
        raise MessageError(
            f"encoding '{message.encoding}' is no depth: it must be 16UC1 (millimetres) or "
            "32FC1 (metres); check the topic"
        )
    _check_not_empty(message)
    lines = _lines(message, size)
    if size == 2:
        millimetres = sixteen_bits(lines, message.width, bool(message.is_bigendian))
        depth = millimetres / np.float32(1000)
        depth[millimetres == 0] = np.nan
        return depth
    stored = lines[:, : 4 * message.width].view(">f4" if message.is_bigendian else "<f4")
    depth = stored.astype(np.float32)
    depth[~((depth > 0) & (depth < np.inf))] = np.nan
    return depth


def _check_not_empty(message: Any) -> None:
    if message.width <= 0 or message.height <= 0:
        raise MessageError(
            f"the image has a size of {message.width}x{message.height} pixels: "
            "check the camera driver's settings"
        )
    if len(message.data) == 0:
        raise MessageError("the image has no data: check the camera driver")


def _check_size(message: Any, pixels: PixelFormat) -> None:
    """Refuses sizes that the encoding cannot have."""
    size, encoding = f"{message.width}x{message.height}", message.encoding
    if min(message.width, message.height) < pixels.smallest:
        raise MessageError(
            f"the {encoding} image has {size} pixels, but it takes "
            f"{pixels.smallest}x{pixels.smallest} to see colours: publish larger images"
        )
    if message.width % pixels.block[0] or message.height % pixels.block[1]:
        raise MessageError(
            f"the {encoding} image has {size} pixels, but {encoding} stores blocks of "
            f"{pixels.block[0]}x{pixels.block[1]}: publish even sizes, or another encoding"
        )


def _lines(message: Any, pixel_bytes: int, half_lines: int = 2) -> np.ndarray:
    """The data as lines of `step` bytes, uint8 (lines, step); shares memory where it can.

    `half_lines` is twice the number of lines for each row of the picture.
    """
    height, width, step, data = message.height, message.width, message.step, message.data
    if step < width * pixel_bytes:
        raise MessageError(
            f"step is {step} bytes, but a row of {width} {message.encoding} pixels takes "
            f"{width * pixel_bytes}: the publisher must set step to the length of a row in bytes"
        )
    count = height * half_lines // 2
    if len(data) != step * count:
        rows = "height" if half_lines == 2 else f"{half_lines / 2:g} height"
        raise MessageError(
            f"the image has {len(data)} bytes of data, but step x {rows} is "
            f"{step} x {count} = {step * count}: it was truncated, or step is wrong"
        )
    return _bytes(data).reshape(count, step)


def _bytes(data: Any) -> np.ndarray:
    """A message's data as flat uint8; shares memory unless it is a list."""
    return np.frombuffer(bytes(data) if isinstance(data, (list, tuple)) else data, np.uint8)


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
        decoded = CvBridge().imgmsg_to_cv2(message, "rgb8")
    except Exception as error:  # its own CvBridgeError, and what NumPy and OpenCV raise
        raise MessageError(
            f"cv_bridge cannot make rgb8 of encoding '{message.encoding}' ({error}): "
            f"publish one of {native}"
        ) from error
    expected = (message.height, message.width, 3)
    if decoded.shape != expected or decoded.dtype != np.uint8:
        raise MessageError(
            f"cv_bridge made {decoded.dtype} {decoded.shape} of encoding '{message.encoding}' "
            f"instead of uint8 {expected}: publish one of {native}"
        )
    return np.ascontiguousarray(decoded)
