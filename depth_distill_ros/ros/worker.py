"""One thread that works on the newest frame: what arrives meanwhile replaces what waits."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

Frame = TypeVar("Frame")

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


class NewestFrameWorker(Generic[Frame]):
    """Runs `process` on frames in a thread of its own, in order, the newest only.

    There is one place for a waiting frame, so a slow `process` makes frames drop, never queue up:
    what comes out is as recent as it can be.

    Args:
        process: works on one frame; called in the thread.
        on_error: told of an exception of `process`, in the thread, which then goes on.
        name: of the thread.
    """

    def __init__(
        self,
        process: Callable[[Frame], None],
        on_error: Callable[[Exception], None],
        name: str = "inference",
    ):
        self._process = process
        self._on_error = on_error
        self._changed = threading.Condition()
        self._waiting: Frame | None = None
        self._stopping = False
        self._received = self._processed = self._dropped = self._failed = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread; frames handed in earlier are kept as the newest one only."""
        self._thread.start()

    def submit(self, frame: Frame) -> None:
        """Hands in a frame, which replaces the waiting one; returns at once. Any thread may call.

        After the stop frames are dropped.
        """
        if frame is None:
            raise TypeError("a frame must not be None")
        with self._changed:
            self._received += 1
            if self._stopping:
                self._dropped += 1
                return
            if self._waiting is not None:
                self._dropped += 1
            self._waiting = frame
            self._changed.notify()

    def stop(self, timeout: float | None = None) -> bool:
        """Ends the thread after the frame in work; the waiting one is dropped.

        Returns whether the thread has ended within `timeout` seconds. May be called twice.
        """
        with self._changed:
            self._stopping = True
            if self._waiting is not None:
                self._waiting = None
                self._dropped += 1
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def counts(self) -> WorkerCounts:
        with self._changed:
            return WorkerCounts(self._received, self._processed, self._dropped, self._failed)

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._waiting is None and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                frame, self._waiting = self._waiting, None
            failed = not self._process_one(frame)
            del frame  # an image must not stay in memory until the next one comes
            with self._changed:
                self._processed += not failed
                self._failed += failed

    def _process_one(self, frame: Frame) -> bool:
        try:
            self._process(frame)
        except Exception as error:  # a bad frame must not end the thread
            try:
                self._on_error(error)
            except Exception:
                _logger.exception("the error of a frame could not be reported")
            return False
        return True
