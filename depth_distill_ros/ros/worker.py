"""One thread that works on the newest frame of each source: what arrives meanwhile replaces it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

Frame = TypeVar("Frame")

SILENT_SECONDS = 1.0
"""A source that has sent nothing for so long is not waited for: its camera may be dead."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerCounts:
    """What became of the frames handed in.

    received = processed + failed + dropped, and at most two more: one waiting, one in work.

    Attributes:
        received: frames handed in.
        processed: frames worked on to the end.
        dropped: frames replaced by a newer one before their turn, or still waiting at the stop.
        failed: frames whose processing raised.
    """

    received: int = 0
    processed: int = 0
    dropped: int = 0
    failed: int = 0

    def __add__(self, other: WorkerCounts) -> WorkerCounts:
        names = [field.name for field in fields(self)]
        return WorkerCounts(*(getattr(self, name) + getattr(other, name) for name in names))


class _Slot(Generic[Frame]):
    """The waiting frame of one source, and its counts."""

    def __init__(self) -> None:
        self.waiting: Frame | None = None
        self.since = 0.0
        self.turn = 0
        self.last_seen = float("-inf")
        self.received = self.processed = self.dropped = self.failed = 0


class NewestFrameWorker(Generic[Frame]):
    """Runs `process` on frames in a thread of its own, the newest of each source only.

    Each source has one place for a waiting frame, so a slow `process` makes frames drop, never
    queue up: what comes out is as recent as it can be. Frames that wait together are processed
    together; sources whose last turn was longest ago come first, so that none starves another.

    Args:
        process: works on frames by source; called in the thread. Returns the sources whose frame
            failed; if it raises, all have.
        on_error: told of an exception of `process`, in the thread, which then goes on.
        sources: their names.
        deadline: seconds that a frame may wait for those of the other sources, to be processed
            with them. Sources that have been silent for a second are not waited for.
        batch: how many frames are processed at once, at most.
        name: of the thread.
    """

    def __init__(
        self,
        process: Callable[[dict[str, Frame]], Collection[str]],
        on_error: Callable[[Exception], None],
        sources: Sequence[str] = ("",),
        deadline: float = 0.0,
        batch: int = 8,
        name: str = "inference",
    ):
        self._process = process
        self._on_error = on_error
        self._deadline = deadline
        self._batch = batch
        self._slots: dict[str, _Slot[Frame]] = {source: _Slot() for source in sources}
        self._changed = threading.Condition()
        self._stopping = False
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread; frames handed in earlier are kept as the newest one only."""
        self._thread.start()

    def submit(self, frame: Frame, source: str = "") -> None:
        """Hands in a frame, which replaces the source's waiting one; returns at once.

        Any thread may call. After the stop frames are dropped.
        """
        if frame is None:
            raise TypeError("a frame must not be None")
        with self._changed:
            slot = self._slots[source]
            slot.received += 1
            slot.last_seen = time.monotonic()
            if self._stopping:
                slot.dropped += 1
                return
            if slot.waiting is None:
                slot.since = slot.last_seen
            else:
                slot.dropped += 1
            slot.waiting = frame
            self._changed.notify()

    def stop(self, timeout: float | None = None) -> bool:
        """Ends the thread after the frames in work; those that wait are dropped.

        Returns whether the thread has ended within `timeout` seconds. May be called twice.
        """
        with self._changed:
            self._stopping = True
            for slot in self._slots.values():
                if slot.waiting is not None:
                    slot.waiting = None
                    slot.dropped += 1
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def counts(self, source: str = "") -> WorkerCounts:
        """What became of a source's frames."""
        with self._changed:
            slot = self._slots[source]
            return WorkerCounts(slot.received, slot.processed, slot.dropped, slot.failed)

    def _run(self) -> None:
        while frames := self._take():
            failed = self._process_together(frames)
            sources = list(frames)
            del frames  # images must not stay in memory until the next ones come
            with self._changed:
                for source in sources:
                    self._slots[source].processed += source not in failed
                    self._slots[source].failed += source in failed

    def _take(self) -> dict[str, Frame]:
        """Waits for frames and takes them; empty at the stop."""
        with self._changed:
            while not self._stopping:
                patience = self._patience()
                if patience == 0:
                    break
                self._changed.wait(patience)
            waiting = [name for name, slot in self._slots.items() if slot.waiting is not None]
            waiting.sort(key=lambda name: self._slots[name].turn)
            taken = {}
            for name in waiting[: self._batch]:
                slot = self._slots[name]
                taken[name], slot.waiting = slot.waiting, None
                slot.turn = self._turns = self._turns + 1
            return taken

    def _patience(self) -> float | None:
        """Seconds to wait for further frames; None is for ever, 0 is: begin."""
        waiting = [slot for slot in self._slots.values() if slot.waiting is not None]
        if not waiting:
            return None
        now = time.monotonic()
        expected = [
            slot
            for slot in self._slots.values()
            if slot.waiting is None and now - slot.last_seen < SILENT_SECONDS
        ]
        if not expected or len(waiting) >= self._batch:
            return 0
        return max(0.0, min(slot.since for slot in waiting) + self._deadline - now)

    def _process_together(self, frames: dict[str, Frame]) -> Collection[str]:
        try:
            return self._process(frames)
        except Exception as error:  # a bad frame must not end the thread
            try:
                self._on_error(error)
            except Exception:
                _logger.exception("the error of a frame could not be reported")
            return frames.keys()
