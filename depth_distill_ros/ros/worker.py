"""Works on the newest frame of each source, in two threads: what arrives meanwhile replaces it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

from depth_distill_ros.ros.handover import Handover

Frame = TypeVar("Frame")
Answer = TypeVar("Answer")

SILENT_SECONDS = 1.0
"""A source that has sent nothing for so long is not waited for: its camera may be dead."""

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerCounts:
    """What became of the frames handed in.

    received = processed + failed + dropped, and at most three more: one waiting for its turn, one
    in work, one being finished.

    Attributes:
        received: frames handed in.
        processed: frames worked on to the end.
        dropped: frames replaced by a newer one before their turn, or still waiting at the stop.
        failed: frames that raised on their way.
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


class NewestFrameWorker(Generic[Frame, Answer]):
    """Runs `process` on frames in a thread of its own, the newest of each source only.

    Each source has one place for a waiting frame, so a slow `process` makes frames drop, never
    queue up: what comes out is as recent as it can be. Frames that wait together are processed
    together; sources whose last turn was longest ago come first, so that none starves another.

    What remains to be done of them, `finish` does in a second thread, while `process` is on the
    next frames already: on those, but not on any after them. Both see frames in the same order.

    Args:
        process: works on frames by source; what it returns is handed to `finish`.
        finish: goes on with that; returns the sources whose frame failed.
        on_error: told, in its thread, of an exception of either, with which all its frames fail.
        sources: their names.
        deadline: seconds that a frame may wait for those of the other sources, to be processed
            with them. Sources that have been silent for a second are not waited for.
        batch: how many frames are processed at once, at most.
    """

    def __init__(
        self,
        process: Callable[[dict[str, Frame]], Answer],
        finish: Callable[[Answer], Collection[str]],
        on_error: Callable[[Exception], None],
        sources: Sequence[str] = ("",),
        deadline: float = 0.0,
        batch: int = 8,
    ):
        self._process = process
        self._finish = finish
        self._on_error = on_error
        self._deadline = deadline
        self._batch = batch
        self._slots: dict[str, _Slot[Frame]] = {source: _Slot() for source in sources}
        self._changed = threading.Condition()
        self._stopping = False
        self._turns = 0
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._handover: Handover[tuple[list[str], Answer]] = Handover(self._complete, "publishing")

    def start(self) -> None:
        """Starts the threads; frames handed in earlier are kept as the newest one only."""
        self._handover.start()
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
        """Ends the threads after the frames in work; those that wait are dropped.

        Returns whether the threads have ended within `timeout` seconds. Where they have not, what
        is still processed then is not finished any more, but dropped. May be called twice.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            self._stopping = True
            for slot in self._slots.values():
                if slot.waiting is not None:
                    slot.waiting = None
                    slot.dropped += 1
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        return self._handover.stop(left) and not self._thread.is_alive()

    def counts(self, source: str = "") -> WorkerCounts:
        """What became of a source's frames."""
        with self._changed:
            slot = self._slots[source]
            return WorkerCounts(slot.received, slot.processed, slot.dropped, slot.failed)

    def _run(self) -> None:
        while frames := self._take():
            sources = list(frames)
            try:
                answer = self._process(frames)
            except Exception as error:  # a bad frame must not end the thread
                self._tell(error)
                self._count(sources, failed=sources)
                continue
            finally:
                del frames  # images must not stay in memory until the next ones come
            if not self._handover.give((sources, answer)):
                self._count(sources, dropped=sources)
            del answer

    def _complete(self, work: tuple[list[str], Answer]) -> None:
        sources, answer = work
        try:
            failed = self._finish(answer)
        except Exception as error:
            self._tell(error)
            failed = sources
        self._count(sources, failed)

    def _tell(self, error: Exception) -> None:
        try:
            self._on_error(error)
        except Exception:
            _logger.exception("the error of a frame could not be reported")

    def _count(
        self, sources: list[str], failed: Collection[str] = (), dropped: Collection[str] = ()
    ) -> None:
        """Adds frames that have come to their end."""
        with self._changed:
            for source in sources:
                slot = self._slots[source]
                slot.failed += source in failed
                slot.dropped += source in dropped
                slot.processed += source not in failed and source not in dropped

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
