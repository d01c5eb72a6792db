"""One item at a time in a second thread: in order, none queued up, none after the stop."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator

import pytest

from depth_distill_ros.ros.handover import Handover

PATIENCE = 20.0
MOMENT = 0.05
"""Seconds in which what must not happen would have happened."""


class Gate:
    """Work that waits at a gate; `arrived` is released when it has come there."""

    def __init__(self):
        self.done: list = []
        self.arrived, self._open = threading.Semaphore(0), threading.Semaphore(0)
        self.handover = Handover(self._work, "second")
        self.handover.start()

    def _work(self, item):
        self.arrived.release()
        assert self._open.acquire(timeout=PATIENCE)
        self.done.append((item, threading.current_thread().name))

    def wait(self):
        assert self.arrived.acquire(timeout=PATIENCE)

    def open(self, times=1):
        self._open.release(times)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open(100)
    assert gate.handover.stop(PATIENCE)


def test_items_are_worked_on_in_order_in_the_other_thread(gate):
    gate.open(5)
    assert all(gate.handover.give(item) for item in range(5))
    assert gate.handover.stop(PATIENCE)
    assert gate.done == [(item, "second") for item in range(5)]


def test_the_giver_is_one_item_ahead_and_no_more(gate):
    assert gate.handover.give("first")
    gate.wait()  # given without waiting: the work has not ended
    finished_before: list[int] = []

    def give_more():
        for item in ("second", "third"):
            assert gate.handover.give(item)
            finished_before.append(len(gate.done))

    giver = threading.Thread(target=give_more)
    giver.start()
    giver.join(MOMENT)
    assert finished_before == []
    gate.open(3)
    giver.join(PATIENCE)
    assert finished_before[0] >= 1 and finished_before[1] >= 2
    assert gate.handover.stop(PATIENCE) and len(gate.done) == 3


def test_stop_finishes_the_item_in_work_and_refuses_the_one_that_waits(gate):
    gate.handover.give("in work")
    gate.wait()
    answers: list[bool] = []
    giver = threading.Thread(target=lambda: answers.append(gate.handover.give("waiting")))
    giver.start()
    assert not gate.handover.stop(timeout=0.01)
    giver.join(PATIENCE)
    assert answers == [False] and not gate.handover.give("late")
    gate.open(3)
    assert gate.handover.stop(PATIENCE)
    assert gate.done == [("in work", "second")]


def test_an_item_that_was_given_is_finished_whenever_the_stop_comes():
    for _ in range(50):
        done: list[int] = []
        handover = Handover(done.append, "second")
        handover.start()
        assert handover.give(1)
        assert handover.stop(PATIENCE)
        assert done == [1]


def test_stop_without_start_or_items_returns_at_once():
    assert Handover(print, "second").stop(0)
    handover = Handover(print, "second")
    handover.start()
    assert handover.stop(PATIENCE) and handover.stop(PATIENCE)


def test_an_item_is_let_go_when_it_is_finished():
    class Large:
        pass

    gone = threading.Event()
    handover: Handover[Large] = Handover(lambda item: None, "second")
    handover.start()
    item = Large()
    weakref.finalize(item, gone.set)
    assert handover.give(item)
    del item
    assert gone.wait(PATIENCE)
    assert handover.stop(PATIENCE)
