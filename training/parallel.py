"""Calls shared out over worker processes that tick for every item they finish."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any


def run_in_processes(
    function: Callable[..., None],
    calls: Sequence[tuple],
    workers: int,
    start: Callable[[Any, Any], None],
    argument: Any,
    tick: Callable[[int], object],
) -> None:
    """Run ``function(*call)`` for every call; what one of them raises is raised here.

    The processes end with this one, even when it is killed.

    Args:
        function: of a module, as the processes are spawned.
        calls: arguments of each call.
        workers: processes at most.
        start: called in each process first, with ``argument`` and a queue: ``queue.put(n)`` says
            that n items are done.
        argument: for ``start``.
        tick: called here with each n.
    """
    context = multiprocessing.get_context("spawn")
    ticks = context.Queue()
    given = (start, argument, ticks)
    pool = ProcessPoolExecutor(min(workers, len(calls)), context, _begin, given)
    try:
        pending = {pool.submit(function, *call) for call in calls}
        while pending:
            try:
                tick(ticks.get(timeout=0.5))
            except queue.Empty:
                pass
            finished = {future for future in pending if future.done()}
            for future in finished:
                future.result()
            pending -= finished
        while not ticks.empty():
            tick(ticks.get())
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(start: Callable[[Any, Any], None], argument: Any, ticks: Any) -> None:
    """What each process does first."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(argument, ticks)


def _end_with_parent() -> None:
    """End this process once its parent has: a pool's processes would wait for calls forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in processes of a pool"
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
