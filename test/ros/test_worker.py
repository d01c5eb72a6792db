"""The newest frame only, in order, whatever a frame does to the thread."""

from __future__ import annotations

import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.ros.worker import NewestFrameWorker, WorkerCounts

PATIENCE = 20.0
MOMENT = 0.05
"""Seconds in which what must not happen would have happened."""


def nothing_more(failed):
    """The second step of workers whose first returns what failed."""
    return failed


class Gate:
    """A frame processor that waits at a gate; `arrived` is set while it waits."""

    def __init__(self):
        self.done, self.errors = [], []
        self.arrived, self._open = threading.Semaphore(0), threading.Semaphore(0)
        self.worker = NewestFrameWorker(self._process, nothing_more, self.errors.append)
        self.worker.start()

    def _process(self, frames):
        (frame,) = frames.values()
        self.arrived.release()
        assert self._open.acquire(timeout=PATIENCE)
        if frame == "bad":
            raise RuntimeError("bad frame")
        self.done.append(frame)
        return ()

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
    assert gate.worker.counts() == WorkerCounts(received=4, processed=0, dropped=2, failed=0)
    gate.open()
    gate.wait()
    gate.open()
    assert gate.worker.stop(PATIENCE)
    assert gate.done == ["first", "fourth"]
    assert gate.worker.counts() == WorkerCounts(received=4, processed=2, dropped=2, failed=0)


def test_an_exception_does_not_end_the_thread(gate):
    for frame in ("bad", "good"):
        gate.worker.submit(frame)
        gate.wait()
        gate.open()
    assert gate.worker.stop(PATIENCE)
    assert gate.done == ["good"]
    assert [str(error) for error in gate.errors] == ["bad frame"]
    assert gate.worker.counts() == WorkerCounts(received=2, processed=1, dropped=0, failed=1)


def test_a_broken_error_handler_does_not_end_the_thread(caplog):
    handled, done = threading.Event(), threading.Event()

    def on_error(error):
        handled.set()
        raise KeyError("handler")

    def process(frames):
        1 / frames[""]
        done.set()
        return ()

    worker = NewestFrameWorker(process, nothing_more, on_error)
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
    stopper = threading.Thread(target=gate.worker.stop, args=(PATIENCE,))
    stopper.start()
    gate.open()
    stopper.join(PATIENCE)
    assert gate.worker.stop(PATIENCE)
    gate.worker.submit("late")
    assert gate.done == ["in work"]
    assert gate.worker.counts() == WorkerCounts(received=3, processed=1, dropped=2, failed=0)


def test_stop_without_start_or_frames_returns_at_once():
    worker = NewestFrameWorker(print, print, print)
    assert worker.stop(0)
    worker = NewestFrameWorker(print, print, print)
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

    def finish(frames):
        done.extend(frames.values())
        return ()

    worker = NewestFrameWorker(dict, finish, print)
    worker.start()
    for index, pause in enumerate(pauses):
        worker.submit(index)
        time.sleep(pause)
    assert worker.stop(PATIENCE)
    counts = worker.counts()
    assert done == sorted(set(done))
    assert counts.received == len(pauses) == counts.processed + counts.dropped
    assert counts.processed == len(done)


class TwoSteps:
    """A worker with a gate before the end of each of its steps, which keeps what passes them."""

    def __init__(self):
        self.processed, self.finished, self.errors = [], [], []
        self.gates = {step: threading.Semaphore(0) for step in ("process", "finish")}
        self.arrivals = {step: threading.Semaphore(0) for step in self.gates}
        self.worker = NewestFrameWorker(self._process, self._finish, self.errors.append)
        self.worker.start()

    def _pass(self, step, frame):
        self.arrivals[step].release()
        assert self.gates[step].acquire(timeout=PATIENCE)
        if frame == f"bad in {step}":
            raise RuntimeError(frame)

    def _process(self, frames):
        (frame,) = frames.values()
        self._pass("process", frame)
        self.processed.append(frame)
        return frame

    def _finish(self, frame):
        self._pass("finish", frame)
        self.finished.append(frame)
        return {""} if frame == "refused" else ()

    def open(self, step, times=1):
        self.gates[step].release(times)

    def arrives(self, step, seconds=PATIENCE):
        return self.arrivals[step].acquire(timeout=seconds)


@pytest.fixture
def steps():
    steps = TwoSteps()
    yield steps
    for step in steps.gates:
        steps.open(step, 100)
    assert steps.worker.stop(PATIENCE)


def test_the_next_frame_is_processed_while_one_is_finished_but_not_the_one_after(steps):
    steps.open("process", 100)
    steps.worker.submit(0)
    assert steps.arrives("finish") and steps.arrives("process")
    steps.worker.submit(1)
    assert steps.arrives("process"), "beside the end of 0"
    steps.worker.submit(2)
    assert not steps.arrives("process", MOMENT), "1 waits for the end of 0, and so does 2"
    steps.worker.submit(3)
    assert steps.worker.counts() == WorkerCounts(received=4, dropped=1)
    steps.open("finish")
    assert steps.arrives("finish") and steps.arrives("process"), "the end of 1, beside it 3"
    assert steps.worker.counts() == WorkerCounts(received=4, processed=1, dropped=1)
    steps.open("finish", 100)
    assert steps.worker.stop(PATIENCE)
    assert steps.processed == steps.finished == [0, 1, 3]
    assert steps.worker.counts() == WorkerCounts(received=4, processed=3, dropped=1)


def test_what_fails_in_either_step_is_told_and_counted_and_the_threads_go_on(steps):
    for step in steps.gates:
        steps.open(step, 100)
    for frame in ("bad in process", "bad in finish", "refused", "good"):
        steps.worker.submit(frame)
        assert steps.arrives("process")
        assert frame == "bad in process" or steps.arrives("finish")
    assert steps.worker.stop(PATIENCE)
    assert steps.finished == ["refused", "good"]
    assert [str(error) for error in steps.errors] == ["bad in process", "bad in finish"]
    assert steps.worker.counts() == WorkerCounts(received=4, processed=1, failed=3)


def test_stop_waits_for_both_steps(steps):
    steps.open("process")
    steps.worker.submit("being finished")
    assert steps.arrives("finish") and steps.arrives("process")
    steps.worker.submit("being processed")
    assert steps.arrives("process")
    stopped = []
    stopper = threading.Thread(target=lambda: stopped.append(steps.worker.stop(PATIENCE)))
    stopper.start()
    steps.open("process")
    stopper.join(MOMENT)
    assert stopper.is_alive()
    steps.open("finish", 2)
    stopper.join(PATIENCE)
    assert stopped == [True]
    assert steps.finished == ["being finished", "being processed"]
    assert steps.worker.counts() == WorkerCounts(received=2, processed=2)


def test_after_a_stop_that_waited_long_enough_nothing_is_finished_any_more(steps):
    steps.worker.submit("slow")
    assert steps.arrives("process")
    assert not steps.worker.stop(timeout=0.01)
    steps.open("process")
    steps.open("finish")
    assert steps.worker.stop(PATIENCE)
    assert steps.processed == ["slow"] and steps.finished == []
    assert steps.worker.counts() == WorkerCounts(received=1, dropped=1)


class Batches:
    """A worker over cameras that keeps the batches it was given; `pause` is what each takes."""

    def __init__(self, sources, pause=0.0, **options):
        self.batches: list[dict] = []
        self._pause = pause
        self.failing: set[str] = set()
        self.worker = NewestFrameWorker(self._process, nothing_more, print, sources, **options)

    def _process(self, frames):
        self.batches.append(dict(frames))
        time.sleep(self._pause)
        return self.failing & frames.keys()

    def until(self, count):
        deadline = time.monotonic() + PATIENCE
        while len(self.batches) < count and time.monotonic() < deadline:
            time.sleep(0.002)


def test_frames_that_wait_together_are_processed_together():
    run = Batches(("front", "rear", "left"))
    run.worker.submit(1, "front")
    run.worker.submit(2, "rear")
    run.worker.submit(3, "front")
    run.worker.start()
    run.until(1)
    assert run.worker.stop(PATIENCE)
    assert run.batches == [{"front": 3, "rear": 2}]
    assert run.worker.counts("front") == WorkerCounts(received=2, processed=1, dropped=1)
    assert run.worker.counts("left") == WorkerCounts()


def test_a_frame_waits_for_the_others_until_the_deadline():
    run = Batches(("front", "rear"), deadline=0.5)
    run.worker.submit(0, "rear")  # it is alive
    run.worker.submit(0, "front")
    run.worker.start()
    run.until(1)
    run.worker.submit(1, "front")
    time.sleep(0.05)
    run.worker.submit(1, "rear")
    run.until(2)
    assert run.batches[1] == {"front": 1, "rear": 1}
    started = time.monotonic()
    run.worker.submit(2, "front")
    run.until(3)
    assert run.batches[2] == {"front": 2}
    assert 0.4 < time.monotonic() - started < 5
    assert run.worker.stop(PATIENCE)


def test_a_silent_camera_is_not_waited_for():
    run = Batches(("front", "dead"), deadline=PATIENCE / 2)
    run.worker.start()
    started = time.monotonic()
    run.worker.submit(1, "front")
    run.until(1)
    assert time.monotonic() - started < PATIENCE / 4
    assert run.worker.stop(PATIENCE)


def test_batches_are_bounded_and_nobody_starves():
    names = [f"camera{index}" for index in range(5)]
    run = Batches(names, pause=0.01, batch=2)
    run.worker.start()
    for frame in range(30):
        for name in names:
            run.worker.submit(frame, name)
        time.sleep(0.005)
    run.until(12)
    assert run.worker.stop(PATIENCE)
    assert max(len(batch) for batch in run.batches) == 2
    served = [sum(name in batch for batch in run.batches) for name in names]
    assert max(served) - min(served) <= 2


def test_a_failing_camera_is_counted_alone():
    run = Batches(("front", "rear"))
    run.failing = {"rear"}
    run.worker.submit(1, "front")
    run.worker.submit(1, "rear")
    run.worker.start()
    run.until(1)
    assert run.worker.stop(PATIENCE)
    assert run.worker.counts("front") == WorkerCounts(received=1, processed=1)
    assert run.worker.counts("rear") == WorkerCounts(received=1, failed=1)


def test_counts_add_up():
    assert WorkerCounts(1, 2, 3, 4) + WorkerCounts(10, 20, 30, 40) == WorkerCounts(11, 22, 33, 44)
