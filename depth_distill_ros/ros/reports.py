"""What the node has to tell besides depth: problems, once per cause, and where the time goes."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MAX_CAUSES = 100


class ProblemLog:
    """Logs a problem the first time and counts it every time. Any thread may report.

    Two messages that differ in numbers only have the same cause. After 100 causes, which only
    garbage on the wire can bring about, further ones share one count and are not logged.
    """

    def __init__(self, log: Callable[[str], None]):
        self._log = log
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def report(self, message: str) -> None:
        """Counts the problem and, where its cause is new, logs it as one line."""
        message = " ".join(message.split())
        cause = re.sub(r"\d+", "#", message)
        with self._lock:
            if cause not in self._counts and len(self._counts) >= MAX_CAUSES:
                cause = "other"
            self._counts[cause] += 1
            is_new = self._counts[cause] == 1 and cause != "other"
        if is_new:
            self._log(f"{message} (logged once)")

    @property
    def counts(self) -> dict[str, int]:
        """How often each cause was reported; numbers in it are written as #."""
        with self._lock:
            return dict(self._counts)


@dataclass
class StageTime:
    """How often a stage ran, and for how many seconds in all."""

    runs: int = 0
    seconds: float = 0.0


class StageTimes:
    """Mean wall-clock time of the stages of a frame. For one thread."""

    def __init__(self) -> None:
        self._stages: dict[str, StageTime] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time spent in the context to the stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            entry = self._stages.setdefault(stage, StageTime())
            entry.runs += 1
            entry.seconds += time.perf_counter() - started

    def summary(self) -> str:
        """As "decode 0.61 ms, infer 48.20 ms": means over the runs, in the order of first use."""
        return ", ".join(
            f"{name} {1000 * stage.seconds / stage.runs:.2f} ms"
            for name, stage in self._stages.items()
        )
