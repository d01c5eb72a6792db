"""Rectification: pictures as an ideal pinhole camera would have taken them.

Lens models are those of sensor_msgs/CameraInfo, with the coefficients in OpenCV's order:

    plumb_bob            k1 k2 p1 p2 [k3]                               Brown-Conrady
    rational_polynomial  k1 k2 p1 p2 k3 k4 k5 k6 [s1 s2 s3 s4 [tx ty]]  with thin prism and tilt
    equidistant          k1 k2 k3 k4                                    fisheye (Kannala-Brandt)

A pixel (u, v) of the rectified picture is seen along the ray R^-1 P^-1 (u, v, 1) in the frame of
the lens, and the lens model and K tell where that ray meets the picture as it was taken.
"""

from __future__ import annotations

import cv2
import numpy as np

from depth_distill_ros.errors import DataError

COEFFICIENTS = {
    "plumb_bob": (4, 5),
    "rational_polynomial": (8, 12, 14),
    "equidistant": (4,),
}
"""How many coefficients each lens model has."""

# Coordinates have a resolution of 1/32 of a pixel in the maps; half of that is no distance.
_EPSILON = 1 / 64
_OUTSIDE = -2.0


class Rectifier:
    """Rectifies pictures of one camera and size; the maps are made once, in some 20 ms.

    Args:
        k: 3x3 camera matrix of the pictures as they are taken, pixels.
        d: coefficients of the lens model.
        r: 3x3 rotation from the lens's frame to the rectified one; the identity but for stereo.
        p: 3x4 (or 3x3) projection matrix of the rectified pictures, pixels.
        model: of the lens, as above.
        width, height: of the pictures, before and after, pixels.

    Raises DataError for a model that is unknown, coefficients that are too many or too few, and
    matrices that no camera has.
    """

    def __init__(
        self,
        k: np.ndarray,
        d: np.ndarray,
        r: np.ndarray,
        p: np.ndarray,
        model: str,
        width: int,
        height: int,
    ):
        k, r = (np.asarray(matrix, np.float64).reshape(3, 3) for matrix in (k, r))
        p = np.asarray(p, np.float64).reshape(3, -1)[:, :3]
        d = np.asarray(d, np.float64).ravel()
        _check(k, d, r, p, model)
        self.width, self.height = width, height
        fisheye = _is_fisheye(model)
        make = cv2.fisheye.initUndistortRectifyMap if fisheye else cv2.initUndistortRectifyMap
        map_x, map_y = make(k, d, r, p, (width, height), cv2.CV_32FC1)
        valid = _is_seen(d, r, p, model, width, height)
        for coordinate, size in ((map_x, width), (map_y, height)):
            valid &= (coordinate >= -_EPSILON) & (coordinate <= size - 1 + _EPSILON)
        map_x[~valid] = map_y[~valid] = _OUTSIDE
        self._maps = cv2.convertMaps(map_x, map_y, cv2.CV_16SC2)
        self._valid = valid
        self._valid.setflags(write=False)

    @property
    def valid(self) -> np.ndarray:
        """Which pixels of a rectified picture have a source, bool (H, W); the rest is black."""
        return self._valid

    def image(self, picture: np.ndarray) -> np.ndarray:
        """The rectified picture of an array (H, W) or (H, W, C), new, interpolated bilinearly.

        Raises DataError for a picture of another size.
        """
        if picture.shape[:2] != (self.height, self.width):
            raise DataError(
                f"this camera is rectified at {self.width}x{self.height} pixels, "
                f"the picture has {picture.shape[1]}x{picture.shape[0]}"
            )
        return cv2.remap(picture, *self._maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def _is_fisheye(model: str) -> bool:
    return model == "equidistant"


def _check(k: np.ndarray, d: np.ndarray, r: np.ndarray, p: np.ndarray, model: str) -> None:
    if model not in COEFFICIENTS:
        raise DataError(
            f"the distortion model '{model}' is not one of {', '.join(COEFFICIENTS)}: "
            "calibrate the camera with one of these"
        )
    if len(d) not in COEFFICIENTS[model]:
        counts = " or ".join(str(count) for count in COEFFICIENTS[model])
        raise DataError(
            f"the distortion model {model} has {counts} coefficients, D has {len(d)}: "
            "check the calibration file"
        )
    if not all(np.isfinite(values).all() for values in (k, d, r, p)):
        raise DataError("D, K, R or P has values that are not finite: calibrate the camera again")
    if min(k[0, 0], k[1, 1], p[0, 0], p[1, 1]) <= 0:
        raise DataError("K or P has no positive focal length: calibrate the camera again")
    if not np.allclose(r @ r.T, np.eye(3), atol=1e-3) or np.linalg.det(r) < 0:
        raise DataError("R is not a rotation: calibrate the camera again, or set R to the identity")


def _is_seen(
    d: np.ndarray, r: np.ndarray, p: np.ndarray, model: str, width: int, height: int
) -> np.ndarray:
    """Which rectified pixels see a ray that the lens model means, bool (H, W).

    A polynomial fits within the picture that it was fitted to. Far outside of it, its curve may
    turn back, and rays there would show a second, mirrored picture around the first one.
    """
    inverse = np.linalg.inv(p @ r)
    u, v = np.arange(width)[None, :], np.arange(height)[:, None]
    x, y, z = (row[0] * u + row[1] * v + row[2] for row in inverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        radius = np.hypot(x, y) / z
    radius[z <= 0] = np.inf  # behind the camera
    ahead = np.isfinite(radius)
    if not ahead.any():
        return ahead
    return ahead & (radius <= _turning_point(d, model, float(radius[ahead].max())))


def _turning_point(d: np.ndarray, model: str, farthest: float) -> float:
    """The tangent of the angle up to which the distorted radius grows, at most `farthest`."""
    tangent = np.linspace(0, farthest, 4096)
    if _is_fisheye(model):
        angle = np.arctan(tangent)
        square = angle**2
        distorted = angle * (1 + square * np.polyval(d[::-1], square))
    else:
        square = tangent**2
        k1, k2, _, _, k3, k4, k5, k6 = np.pad(d[:8], (0, max(0, 8 - len(d))))
        with np.errstate(divide="ignore", invalid="ignore"):
            distorted = tangent * np.polyval([k3, k2, k1, 1], square)
            distorted /= np.polyval([k6, k5, k4, 1], square)
    falls = np.flatnonzero(np.diff(distorted) <= 0)
    return float(tangent[falls[0]]) if len(falls) else farthest
