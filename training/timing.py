"""Where the time of a training step goes: named spans in the code, recorded only while profiling.

``with span("teacher"): …`` costs a microsecond when nobody records. A span's time excludes that of
spans inside it. Work on a GPU is waited for at both ends of a span, so it counts where it was
asked for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

PHASES = ("data", "encode", "teacher", "student", "loss", "backward", "optimizer")
"""What a training step consists of. "encode" is the frozen autoencoder and prior, "student" the
trained network and what decodes its output, "optimizer" includes clipping and the average."""


class Recorder:
    """Seconds by span while ``recording`` is open.

    Attributes:
        seconds: time spent in each span so far.
        clock: gives seconds; to be replaced in tests.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        self.seconds: dict[str, float] = {}
        self.clock = clock
        self._open: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        """A span begins."""
        self._charge()
        self._open.append(name)

    def leave(self) -> None:
        """The innermost open span ends."""
        self._charge()
        self._open.pop()

    def _charge(self) -> None:
        if torch.cuda.is_available() and torch.cuda.is_initialized():
            torch.cuda.synchronize()
        now = self.clock()
        if self._open:
            name = self._open[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


_recorder: Recorder | None = None


@contextmanager
def span(name: str) -> Iterator[None]:
    """Count what happens inside as ``name``, one of ``PHASES``."""
    recorder = _recorder
    if recorder is None:
        yield
        return
    recorder.enter(name)
    try:
        yield
    finally:
        recorder.leave()


@contextmanager
def recording() -> Iterator[Recorder]:
    """Record all spans of this process until the end of the ``with`` statement."""
    global _recorder
    before, _recorder = _recorder, Recorder()
    try:
        yield _recorder
    finally:
        _recorder = before
