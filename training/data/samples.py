"""Stored samples: images and depth as the bytes of files, and how to read them back.

Depth is stored as a 16-bit grey PNG in one of two encodings:

- ``log16``: code 0 is unknown, 65535 infinitely far (sky), and codes 1 … 65534 divide the range
  from 1 cm to 1 km evenly in log depth: every depth is kept to a relative 8.8e-5, which is finer
  than the float16 of the original data sets.
- ``cm16``: the centimetres of Virtual KITTI 2 as they are; 0 is unknown, and what is at its far
  plane of 80 m or beyond counts as sky.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from depth_distill_ros.errors import DataError

NEAREST, FARTHEST = 0.01, 1000.0
FAR_PLANE = 80.0
_STEPS = 65533
_SKY = 65535
_SPAN = np.log(FARTHEST / NEAREST)


@dataclass(frozen=True)
class Stored:
    """A sample as it lies in a shard.

    Attributes:
        name: unique in the data set, without dots: ``ai_001_001/cam_00/0000``.
        rgb: bytes of an image file.
        suffix: of that file: "png" or "jpg".
        depth: bytes of a 16-bit PNG.
    """

    name: str
    rgb: bytes
    suffix: str
    depth: bytes


def encode_rgb(rgb: np.ndarray, jpeg: int = 0) -> tuple[bytes, str]:
    """uint8 (H, W, 3) as PNG, or as JPEG of a quality from 1 to 100; and the file's suffix."""
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    if jpeg:
        return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, jpeg])[1].tobytes(), "jpg"
    return cv2.imencode(".png", bgr)[1].tobytes(), "png"


def encode_depth(depth: np.ndarray) -> bytes:
    """Metres, float (H, W), 0 = infinitely far and NaN = unknown, as a PNG in ``log16``.

    Depths outside of 1 cm to 1 km are held at these ends.
    """
    known = np.isfinite(depth) & (depth > 0)
    place = np.log(np.where(known, depth, NEAREST).astype(np.float64) / NEAREST) / _SPAN
    code = 1 + np.round(np.clip(place, 0, 1) * _STEPS)
    code = np.where(known, code, np.where(np.isnan(depth), 0, _SKY)).astype(np.uint16)
    return cv2.imencode(".png", code)[1].tobytes()


def decode_rgb(data: bytes, what: str) -> np.ndarray:
    """An image file's bytes as uint8 (H, W, 3). Raises DataError; ``what`` names the file there."""
    image = _decode(data, cv2.IMREAD_COLOR, what)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def decode_depth(data: bytes, encoding: str, what: str) -> np.ndarray:
    """A 16-bit PNG as metres, float32 (H, W), 0 = infinitely far and NaN = unknown.

    Raises:
        DataError: the bytes are no 16-bit grey PNG, or the encoding is unknown.
    """
    if encoding not in _TABLES:
        raise DataError(f"depth is stored as {encoding!r}, expected one of {', '.join(_TABLES)}")
    code = _decode(data, cv2.IMREAD_UNCHANGED, what)
    if code.dtype != np.uint16 or code.ndim != 2:
        raise DataError(f"{what} must be a grey image of 16 bits, it is {code.dtype} {code.shape}")
    return _TABLES[encoding][code]


def bottom_centre(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The crop of (height, width) that touches the lower edge: that of KITTI's depth benchmark.

    It cuts the sky and the ends of the rows. Raises DataError for smaller images.
    """
    height, width = image.shape[:2]
    top, left = height - size[0], (width - size[1]) // 2
    if top < 0 or left < 0:
        raise DataError(
            f"an image of {width}x{height} pixels is smaller than its crop of {size[1]}x{size[0]}"
        )
    return image[top:, left : left + size[1]]


def decode(
    rgb: bytes, depth: bytes, encoding: str, crop: tuple[int, int] | None, what: str
) -> tuple[np.ndarray, np.ndarray]:
    """A sample from the bytes of its two files: rgb uint8 (H, W, 3), depth float32 (H, W).

    Raises:
        DataError: one of them cannot be read, or their sizes differ.
    """
    image = decode_rgb(rgb, f"the image of {what}")
    metres = decode_depth(depth, encoding, f"the depth of {what}")
    if image.shape[:2] != metres.shape:
        raise DataError(f"{what}: the image is {image.shape[:2]}, its depth {metres.shape}")
    if crop:
        image, metres = bottom_centre(image, crop), bottom_centre(metres, crop)
    return image, metres


def _decode(data: bytes, flags: int, what: str) -> np.ndarray:
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise DataError(f"{what} cannot be read")
    return image


def _log16() -> np.ndarray:
    place = (np.arange(65536, dtype=np.float64) - 1) / _STEPS
    table = NEAREST * np.exp(place * _SPAN)
    table[0], table[_SKY] = np.nan, 0
    return table.astype(np.float32)


def _cm16() -> np.ndarray:
    table = np.arange(65536, dtype=np.float32) / np.float32(100)
    return np.where(table >= FAR_PLANE, 0, np.where(table > 0, table, np.nan)).astype(np.float32)


_TABLES = {"log16": _log16(), "cm16": _cm16()}
