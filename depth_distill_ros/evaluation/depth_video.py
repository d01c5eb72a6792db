"""A video's disparity on disk: 16-bit PNG files in a folder, with one code for all of them.

    clip/000000.png, …    uint16 (H, W); 0 is invalid, else disparity = scale · value + shift
    clip/video.json       scale and shift, model and checkpoint, rate, size, and what was clipped
    clip/preview.mp4      on request: coloured, 0 dark and 1 bright in all frames

Windows are in the units of the first one (`inference/video.py`), whose disparity is in [0, 1], so
the range of a whole video is not known before its end. The code has room on both sides.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.images import write_image
from depth_distill_ros.evaluation.tables import write_json
from depth_distill_ros.geometry.colour import colourise

FORMAT = "depth_distill_ros.DepthVideo"
DESCRIPTION, PREVIEW = "video.json", "preview.mp4"
LOW, HIGH = -1.0, 3.0
"""The disparities of codes 1 and LAST: steps of 0.00006, finer than what networks resolve."""

LAST = 65535
SCALE = (HIGH - LOW) / (LAST - 1)
SHIFT = LOW - SCALE


def encode(disparity: np.ndarray) -> tuple[np.ndarray, int]:
    """The code, uint16 (H, W), of a disparity (H, W), and how many pixels were clipped.

    Not finite is 0; what lies outside [LOW, HIGH] gets the code of the nearer end.
    """
    valid = np.isfinite(disparity)
    code = np.where(valid, np.rint((disparity - SHIFT) / SCALE), 0)
    clipped = valid & ((code < 1) | (code > LAST))
    return np.where(valid, np.clip(code, 1, LAST), 0).astype(np.uint16), int(clipped.sum())


class DepthVideo:
    """Writes a depth video, frame by frame; a context, which leaves whole what has been written.

    `video.json` is there from the start, with `complete` false, and is brought up to date at the
    end, whether that comes by itself or by an error or Ctrl-C. Without a frame nothing is left.

    Args:
        folder: to make. One with an older depth video is written anew.
        rate: frames a second.
        about: what else is to stand in `video.json`.
        preview: whether to write one.

    Attributes:
        count: frames written.
        clipped: pixels outside the code's range.

    Raises:
        DataError: the folder holds anything but a depth video.
    """

    def __init__(self, folder: Path, rate: float, about: dict[str, Any], preview: bool = False):
        _refuse_other_files(folder)
        self.folder, self.count, self.clipped = folder, 0, 0
        self._rate, self._about = rate, about
        self._size: tuple[int, int] | None = None
        self._preview = _Preview(folder / PREVIEW, rate) if preview else None
        self._describe(complete=False)
        for old in (*folder.glob("[0-9]*.png*"), *folder.glob(PREVIEW)):
            old.unlink()

    def write(self, disparity: np.ndarray) -> None:
        """Adds a frame, (H, W), NaN where invalid. Raises DataError where its size is another."""
        size = disparity.shape[1], disparity.shape[0]
        if self._size not in (None, size):
            raise DataError(
                f"frame {self.count} is of {size[0]}x{size[1]} pixels, those before it of "
                f"{self._size[0]}x{self._size[1]}: a depth video is of one size"
            )
        self._size = size
        code, clipped = encode(disparity)
        write_image(self.folder / f"{self.count:06d}.png", code)
        self.count += 1
        self.clipped += clipped
        if self._preview is not None:
            self._preview.write(colourise(disparity, 0.0, 1.0))

    def __enter__(self) -> DepthVideo:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for unfinished in self.folder.glob("[0-9]*.png.partial"):
            unfinished.unlink()
        if self._preview is not None:
            self._preview.close()
        if self.count:
            self._describe(complete=kind is None)
        else:
            (self.folder / DESCRIPTION).unlink()
            self.folder.rmdir()

    def _describe(self, complete: bool) -> None:
        width, height = self._size or (None, None)
        content = {
            "format": FORMAT,
            **self._about,
            "complete": complete,
            "frames": self.count,
            "rate": self._rate,
            "width": width,
            "height": height,
            "code": {"scale": SCALE, "shift": SHIFT, "invalid": 0},
            "range": [LOW, HIGH],
            "clipped_pixels": self.clipped,
        }
        write_json(self.folder / DESCRIPTION, content)


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{folder} holds something else than a depth video: give another --output")


class _Preview:
    """An MP4 file that is moved into place when it is closed."""

    def __init__(self, path: Path, rate: float):
        self._path, self._rate = path, rate
        self._partial = path.with_name(f"partial-{path.name}")  # OpenCV goes by the suffix
        self._writer: cv2.VideoWriter | None = None

    def write(self, rgb: np.ndarray) -> None:
        """Adds a frame, uint8 (H, W, 3). Raises DataError where OpenCV cannot encode."""
        if self._writer is None:
            size = rgb.shape[1], rgb.shape[0]
            code = cv2.VideoWriter_fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(str(self._partial), code, self._rate, size)
            if not self._writer.isOpened():
                raise DataError(f"OpenCV cannot write {self._path}: leave out --preview")
        self._writer.write(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finishes the file, if there were frames."""
        if self._writer is not None:
            self._writer.release()
            self._partial.replace(self._path)
