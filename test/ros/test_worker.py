"""The newest frame only, in order, whatever a frame does to the thread."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.ros.worker import NewestFrameWorker, WorkerCounts

PATIENCE = 20.0


class Gate:
    """A frame processor that waits at a gate; `arrived` is set while it waits."""

    def __init__(self):
        self.done, self.errors = [], []
        self.arrived, self._open = threading.Semaphore(0), threading.Semaphore(0)
        self.worker = NewestFrameWorker(self._process, self.errors.append)
        self.worker.start()

    def _process(self, frame):
        self.arrived.release()
        assert self._open.acquire(timeout=PATIENCE)
        if frame == "bad":
            raise RuntimeError("bad frame")
        self.done.append(frame)

    def wait(self):
        assert self.arrived.acquire(timeout=PATIENCE)

    def open(self, times=1):
        self._open.release(times)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open(100)
    assert gate.worker.stop(PATIENCE)


def test_a_new_frame_replaces_the_waiting_one(gate):
    gate.worker.submit("first")
    gate.wait()  # first is in work, so the others compete for the one place
    for frame in ("second", "third", "fourth"):
        gate.worker.submit(frame)
    assert gate.worker.counts == WorkerCounts(received=4, processed=0, dropped=2, failed=0)
    gate.open()
    gate.wait()
    gate.open()
    assert gate.worker.stop(PATIENCE)
    assert gate.done == ["first", "fourth"]
    assert gate.worker.counts == WorkerCounts(received=4, processed=2, dropped=2, failed=0)


def test_an_exception_does_not_end_the_thread(gate):
    for frame in ("bad", "good"):
        gate.worker.submit(frame)
        gate.wait()
        gate.open()
    assert gate.worker.stop(PATIENCE)
    assert gate.done == ["good"]
    assert [str(error) for error in gate.errors] == ["bad frame"]
    assert gate.worker.counts == WorkerCounts(received=2, processed=1, dropped=0, failed=1)


def test_a_broken_error_handler_does_not_end_the_thread(caplog):
    handled, done = threading.Event(), threading.Event()

    def on_error(error):
        handled.set()
        raise KeyError("handler")

    worker = NewestFrameWorker(lambda frame: done.set() if frame else 1 / 0, on_error)
    worker.start()
    worker.submit(0)
    assert handled.wait(PATIENCE)
    worker.submit(1)
    assert done.wait(PATIENCE)
    assert worker.stop(PATIENCE)
    assert "could not be reported" in caplog.text


def test_stop_finishes_the_frame_in_work_and_drops_the_waiting_one(gate):
    gate.worker.submit("in work")
    gate.wait()
    gate.worker.submit("waiting")
    assert not gate.worker.stop(timeout=0.01)
    gate.open()
    assert gate.worker.stop(PATIENCE)
    gate.worker.submit("late")
    assert gate.done == ["in work"]
    assert gate.worker.counts == WorkerCounts(received=3, processed=1, dropped=2, failed=0)


def test_stop_without_start_or_frames_returns_at_once():
    worker = NewestFrameWorker(print, print)
    assert worker.stop(0)
    worker = NewestFrameWorker(print, print)
    worker.start()
    assert worker.stop(PATIENCE) and worker.stop(PATIENCE)


def test_the_frame_is_let_go_after_its_turn(gate):
    import weakref

    class Large:
        pass

    frame = Large()
    gone = weakref.ref(frame)
    gate.worker.submit(frame)
    del frame
    gate.wait()
    gate.done = type("Sink", (), {"append": lambda self, frame: None})()
    gate.open()
    deadline = time.monotonic() + PATIENCE
    while gone() is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert gone() is None


def test_none_is_not_a_frame(gate):
    with pytest.raises(TypeError):
        gate.worker.submit(None)


@settings(max_examples=25, deadline=None)
@given(pauses=st.lists(st.sampled_from([0.0, 0.0, 0.001]), min_size=1, max_size=30))
def test_frames_come_out_in_order_and_none_is_lost_from_the_counts(pauses):
    done = []
    worker = NewestFrameWorker(done.append, print)
    worker.start()
    for index, pause in enumerate(pauses):
        worker.submit(index)
        time.sleep(pause)
    assert worker.stop(PATIENCE)
    counts = worker.counts
    assert done == sorted(set(done))
    assert counts.received == len(pauses) == counts.processed + counts.dropped
    assert counts.processed == len(done)
