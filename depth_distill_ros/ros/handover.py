"""A second thread that finishes what a first one hands over, while that one goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Handover(Generic[Item]):
    """Runs `work` on one item at a time, in a thread of its own and in the order of `give`.

    Nothing queues up: whoever gives waits until the item before is finished, and so is one item
    ahead at most.

    Args:
        work: called in the thread with each item; must not raise.
        name: of the thread.
    """

    def __init__(self, work: Callable[[Item], None], name: str):
        self._work = work
        self._changed = threading.Condition()
        self._given: list[Item] = []  # one, until the thread takes it
        self._is_busy = False
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def give(self, item: Item) -> bool:
        """Hands over an item, once that before it is finished.

        Returns whether it is worked on: after `stop`, also one that came meanwhile, nothing is.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._is_busy)
            if self._closed:
                return False
            self._is_busy = True
            self._given.append(item)
            self._changed.notify_all()
            return True

    def stop(self, timeout: float | None = None) -> bool:
        """Takes no more items and ends the thread after the one that it was given.

        Returns whether the thread has ended within `timeout` seconds. May be called twice.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._given)
                if not self._given:
                    return
                item = self._given.pop()
            self._work(item)
            del item  # it must not stay in memory until the next one comes
            with self._changed:
                self._is_busy = False
                self._changed.notify_all()
