"""CameraInfo messages: the intrinsics of an image, copies that fit an image, and rectification.

Anything with the fields of a sensor_msgs/CameraInfo passes. K and P are those of the full sensor;
an image may be a window of it (`roi`), binned, or resized by somebody on the way.

K and D describe images as they are taken, P the rectified ones. As a driver sends one camera_info
for both, D that is not zero does not tell whether an image is rectified: the user has to.
"""

from __future__ import annotations

import copy
import math
import threading
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np

from depth_distill_ros.errors import ConfigError, DataError, MessageError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.rectification import Rectifier
from depth_distill_ros.ros.camera_info_checks import check, matrix_of, stated_size, window_of

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


class CameraInfoStore:
    """Keeps the last `limit` camera_info messages by their stamps. Any thread may call.

    The latest is the one that came last, whatever its stamp: when a bag starts again, or a clock
    is set back, what comes is true all the same.
    """

    def __init__(self, limit: int = 60):
        self._limit = limit
        self._lock = threading.Lock()
        self._messages: dict[tuple[int, int], Any] = {}  # in the order in which they came

    def add(self, message: Any) -> None:
        """Takes a message in, in place of one of the same stamp; the oldest may have to go."""
        stamp = message.header.stamp
        key = stamp.sec, stamp.nanosec
        with self._lock:
            self._messages.pop(key, None)
            self._messages[key] = message
            if len(self._messages) > self._limit:
                del self._messages[next(iter(self._messages))]

    def match(self, stamp: Any) -> tuple[Any, float] | None:
        """The message of exactly this header stamp, else the latest; None where there is none.

        With it its age: the stamp less the message's, in seconds; negative where the message is
        of a later moment, 0 where the stamps are the same.
        """
        with self._lock:
            found = self._messages.get((stamp.sec, stamp.nanosec))
            if found is None and self._messages:
                found = next(reversed(self._messages.values()))
        if found is None:
            return None
        other = found.header.stamp
        return found, (stamp.sec - other.sec) + (stamp.nanosec - other.nanosec) * 1e-9

    def clear(self) -> None:
        """Forgets all messages, as when the camera is another one."""
        with self._lock:
            self._messages.clear()


def intrinsics_of(info: Any, width: int, height: int) -> Intrinsics:
    """The intrinsics of a rectified image of `width` x `height` pixels from its camera_info.

    Those of the projection matrix P, as everywhere in ROS for rectified images, or of K where the
    driver left P zero. Tx and Ty are left out: points are in the frame of this camera.

    Raises MessageError where the camera is not calibrated (zeros), K or P is one that no camera
    has (not finite, inverted, in other units than pixels, principal point far outside the image),
    or the image has another aspect than the camera_info.
    """
    check(info, width, height)
    p, k = info.p, info.k
    if p[0] > 0 and p[5] > 0:
        fx, fy, cx, cy = p[0], p[5], p[2], p[6]
    else:
        fx, fy, cx, cy = k[0], k[4], k[2], k[5]
    left, top, window_width, window_height = window_of(info)
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
    check(info, width, height)
    copied = _copy(info, header)
    if (width, height) == stated_size(info):
        return copied
    change = _resizing(info, width, height)
    for name in "kp":
        matrix = matrix_of(info, name)
        if matrix.any():  # zeros mean "unknown" and stay so
            setattr(copied, name, (change @ matrix).ravel())
    copied.width, copied.height = width, height
    copied.binning_x = copied.binning_y = 0
    for name in ("x_offset", "y_offset", "width", "height"):
        setattr(copied.roi, name, 0)
    return copied


def needs_rectification(info: Any) -> bool:
    """Whether images as they are taken are distorted: D has a value that is not zero."""
    return any(value != 0 for value in info.d)


def rectifier_of(info: Any, width: int, height: int) -> Rectifier:
    """Rectifies images of `width` x `height` pixels: by K, D, R and P scaled to that size.

    K stands in for a P of zeros, and the identity for an R of zeros. The rectifiers of the last
    few calibrations and sizes are kept, so that this may be called for every image.

    Raises MessageError as `intrinsics_of`, and for a distortion model that is unknown or has
    another number of coefficients.
    """
    check(info, width, height)
    change = _resizing(info, width, height)
    k, p, r = (matrix_of(info, name) for name in "kpr")
    if not p.any():
        p = k
    if not r.any():
        r = np.eye(3)
    matrices = (tuple(matrix.ravel().tolist()) for matrix in (change @ k, r, change @ p))
    try:
        return _rectifier(info.distortion_model, tuple(info.d), *matrices, width, height)
    except DataError as error:
        raise MessageError(f"images cannot be rectified by their camera_info: {error}") from error


@lru_cache(maxsize=8)  # maps of a 4K image take 60 MB
def _rectifier(
    model: str, d: tuple, k: tuple, r: tuple, p: tuple, width: int, height: int
) -> Rectifier:
    return Rectifier(k, d, r, p, model, width, height)


def rectified_camera_info(info: Any) -> Any:
    """A copy of a camera_info that is true of the rectified images: D zero, K of P, R identity.

    Where P is zeros, images are rectified with K, and P becomes K.
    """
    copied = _copy(info, info.header)
    k, p = matrix_of(info, "k"), matrix_of(info, "p")
    if p.any():
        copied.k = p[:, :3].ravel()
    else:
        copied.p = np.hstack([k, np.zeros((3, 1))]).ravel()
    copied.r = np.eye(3).ravel()
    for index in range(len(copied.d)):  # in place: rclpy has an array.array, a bag reader NumPy's
        copied.d[index] = 0.0
    return copied


def camera_info_from_fov(
    info_type: type, header: Any, width: int, height: int, degrees: float
) -> Any:
    """The camera_info of a pinhole camera of which only the horizontal field of view is known.

    Square pixels, the principal point in the middle, no distortion. `info_type` is the class
    CameraInfo. Raises ConfigError unless 0 < degrees < 180.
    """
    if not 0 < degrees < 180:
        raise ConfigError(
            f"the horizontal field of view must be between 0 and 180 degrees, got {degrees:g}"
        )
    focal = width / 2 / math.tan(math.radians(degrees / 2))
    camera = Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)
    k = camera.matrix()
    fields = {
        "header": header,
        "height": height,
        "width": width,
        "distortion_model": "plumb_bob",
        "d": np.zeros(5),
        "k": k.ravel(),
        "r": np.eye(3).ravel(),
        "p": np.hstack([k, np.zeros((3, 1))]).ravel(),
    }
    if not hasattr(info_type, "get_fields_and_field_types"):
        # The classes of rclpy have defaults, those of a bag reader have none.
        window = {"x_offset": 0, "y_offset": 0, "height": 0, "width": 0, "do_rectify": False}
        fields.update(binning_x=0, binning_y=0, roi=SimpleNamespace(**window))
    return info_type(**fields)


def _copy(info: Any, header: Any) -> Any:
    fields = {name: copy.deepcopy(getattr(info, name)) for name in _FIELDS}
    return type(info)(header=header, **fields)


def _resizing(info: Any, width: int, height: int) -> np.ndarray:
    """The 3x3 matrix from pixels of the full sensor to pixels of an image of its window."""
    left, top, window_width, window_height = window_of(info)
    # Pixel centres are integers, as in Intrinsics.scaled: c' = (c + 0.5) * ratio - 0.5.
    cut = np.array([[1, 0, 0.5 - left], [0, 1, 0.5 - top], [0, 0, 1]])
    resize = np.diag([width / window_width, height / window_height, 1.0])
    resize[:2, 2] = -0.5
    return resize @ cut
