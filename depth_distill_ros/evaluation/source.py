"""What a run of the graph plays: a bag, frames, a video or a camera, with the depth if known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.bag import ImageTopics, find_images, write_frames_bag
from depth_distill_ros.evaluation.frames import find_sequences, load_sequence
from depth_distill_ros.ros.capture import Capture, open_camera, open_video, video_rate

CAMERA_RATE = (10.0, 30.0)
"""Sequences are played at their own rate, brought into this range, in frames a second."""

KEPT_BYTES = 1e9
"""Of a video or a camera, images up to this size in all are kept: half a minute of 640x480."""


@dataclass(frozen=True)
class Source:
    """Images, and what is known about them.

    Attributes:
        player: arguments of the player that make it play them.
        bag: where they can be read; of a video or a camera, once they have been played, and only
            the first KEPT_BYTES of them.
        topics: in the bag.
        depth: measured depth (H, W) in metres of the image with a header stamp, 0 where invalid;
            None where there is none.
    """

    name: str
    player: tuple[str, ...]
    bag: Path
    topics: ImageTopics
    depth: Callable[[int], np.ndarray | None] = lambda stamp: None


def bag_source(bag: Path, topic: str | None = None) -> Source:
    """A recorded bag; nothing is known about its depth. Raises BagError without images."""
    topics = find_images(bag, topic)
    return Source(bag.name, _bag_arguments(bag, topics), bag, topics)


def frames_source(folder: Path, bag: Path, seconds: float, rate: float | None = None) -> Source:
    """Writes a sequence to a bag of the given length, repeated forth and back where it is short.

    Raises DataError for a folder without a sequence, ConfigError for one with several.
    """
    folders = find_sequences(folder)
    if len(folders) > 1:
        raise ConfigError(
            f"{folder} holds {len(folders)} sequences: give one of them, for instance {folders[0]}"
        )
    sequence = load_sequence(folders[0])
    rate = rate or float(np.clip(sequence.rate, *CAMERA_RATE))
    indices = write_frames_bag(sequence, bag, rate, seconds, start=time.time_ns())

    def depth(stamp: int) -> np.ndarray | None:
        return sequence[indices[stamp]].depth

    topics = find_images(bag)
    return Source(sequence.name, _bag_arguments(bag, topics), bag, topics, depth)


def video_source(video: Path, bag: Path, rate: float | None, fov: float | None) -> Source:
    """A video file, at its own rate without `rate`. Raises DataError where it cannot be played."""
    capture = open_video(video)
    rate = rate or video_rate(capture)
    arguments = ["--video", str(video), "--rate", str(rate)]
    return _captured(capture, arguments, bag, fov)


def camera_source(camera: str, bag: Path, fov: float | None) -> Source:
    """A camera by number or device. Raises DataError where it gives no images."""
    return _captured(open_camera(camera), ["--camera", camera], bag, fov)


def _captured(capture: Capture, arguments: list[str], bag: Path, fov: float | None) -> Source:
    capture.close()  # the player opens it again
    arguments += ["--keep", str(bag), "--keep-bytes", str(KEPT_BYTES)]
    camera_info = None
    if fov is not None:
        arguments += ["--fov", str(fov)]
        camera_info = "/camera_info"
    topics = ImageTopics("/image", camera_info, "rgb8", *capture.size)
    return Source(capture.name, tuple(arguments), bag, topics)


def _bag_arguments(bag: Path, topics: ImageTopics) -> tuple[str, ...]:
    arguments = ["--bag", str(bag), "--image", topics.image]
    if topics.camera_info is not None:
        arguments += ["--camera-info", topics.camera_info]
    return tuple(arguments)
