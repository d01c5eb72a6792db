"""What a run of the graph plays: a bag, given or written from frames, with the depth if known."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.bag import ImageTopics, find_images, write_frames_bag
from depth_distill_ros.evaluation.frames import find_sequences, load_sequence

CAMERA_RATE = (10.0, 30.0)
"""Sequences are played at their own rate, brought into this range, in frames a second."""


@dataclass(frozen=True)
class Source:
    """A bag with images, and what is known about them.

    Attributes:
        depth: measured depth (H, W) in metres of the image with a header stamp, 0 where invalid;
            None where there is none.
    """

    name: str
    bag: Path
    topics: ImageTopics
    depth: Callable[[int], np.ndarray | None]


def bag_source(bag: Path, topic: str | None = None) -> Source:
    """A recorded bag; nothing is known about its depth. Raises BagError without images."""
    return Source(bag.name, bag, find_images(bag, topic), lambda stamp: None)


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

    return Source(sequence.name, bag, find_images(bag), depth)
