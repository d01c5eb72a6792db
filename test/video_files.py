"""Video files for tests, as cameras and screen recorders leave them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np


def write_video(path: Path, frames: int = 20, rate: float = 10.0, size=(64, 48)) -> Path:
    """An MJPG file of noise on grey; the grey level of frame n is 40 + 8 n, up to 200."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), rate, size)
    rng = np.random.default_rng(0)
    for index in range(frames):
        grey = rng.integers(0, 9, (size[1], size[0], 1)) + min(36 + 8 * index, 196)
        writer.write(np.repeat(grey.astype(np.uint8), 3, axis=2))
    writer.release()
    return path


def level(frame: np.ndarray) -> int:
    """The number of a frame of such a file, from its grey level."""
    return round((float(frame.mean()) - 40) / 8)
