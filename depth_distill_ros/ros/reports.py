"""What the node has to tell besides depth: problems, once per cause, and where the time goes."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

MAX_CAUSES = 100

RECENT = 300
"""Runs of a stage that percentiles are over: ten seconds at camera rate."""


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


class StageTimes:
    """Wall-clock time of the stages of a frame. Any thread may ask while another measures."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs: Counter[str] = Counter()
        self._seconds: dict[str, float] = {}
        self._recent: dict[str, deque[float]] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time spent in the context to the stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def add(self, stage: str, seconds: float) -> None:
        """Adds one run of a stage."""
        with self._lock:
            self._runs[stage] += 1
            self._seconds[stage] = self._seconds.get(stage, 0.0) + seconds
            self._recent.setdefault(stage, deque(maxlen=RECENT)).append(seconds)

    def percentiles(self) -> dict[str, tuple[float, float]]:
        """Median and 99th percentile of each stage's last runs, in milliseconds."""
        with self._lock:
            recent = {name: list(values) for name, values in self._recent.items()}
        return {
            name: tuple(1000 * float(value) for value in np.percentile(values, (50, 99)))
            for name, values in recent.items()
        }

    def summary(self) -> str:
        """As "decode 0.61 ms, infer 48.20 ms": means over all runs, in the order of first use."""
        with self._lock:
            return ", ".join(
                f"{name} {1000 * self._seconds[name] / runs:.2f} ms"
                for name, runs in self._runs.items()
            )


def described(error: BaseException) -> str:
    """A defect of this package as a part of a line, with the place where it arose."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = ""
    if trace is not None:
        code = trace.tb_frame.f_code
        where = f" (in {code.co_name}, line {trace.tb_lineno} of {code.co_filename})"
    return f"{type(error).__name__}: {error}{where}"
