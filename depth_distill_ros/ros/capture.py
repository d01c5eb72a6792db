"""Frames of a video file or a camera, by OpenCV: opened with clear errors, each with its time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError

RATES = (0.5, 1000.0)
"""Frame rates that a video can mean, in Hz; some files state none, or their clock's rate."""

WHOLE = 0.9
"""A video with less than this part of the frames that it states was broken off. The number is a
guess from the duration in many containers, and sound may last longer than the picture."""


@dataclass(frozen=True)
class Capture:
    """An open video file or camera and its first frame, uint8 BGR (H, W, 3) as OpenCV has it."""

    name: str
    source: cv2.VideoCapture
    first: np.ndarray

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the frames; those that the file states may be of before a turn."""
        return self.first.shape[1], self.first.shape[0]

    def close(self) -> None:
        """Gives the file or the camera back."""
        self.source.release()


def open_video(path: Path) -> Capture:
    """Raises DataError where there is no file, or no frame in it that can be decoded."""
    if not path.is_file():
        raise DataError(f"there is no video file {path}")
    source = cv2.VideoCapture(str(path))
    found, first = source.read()
    if not found:
        source.release()
        raise DataError(
            f"{path} is no video that OpenCV can decode: convert it, for instance with "
            f"`ffmpeg -i {path.name} {path.stem}-h264.mp4`"
        )
    return Capture(path.name, source, first)


def open_camera(camera: str) -> Capture:
    """A camera of this machine by its number or its device, through Video4Linux.

    Raises DataError where there is none, it may not be read, or it gives no image.
    """
    device = Path(f"/dev/video{camera}" if camera.isdecimal() else camera)
    # OpenCV finds cameras by number only; names as in /dev/v4l/by-id are links.
    number = re.fullmatch(r"/dev/video(\d+)", str(device.resolve()))
    if not device.exists() or number is None:
        present = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*")))
        raise DataError(
            f"there is no camera {device}: this machine has {present or 'no /dev/video*'}"
        )
    if not os.access(device, os.R_OK | os.W_OK):
        raise DataError(
            f"{device} may not be read: `sudo usermod -aG video $USER`, then log in again"
        )
    source = cv2.VideoCapture(int(number[1]), cv2.CAP_V4L2)
    source.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # frames that wait in the driver are worth nothing
    found, first = source.read()
    if not found:
        source.release()
        raise DataError(
            f"{device} gives no image: another program is using it, or it is the second device "
            "that many cameras have, which is not the one of their images"
        )
    return Capture(str(device), source, first)


def video_rate(capture: Capture) -> float:
    """Frames a second as the file states. Raises DataError where it states nothing of use."""
    rate = capture.source.get(cv2.CAP_PROP_FPS)
    if not RATES[0] <= rate <= RATES[1]:
        raise DataError(f"{capture.name} states {rate:g} frames a second: give --rate")
    return rate


def video_frames(
    capture: Capture, rate: float, remedy: str = "`--seconds {:.1f}` plays what is there"
) -> Iterator[tuple[int, np.ndarray]]:
    """(stamp, RGB frame): the first now, in nanoseconds of the wall clock, the others at `rate` Hz.

    Raises DataError where the video ends before the length that it states, with a remedy, which
    may name the seconds that there are.
    """
    stated = capture.source.get(cv2.CAP_PROP_FRAME_COUNT)  # 0 or less where it is not known
    start, count = time.time_ns(), 0
    found, frame = True, capture.first
    while found:
        yield start + round(count * 1e9 / rate), cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1
        found, frame = capture.source.read()
    if count < WHOLE * stated - 1:
        raise DataError(
            f"{capture.name} ends after {count} of {stated:.0f} frames: it was cut off or damaged; "
            f"{remedy.format(count / rate)}"
        )


def camera_frames(capture: Capture) -> Iterator[tuple[int, np.ndarray]]:
    """(stamp, RGB frame) as the camera delivers; nanoseconds of the wall clock on its arrival.

    Raises DataError when no more come. The first frame is not among them: it is an old one.
    """
    count = 0
    while True:
        found, frame = capture.source.read()
        if not found:
            raise DataError(f"{capture.name} gave no more images after {count}: was it unplugged?")
        yield time.time_ns(), cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
        count += 1
