"""Photographs with pseudo-labels: images in any folders, a disparity map of a prior for each.

A folder of labels holds ``<photo>.png`` for each photo, by its path relative to the folder of
photos, and ``index.json``, which names the prior and, once all are made, the photos. A label has
the size of its photo, the longest side 1024 pixels at most. It is a 16-bit PNG, 0 where nothing is
known and 1 … 65535 from the map's least disparity to its greatest: two thirds of a float16 array's
size, its steps 30 times finer (1/65534 of the range against 1/2048 near the top), and a damaged file
is noticed. Scale and shift are not kept: training takes labels up to an affine map.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import read_rgb, read_unchanged
from depth_distill_ros.inference.resizing import resize_image
from training.scenes.files import replace_file

INDEX = "index.json"
MAX_SIDE = 1024
"""Longest side of a label in pixels: priors see photos at half of it."""

_LEVELS = 65534


class Photos:
    """Photos and their labels: (rgb uint8 (H, W, 3), disparity float32 (H, W), NaN: unknown).

    Args:
        folder: of the photos.
        labels: folder of their labels, all made.

    Raises:
        DataError: there are no labels, or not all are made yet.
    """

    def __init__(self, folder: str | Path, labels: str | Path):
        self._folder, self._labels = Path(folder), Path(labels)
        self._names: list[str] = read_index(self._labels).get("photos", [])
        if not self._names:
            raise DataError(
                f"the pseudo-labels in {labels} are not there, or not complete: make them with "
                f"python -m training.pseudo_labels --photos {folder} --prior NAME "
                f"--output {labels}"
            )

    def __len__(self) -> int:
        return len(self._names)

    def name(self, index: int) -> str:
        """The photo's path relative to the folder of photos."""
        return self._names[index]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            rgb = read_rgb(self._folder / self._names[index])
            label = read_label(label_path(self._labels, self._names[index]))
        except ImageError as error:
            raise DataError(str(error)) from error
        return resize_image(rgb, label.shape), label


def label_path(labels: Path, photo: str) -> Path:
    """The file of a photo's label; its suffix is kept, so that two of one stem do not meet."""
    return labels / f"{photo}.png"


def write_label(path: Path, disparity: np.ndarray) -> None:
    """Write a label, whole or not at all.

    Args:
        path: where to; its folder is made.
        disparity: float (H, W) of any scale and shift; what is not finite is unknown.
    """
    known = np.isfinite(disparity)
    low, high = (disparity[known].min(), disparity[known].max()) if known.any() else (0.0, 0.0)
    span = max(float(high) - float(low), np.finfo(np.float32).tiny)
    shares = (np.where(known, disparity, low).astype(np.float64) - low) / span
    codes = np.where(known, 1 + np.rint(shares * _LEVELS), 0).astype(np.uint16)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(".png", codes)[1].tobytes()
    replace_file(path, lambda file: file.write(data))


def read_label(path: Path) -> np.ndarray:
    """A label as float32 (H, W) in [0, 1], NaN where it is unknown.

    Raises:
        ImageError: the file is missing, damaged, or no label.
    """
    codes = read_unchanged(path)
    if codes.dtype != np.uint16 or codes.ndim != 2:
        raise ImageError(f"{path} is no pseudo-label: it must be a grey PNG of 16 bits")
    disparity = (codes.astype(np.float32) - 1) / _LEVELS
    return np.where(codes > 0, disparity, np.float32(np.nan))


def read_index(labels: Path) -> dict[str, Any]:
    """What ``index.json`` of a folder of labels says; empty where there is none.

    Raises:
        DataError: it is damaged.
    """
    path = labels / INDEX
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. Remove it to make it again") from error


def write_index(labels: Path, index: dict[str, Any]) -> None:
    """Write ``index.json``: "prior" and "checkpoint"; of all labels also "n", "photos" and
    "unreadable", the photos that have none."""
    labels.mkdir(parents=True, exist_ok=True)
    replace_file(labels / INDEX, lambda file: file.write(json.dumps(index, indent=1).encode()))
