"""Virtual KITTI 2's drives as clips of consecutive frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.clips import Clip
from training.data.virtual_kitti.files import Row
from training.data.virtual_kitti.source import VirtualKitti

RATE = 10.0
"""Frames a second of KITTI, which the drives reproduce."""


class VirtualKittiClips:
    """Stretches of the official drives, each half over the one before it.

    Indexing gives a :class:`~depth_distill_ros.evaluation.clips.Clip` without poses: 352×1216
    pixels, depth of 80 m and more infinitely far (0).

    Args:
        root: folder of the archives or of the scenes.
        length: frames of a clip.
        frames: a list of frames; None takes the 20,148 of the papers.

    Raises:
        DataError: frames are missing, an archive is damaged, or no drive is so long.
    """

    def __init__(self, root: str | Path, length: int, frames: Path | None = None):
        self._frames = VirtualKitti(root, frames)
        self._clips = list(_stretches(self._frames.rows, length))
        if not self._clips:
            raise DataError(f"{root} has no {length} frames in a row: take shorter clips")

    def __len__(self) -> int:
        return len(self._clips)

    def name(self, index: int) -> str:
        """``Scene02/clone/Camera_0/00000``: that of the first frame."""
        return self._frames.name(self._clips[index][0])

    def __getitem__(self, index: int) -> Clip:
        numbers = self._clips[index]
        rgb, depth = zip(*(self._frames[number] for number in numbers), strict=True)
        return Clip(
            name=self.name(index),
            kind="outdoor/road",
            rgb=np.stack(rgb),
            depth=np.stack(depth),
            stamps=np.arange(len(numbers)) / RATE,
            cuts=(),
            moving=True,
        )


def _stretches(rows: list[Row], length: int):
    """Lists of ``length`` numbers of rows that follow each other in one drive."""
    order = sorted(range(len(rows)), key=lambda k: (rows[k].drive.part, rows[k].frame))
    run: list[int] = []
    for number in order:
        row, last = rows[number], rows[run[-1]] if run else None
        if last is not None and (row.drive != last.drive or row.frame != last.frame + 1):
            run = []
        run.append(number)
        if len(run) == length:
            yield run
            run = run[max(1, length // 2) :]
