"""Videos to read: files that OpenCV decodes, and folders of images in the order of their names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError, UserError
from depth_distill_ros.evaluation.frames import IMAGE_SUFFIXES, NOMINAL_RATE
from depth_distill_ros.evaluation.images import read_rgb
from depth_distill_ros.ros.capture import Capture, open_video, video_frames, video_rate

VIDEO_SUFFIXES = (
    ".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts",
    ".webm", ".wmv",
)  # fmt: skip


class Video:
    """An open video: an iterable, once, of uint8 RGB (H, W, 3) and seconds since the first frame.

    Frames are read as they are asked for. It ends where reading fails, so that what is there can be
    used; `problem` says then what happened.

    Attributes:
        rate: frames a second.
        count: how many frames there are; of a file, what it states, which may be a guess, None
            where it states nothing.
        problem: an ImageError or DataError.
    """

    def __init__(self, rate: float, count: int | None, frames: Iterator[tuple[np.ndarray, float]]):
        self.rate, self.count = rate, count
        self.problem: UserError | None = None
        self._frames = frames

    def __iter__(self) -> Iterator[tuple[np.ndarray, float]]:
        try:
            yield from self._frames
        except UserError as error:
            self.problem = error


def is_video(path: Path) -> bool:
    """Whether a path is a folder, or has a name as video files have."""
    return path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES


def video_name(path: Path) -> str:
    """What the results of a video are called: a file's name without suffix, a folder's name."""
    return path.resolve().name if path.is_dir() else path.stem


def open_frames(path: Path, rate: float | None = None) -> Video:
    """Opens a video file, or a folder of images.

    rate: frames a second, if not what the file states; of a folder 30 without it.

    Raises DataError where nothing can be read, or a file states no rate.
    """
    if path.is_dir():
        return _folder(path, rate or NOMINAL_RATE)
    capture = open_video(path)
    stated = round(capture.source.get(cv2.CAP_PROP_FRAME_COUNT))
    rate = rate or video_rate(capture)
    return Video(rate, stated if stated > 0 else None, _decoded(capture, rate))


def _folder(folder: Path, rate: float) -> Video:
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        inside = ": give its folder rgb/" if (folder / "rgb").is_dir() else ""
        raise DataError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}){inside}")
    frames = ((read_rgb(path), index / rate) for index, path in enumerate(images))
    return Video(rate, len(images), frames)


def _decoded(capture: Capture, rate: float) -> Iterator[tuple[np.ndarray, float]]:
    start = None
    try:
        for stamp, rgb in video_frames(capture, rate, "what is there was used"):
            start = stamp if start is None else start
            yield rgb, (stamp - start) / 1e9
    finally:
        capture.close()
