"""Your own RGB-D recordings as a training source: folders in the layout of the evaluation."""

from __future__ import annotations

from bisect import bisect_right
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.frames import find_sequences, load_sequence


class Frames:
    """Frames with measured depth of a sequence, or of all sequences of a folder.

    The layout is that of ``depth_distill_ros.evaluation.frames``. Sequences without metric depth
    are left out. Depth 0 means "not measured" there and is unknown (NaN) here; nothing is known
    to be sky.

    Raises:
        DataError: there is no frame with depth.
    """

    def __init__(self, folder: str | Path):
        found = [load_sequence(path) for path in find_sequences(folder)]
        self._sequences = [s for s in found if not s.relative and any(s.depth_files)]
        self._measured = [
            [i for i, path in enumerate(s.depth_files) if path] for s in self._sequences
        ]
        self._starts = [0]
        for measured in self._measured:
            self._starts.append(self._starts[-1] + len(measured))
        if not len(self):
            raise DataError(
                f"{folder} has no frame with metric depth: a sequence needs depth/ and a "
                "depth_format of png_mm or npz_depth in intrinsics.json"
            )

    def __len__(self) -> int:
        return self._starts[-1]

    def name(self, index: int) -> str:
        """``<sequence>/<image>``."""
        number, offset = self._find(index)
        sequence = self._sequences[number]
        return f"{sequence.name}/{sequence.images[offset].stem}"

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        number, offset = self._find(index)
        try:
            frame = self._sequences[number][offset]
        except ImageError as error:
            raise DataError(str(error)) from error
        return frame.rgb, np.where(frame.depth > 0, frame.depth, np.float32(np.nan))

    def _find(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        number = bisect_right(self._starts, index) - 1
        return number, self._measured[number][index - self._starts[number]]
