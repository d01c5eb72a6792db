"""Scenarios of an end in the middle of the work: a signal while images stream."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from node_graph import SIZE, NodeGraph, noise, set_stamp
from ros_graph import ros_camera_info, ros_image, until

END_SECONDS = 10.0


@contextmanager
def streaming(graph: NodeGraph, rate: float = 60.0) -> Iterator[None]:
    """Images and camera_infos at a steady rate, faster than they are processed, in a thread."""
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    ended = threading.Event()

    def stream() -> None:
        while not ended.wait(1 / rate):
            graph.send(set_stamp(image, graph.next_stamp()), info)

    thread = threading.Thread(target=stream, name="stream")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def ends_while_images_stream(
    graph: NodeGraph, number: signal.Signals, delay: float, again: float | None = None
) -> float:
    """Sends a signal `delay` seconds after the third answer; how long the end took in seconds.

    With `again` the same signal comes once more so many seconds later. Fails where the node takes
    longer than `END_SECONDS`, or does not end as it should.
    """
    process, answers = graph.process, graph.seen["relative/image"].stamps
    with streaming(graph):
        until(lambda: len(answers) >= 3, 60, f"no answers: {process.log}")
        time.sleep(delay)
        started = time.monotonic()
        process.signal(number)
        if again is not None:
            time.sleep(again)
            if process.is_running:
                process.signal(number)
        status = process.wait(END_SECONDS)
    seconds = time.monotonic() - started
    assert status == 0, f"{number.name} after {delay:.3f} s: status {status}: {process.log}"
    log = process.log
    assert "Traceback" not in log and "was lost by" not in log, f"{number.name}: {log}"
    assert "frames in work took more" not in log and " 0 refused, 0 failed" in log, log
    return seconds
