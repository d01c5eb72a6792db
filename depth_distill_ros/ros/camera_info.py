"""CameraInfo messages: the intrinsics of an image, and copies that fit an image's size.

Anything with the fields of a sensor_msgs/CameraInfo passes. K and P are those of the full sensor;
an image may be a window of it (`roi`), binned, or resized by somebody on the way.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError
from depth_distill_ros.geometry.camera import Intrinsics

_FIELDS = (
    "height",
    "width",
    "distortion_model",
    "d",
    "k",
    "r",
    "p",
    "binning_x",
    "binning_y",
    "roi",
)


def intrinsics_of(info: Any, width: int, height: int) -> Intrinsics:
    """The intrinsics of a rectified image of `width` x `height` pixels from its camera_info.

    Those of the projection matrix P, as everywhere in ROS for rectified images, or of K where the
    driver left P zero. Tx and Ty are left out: points are in the frame of this camera.

    Raises MessageError where the camera is not calibrated (zeros), a value is not finite, or the
    image has another aspect than the camera_info.
    """
    _check_matrices(info)
    _check_size(info, width, height)
    p, k = info.p, info.k
    if p[0] > 0 and p[5] > 0:
        fx, fy, cx, cy = p[0], p[5], p[2], p[6]
    else:
        fx, fy, cx, cy = k[0], k[4], k[2], k[5]
    left, top, window_width, window_height = _window(info)
    full = Intrinsics(
        float(fx), float(fy), float(cx) - left, float(cy) - top, window_width, window_height
    )
    return full.scaled(width, height)


def scaled_camera_info(info: Any, width: int, height: int, header: Any) -> Any:
    """A copy of a camera_info with another header, for an image of `width` x `height` pixels.

    Nothing else changes where the image has the size that the camera_info states. Otherwise K and
    P are those of the resized image, and the window and the binning are reset: they are in K and P.
    The message handed in stays as it is.

    Raises MessageError as `intrinsics_of`.
    """
    _check_matrices(info)
    _check_size(info, width, height)
    copied = type(info)(
        header=header, **{name: copy.deepcopy(getattr(info, name)) for name in _FIELDS}
    )
    if (width, height) == _stated_size(info):
        return copied
    change = _resizing(info, width, height)
    for name, shape in (("k", (3, 3)), ("p", (3, 4))):
        matrix = np.asarray(getattr(info, name), np.float64).reshape(shape)
        if matrix.any():  # zeros mean "unknown" and stay so
            setattr(copied, name, (change @ matrix).ravel())
    copied.width, copied.height = width, height
    copied.binning_x = copied.binning_y = 0
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(copied.roi, name, 0)
    return copied


def _resizing(info: Any, width: int, height: int) -> np.ndarray:
    """The 3x3 matrix from pixels of the full sensor to pixels of an image of its window."""
    left, top, window_width, window_height = _window(info)
    # Pixel centres are integers, as in Intrinsics.scaled: c' = (c + 0.5) * ratio - 0.5.
    cut = np.array([[1, 0, 0.5 - left], [0, 1, 0.5 - top], [0, 0, 1]])
    resize = np.diag([width / window_width, height / window_height, 1.0])
    resize[:2, 2] = -0.5
    return resize @ cut


def _window(info: Any) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of the sensor that was read, in its pixels."""
    roi = info.roi
    return (
        roi.x_offset,
        roi.y_offset,
        roi.width or info.width,
        roi.height or info.height,
    )


def _stated_size(info: Any) -> tuple[int, int]:
    """Width and height of the image that the camera_info was written for."""
    _, _, width, height = _window(info)
    return width // max(1, info.binning_x), height // max(1, info.binning_y)


def _check_matrices(info: Any) -> None:
    values = [*info.k, *info.p]
    if not all(math.isfinite(value) for value in values):
        raise MessageError(
            "camera_info has values in K or P that are not finite: calibrate the camera again"
        )
    p, k = info.p, info.k
    if not (p[0] > 0 and p[5] > 0) and not (k[0] > 0 and k[4] > 0):
        raise MessageError(
            "camera_info has no focal length, as a camera that was never calibrated: "
            "calibrate it, or give the driver its calibration file"
        )


def _check_size(info: Any, width: int, height: int) -> None:
    stated_width, stated_height = _stated_size(info)
    if stated_width <= 0 or stated_height <= 0:
        raise MessageError(
            f"camera_info states an image of {stated_width}x{stated_height} pixels: "
            "its width and height must be set"
        )
    # Sizes are rounded to whole pixels when an image is resized: one pixel is no other aspect.
    if abs(width * stated_height - height * stated_width) > max(stated_width, stated_height):
        raise MessageError(
            f"camera_info is for {stated_width}x{stated_height} pixels, the image has "
            f"{width}x{height}: not a resized image of this camera; check the topics"
        )
