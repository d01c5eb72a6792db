"""What a camera_info states about its images, and whether that can be."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError

MIN_FOCAL = 0.02
"""The shortest focal length that is believed, in image widths or heights: 175 degrees of view."""

MAX_SIDEWAYS = math.tan(math.radians(75))
"""How far off the optical axis the middle of an image may look, in focal lengths (75 degrees).

The principal point of a window cut out of an image may lie outside of it, even far.
"""


def matrix_of(info: Any, name: str) -> np.ndarray:
    """K or R (3, 3) or P (3, 4), float64."""
    return np.asarray(getattr(info, name), np.float64).reshape(3, -1)


def window_of(info: Any) -> tuple[int, int, int, int]:
    """Left, top, width and height of the part of the sensor that was read, in its pixels."""
    roi = info.roi
    return (
        roi.x_offset,
        roi.y_offset,
        roi.width or info.width,
        roi.height or info.height,
    )


def stated_size(info: Any) -> tuple[int, int]:
    """Width and height of the image that the camera_info was written for."""
    _, _, width, height = window_of(info)
    return width // max(1, info.binning_x), height // max(1, info.binning_y)


def check(info: Any, width: int, height: int) -> None:
    """Raises MessageError, with the reason, for a camera_info that an image cannot have.

    That is where the camera is not calibrated (zeros), K or P is one that no camera has (not
    finite, inverted, in other units than pixels, principal point far outside the image), or the
    image of `width` x `height` pixels has another aspect.
    """
    k, p = matrix_of(info, "k"), matrix_of(info, "p")
    _check_values(k, p)
    _check_size(info, width, height)
    for name, matrix in (("K", k), ("P", p)):
        _check_view(info, name, matrix)


def _check_values(k: np.ndarray, p: np.ndarray) -> None:
    if not (np.isfinite(k).all() and np.isfinite(p).all()):
        raise MessageError(
            "camera_info has values in K or P that are not finite: calibrate the camera again"
        )
    focal_lengths = [matrix[axis, axis] for matrix in (k, p) for axis in (0, 1)]
    if min(focal_lengths) < 0:
        raise MessageError(
            "camera_info has a negative focal length in K or P: the calibration is inverted; "
            "calibrate the camera again"
        )
    if not all(focal_lengths[:2]) and not all(focal_lengths[2:]):
        raise MessageError(
            "camera_info has no focal length, as a camera that was never calibrated: "
            "calibrate it, or give the driver its calibration file"
        )


def _check_size(info: Any, width: int, height: int) -> None:
    stated_width, stated_height = stated_size(info)
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


def _check_view(info: Any, name: str, matrix: np.ndarray) -> None:
    """Refuses a K or P that looks where no camera does; zeros are none."""
    left, top, width, height = window_of(info)
    for axis, start, size in ((0, left, width), (1, top, height)):
        focal, centre = matrix[axis, axis], matrix[axis, 2] - start
        if focal and focal < MIN_FOCAL * size:
            raise MessageError(
                f"camera_info has a focal length of {focal:g} in {name}, for an image of "
                f"{width}x{height}: it must be in pixels; calibrate the camera again"
            )
        if focal and abs((size - 1) / 2 - centre) > MAX_SIDEWAYS * focal:
            raise MessageError(
                f"camera_info has the principal point ({matrix[0, 2]:g}, {matrix[1, 2]:g}) in "
                f"{name}, far outside an image of {width}x{height}: calibrate the camera again, "
                "or set the window (roi) that the image is of"
            )
