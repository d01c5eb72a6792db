"""A camera's stream: images one after the other, each seeing what is remembered of those before."""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from depth_distill_ros.errors import ImageError
from depth_distill_ros.inference.depth_map import DepthMap
from depth_distill_ros.inference.engines import Engine, Memory
from depth_distill_ros.inference.scene_cut import is_cut, thumbnail

MAX_GAP = 1.0
"""Seconds without an image after which those before it say little about the next one."""

BACK, GAP, SIZE, CUT, ASKED = "time went back", "long gap", "new size", "scene cut", "asked for"
REASONS = (BACK, GAP, SIZE, CUT, ASKED)
"""Why a stream forgets what it has seen."""


class StreamEstimator(Protocol):
    """What a stream asks of its `DepthEstimator`."""

    engine: Engine

    def infer_streams(
        self,
        images: Sequence[np.ndarray],
        streams: Sequence[DepthStream],
        stamps: Sequence[float],
        resolution: tuple[int, int] | None = None,
    ) -> list[np.ndarray]: ...


@dataclass(frozen=True)
class _Frame:
    """What of a frame makes the next one belong to it, or not."""

    stamp: float
    sizes: tuple[tuple[int, ...], tuple[int, ...]]
    thumbnail: np.ndarray


@dataclass(frozen=True)
class Step:
    """A frame before its inference: what it may look at. Its stream has not changed yet.

    Attributes:
        stamps: float64 (M,), of the remembered frames; -inf where there is none in sight.
        memory: of those frames; None where there is no room of this size yet.
        slot: where the frame will be remembered.
        reason: why all before it is forgotten; None where it is not.
    """

    stamps: np.ndarray
    memory: Memory | None
    slot: int
    reason: str | None
    frame: _Frame
    epoch: int

    @property
    def ages(self) -> np.ndarray:
        """float32 (M,), seconds since each remembered frame; inf where it is out of sight."""
        return (self.frame.stamp - self.stamps).astype(np.float32)


class DepthStream:
    """The state of one camera: at most ``window`` - 1 frames are remembered, whatever comes.

    A stream forgets by itself, and counts why, when an image's stamp is before the last one's or
    more than ``max_gap`` after it, when its size or the working size changes, and at a scene cut.
    The frame it happens at gets what a new stream would give. An image with the stamp of the last
    one is taken for that frame again, and replaces it.

    One thread at a time may hand in images; any may call `reset`, and read the attributes.

    Attributes:
        window: frames that a frame sees, itself among them.
        max_gap: seconds.
        last_reset: the last reason; None before the first reset.
    """

    def __init__(self, estimator: StreamEstimator, window: int, max_gap: float = MAX_GAP):
        self.window, self.max_gap = window, max_gap
        self.last_reset: str | None = None
        self._estimator = estimator
        self._lock = threading.Lock()
        self._resets: Counter[str] = Counter()
        self._epoch = 0
        self._last: _Frame | None = None
        self._memory: Memory | None = None
        self._stamps = np.full(window - 1, -np.inf)

    def __call__(
        self, rgb: np.ndarray, stamp: float, resolution: tuple[int, int] | None = None
    ) -> DepthMap:
        """Estimates the disparity of the next image.

        Args:
            rgb: as in `DepthEstimator.__call__`.
            stamp: seconds, from any origin; float64 keeps absolute times to a microsecond.
            resolution: as in `DepthEstimator.__call__`.

        Raises:
            ImageError: the array cannot be used, or the stamp is not a finite number.
            OutOfMemoryError: the image does not fit the device's memory; nothing was forgotten.
        """
        return DepthMap.of_size(self.infer(rgb, stamp, resolution), *rgb.shape[:2])

    def infer(
        self, rgb: np.ndarray, stamp: float, resolution: tuple[int, int] | None = None
    ) -> np.ndarray:
        """The same as `DepthEstimator.infer` gives it: float32 (h, w) of the network's size."""
        return self._estimator.infer_streams([rgb], [self], [stamp], resolution)[0]

    @property
    def frames(self) -> int:
        """How many frames are remembered now."""
        return int(np.isfinite(self._stamps).sum())

    @property
    def resets(self) -> dict[str, int]:
        """How often it forgot, by reason (``REASONS``)."""
        with self._lock:
            return dict(self._resets)

    @property
    def reach(self) -> int:
        """How many frames back an answer may depend on: what is remembered has seen others."""
        return self._estimator.engine.info.temporal_layers * (self.window - 1)

    def reset(self) -> None:
        """Forgets all frames: the next one begins anew. Allowed beside a running inference."""
        with self._lock:
            self._epoch += 1
            self._forget(ASKED)

    def begin(self, image: np.ndarray, size: tuple[int, ...], stamp: float) -> Step:
        """What a frame may look at; nothing changes before `finish`.

        Args:
            image: uint8 RGB (h, w, 3) of the working size.
            size: of the image before it was resized.
            stamp: seconds.
        """
        frame = _Frame(stamp, (tuple(size), image.shape), thumbnail(image))
        with self._lock:
            reason = self._reason_to_forget(frame)
            stamps = np.full_like(self._stamps, -np.inf) if reason else self._stamps.copy()
            stamps[stamps == stamp] = -np.inf  # the same frame again
            slot = int(stamps.argmin()) if stamps.size else 0
            memory = None if reason == SIZE else self._memory
            return Step(stamps, memory, slot, reason, frame, self._epoch)

    def finish(self, step: Step, memory: Memory, entry: Memory | None) -> None:
        """Remembers a frame that was inferred.

        Args:
            step: what `begin` gave for it.
            memory: that it was inferred with.
            entry: what the network keeps of it, (1, ENTRIES, h·w, heads, 1, channels / heads) a
                module; None for a frame that is better not remembered.
        """
        with self._lock:
            if step.epoch != self._epoch:
                return  # `reset` came in between: what the frame has seen is to be forgotten
            if step.reason is not None:
                self._forget(step.reason)
            self._memory, self._last, self._stamps = memory, step.frame, step.stamps
            if entry is not None and step.stamps.size:
                self._estimator.engine.remember(memory, step.slot, entry)
                step.stamps[step.slot] = step.frame.stamp

    def _reason_to_forget(self, frame: _Frame) -> str | None:
        last = self._last
        if last is None:
            return None
        if frame.sizes != last.sizes:
            return SIZE
        if frame.stamp < last.stamp:
            return BACK
        if frame.stamp - last.stamp > self.max_gap:
            return GAP
        return CUT if is_cut(last.thumbnail, frame.thumbnail) else None

    def _forget(self, reason: str) -> None:
        if self._last is None:  # nothing has been seen since the last time
            return
        self._last = self._memory = None
        self._stamps.fill(-np.inf)
        self._resets[reason] += 1
        self.last_reset = reason


def check_stamp(stamp: float) -> None:
    """Refuse what is no time in seconds (ImageError)."""
    if not math.isfinite(stamp):
        raise ImageError(
            f"the stamp of an image must be a finite number of seconds, got {stamp}: "
            "give the time at which it was taken, from any origin"
        )
