"""Signals that end a run: the step that runs is finished and saved first."""

from __future__ import annotations

import os
import signal
import threading
import time

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A launcher hands a signal on that a terminal or scheduler has sent to all: the same request.
_ECHO = 10.0


class Interrupted(Exception):
    """A run was asked to stop and has saved where it stands.

    Attributes:
        status: the exit status that shells expect, 128 + the signal's number.
    """

    def __init__(self, number: int, message: str):
        super().__init__(message)
        self.status = 128 + number


class StopRequest:
    """Inside a ``with`` statement, notes SIGINT and SIGTERM instead of ending the process.

    The same signal again, more than ten seconds after the first, acts at once. Outside of the main
    thread, where Python cannot handle signals, nothing is noted.

    Attributes:
        number: of the signal received, or 0.
    """

    def __init__(self) -> None:
        self.number = 0
        self._since = 0.0
        self._before: dict = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, _frame: object) -> None:
        if not self.number:
            self.number, self._since = number, time.monotonic()
            os.write(2, f"\n{signal.Signals(number).name}: finishing this step\n".encode())
        elif time.monotonic() - self._since > _ECHO:
            self.__exit__()
            signal.raise_signal(number)
