"""Image files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import ImageError


def read_rgb(path: str | Path) -> np.ndarray:
    """An image file as uint8 RGB (H, W, 3), turned as its EXIF tag says, alpha dropped.

    Raises ImageError for a file that is missing, unreadable or no image.
    """
    image = _decode(Path(path), cv2.IMREAD_COLOR)
    if image.dtype != np.uint8:  # float images: no range is defined for them
        raise ImageError(f"{path} has {image.dtype} pixels: convert it to 8 bits a channel")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def read_unchanged(path: str | Path) -> np.ndarray:
    """An image file with the bits it has, for depth in 16 bits. Raises ImageError."""
    return _decode(Path(path), cv2.IMREAD_UNCHANGED)


def _decode(path: Path, flags: int) -> np.ndarray:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ImageError(f"there is no file {path}") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from error
    return decode_image(data, flags, str(path))


def decode_image(data: bytes, flags: int, name: str) -> np.ndarray:
    """The pixels of an image file's bytes as OpenCV gives them. Raises ImageError with `name`."""
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error:
        image = None
    if image is None:
        raise ImageError(f"{name} is not an image that can be read (PNG, JPEG, WebP, TIFF …)")
    return image


def write_image(path: str | Path, pixels: np.ndarray) -> None:
    """Writes an image in the format of the suffix, replacing the file atomically.

    pixels: uint8 RGB (H, W, 3), or grey (H, W), which may have 16 bits in PNG and TIFF.
    """
    path = Path(path)
    coloured = pixels.ndim == 3
    done, data = cv2.imencode(
        path.suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if coloured else pixels
    )
    if not done:
        raise ImageError(f"the image for {path} could not be encoded")
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(data.tobytes())
    os.replace(partial, path)
