"""Folders of images as clips without depth: frames of videos, in the order of their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.clips import Clip
from depth_distill_ros.evaluation.frames import IMAGE_SUFFIXES, NOMINAL_RATE
from depth_distill_ros.evaluation.images import read_rgb


class VideoFrames:
    """Stretches of the videos below a folder, each half over the one before it.

    A folder with images is a video; of one with a folder ``rgb``, as the evaluation's sequences
    are, that alone counts. Indexing gives a :class:`~depth_distill_ros.evaluation.clips.Clip` in
    the images' own size whose depth is unknown (NaN) everywhere, 30 frames a second.

    Args:
        root: the folder.
        frames: of a sample. Clips have up to 2 · frames - 1, so that samples may leave out every
            other one; shorter videos are left out.

    Raises:
        DataError: it is no folder, or no video is so long.
    """

    def __init__(self, root: str | Path, frames: int):
        self._root = Path(root)
        if not self._root.is_dir():
            raise DataError(f"there is no folder {root} with frames of videos")
        videos = [video for video in _videos(self._root) if len(video) >= frames]
        if not videos:
            raise DataError(
                f"no folder below {root} holds {frames} images ({', '.join(IMAGE_SUFFIXES)}): take "
                "shorter clips (data.frames), or unpack the frames of videos there"
            )
        self._clips = [clip for video in videos for clip in _stretches(video, 2 * frames - 1)]

    def __len__(self) -> int:
        return len(self._clips)

    def name(self, index: int) -> str:
        """The first image's path relative to the folder."""
        return self._clips[index][0].relative_to(self._root).as_posix()

    def __getitem__(self, index: int) -> Clip:
        try:
            images = [read_rgb(path) for path in self._clips[index]]
        except ImageError as error:
            raise DataError(str(error)) from error
        if len({image.shape for image in images}) > 1:
            raise DataError(f"the images from {self._clips[index][0]} on differ in size")
        rgb = np.stack(images)
        return Clip(
            name=self.name(index),
            kind="video",
            rgb=rgb,
            depth=np.full(rgb.shape[:3], np.nan, np.float32),
            stamps=np.arange(len(rgb)) / NOMINAL_RATE,
            cuts=(),
            moving=True,
        )


def _videos(folder: Path) -> list[list[Path]]:
    if (folder / "rgb").is_dir():
        return _videos(folder / "rgb")
    inside = sorted(folder.iterdir())
    images = [path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES]
    if images:
        return [images]
    return [video for path in inside if path.is_dir() for video in _videos(path)]


def _stretches(video: list[Path], longest: int) -> list[list[Path]]:
    length = min(len(video), longest)
    firsts = range(0, len(video) - length + 1, max(1, length // 2))
    return [video[first : first + length] for first in firsts]
