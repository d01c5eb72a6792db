"""The newest item of a stream: no backlog, in order, and errors that arrive."""

from __future__ import annotations

import threading
import time

import pytest

from depth_distill_ros.ros.newest import newest


def capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "capture"]


def test_a_slow_consumer_gets_the_newest_and_no_backlog():
    def camera():
        for number in range(40):
            time.sleep(0.01)
            yield number, time.monotonic()

    taken, ages = [], []
    for number, made in newest(camera()):
        taken.append(number)
        ages.append(time.monotonic() - made)
        time.sleep(0.055)
    assert taken == sorted(set(taken)) and 3 <= len(taken) <= 12
    assert sorted(ages)[len(ages) // 2] < 0.1, "a camera's period, not a queue of them"


def test_a_fast_consumer_gets_everything():
    def camera():
        for number in range(10):
            time.sleep(0.02)
            yield number

    assert list(newest(camera())) == list(range(10))
    assert list(newest(iter(()))) == []


def test_an_error_arrives_after_the_last_item():
    def camera():
        yield 1
        raise OSError("unplugged")

    items = newest(camera())
    assert next(items) == 1
    with pytest.raises(OSError, match="unplugged"):
        next(items)


def test_whoever_stops_taking_ends_the_thread():
    def camera():
        while True:
            time.sleep(0.005)
            yield 0

    items = newest(camera())
    next(items)
    assert capture_threads()
    items.close()
    assert not capture_threads()
