"""Calls shared out over worker processes that tick for every item they finish."""

from __future__ import annotations

import multiprocessing
import queue
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
    pool = ProcessPoolExecutor(min(workers, len(calls)), context, start, (argument, ticks))
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
