"""The newest item of a stream that cannot be asked to wait, as a camera's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")


def newest(items: Iterator[Item]) -> Iterator[Item]:
    """The newest item at each moment of an iterator that runs in a thread; older ones are dropped.

    Whoever takes them slowly gets no backlog. An exception of the iterator is raised here, after
    the last item.
    """
    changed = threading.Condition()
    waiting: list[Item] = []
    failures: list[BaseException] = []
    ended = False

    def drive() -> None:
        nonlocal ended
        try:
            for item in items:
                with changed:
                    waiting[:] = [item]
                    changed.notify()
                    if ended:
                        return
        except Exception as error:
            failures.append(error)
        with changed:
            ended = True
            changed.notify()

    thread = threading.Thread(target=drive, name="capture", daemon=True)
    thread.start()
    try:
        while True:
            with changed:
                changed.wait_for(lambda: waiting or ended)
                if not waiting:
                    break
                item = waiting.pop()
            yield item
            del item
        if failures:
            raise failures[0]
    finally:
        with changed:
            ended = True
        thread.join(timeout=1.0)
