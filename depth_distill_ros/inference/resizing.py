"""Which images are taken, and at which size the network sees them."""

from __future__ import annotations

import cv2
import numpy as np

from depth_distill_ros.errors import ImageError

MIN_SIDE, MAX_SIDE = 32, 4096


def check_image(rgb: np.ndarray) -> None:
    """Refuse anything but uint8 (H, W, 3) with sides from 32 to 4096 pixels (ImageError)."""
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        raise ImageError(f"expected a uint8 RGB array, got {kind}: convert the image first")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ImageError(f"expected the shape (height, width, 3), got {rgb.shape}")
    if min(rgb.shape[:2]) < MIN_SIDE or max(rgb.shape[:2]) > MAX_SIDE:
        raise ImageError(
            f"the image is {rgb.shape[1]}x{rgb.shape[0]} pixels: "
            f"sides from {MIN_SIDE} to {MAX_SIDE} are supported"
        )


def working_size(
    height: int, width: int, resolution: tuple[int, int], multiple: int
) -> tuple[int, int]:
    """(height, width) near the model's area and the image's aspect, in multiples of ``multiple``."""
    scale = (resolution[0] * resolution[1] / (height * width)) ** 0.5
    limit = 8 * max(resolution)  # extreme aspects must not grow without bound
    sides = (max(1, round(side * scale / multiple)) * multiple for side in (height, width))
    first, second = (min(side, limit // multiple * multiple) for side in sides)
    return first, second


def resize_image(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (height, width): area averages when shrinking, bilinear when growing."""
    height, width = size
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    shrinks = rgb.shape[0] * rgb.shape[1] > height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=method)
