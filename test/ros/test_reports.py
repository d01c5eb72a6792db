"""Problems once per cause, counted; times as means."""

from __future__ import annotations

import re

import pytest

from depth_distill_ros.ros.reports import MAX_CAUSES, RECENT, ProblemLog, StageTimes


def test_a_cause_is_logged_once_and_counted_each_time():
    lines = []
    problems = ProblemLog(lines.append)
    for message in ("step is 14", "no data", "step is 15", "no\n  data"):
        problems.report(message)
    problems.report("no data")
    assert lines == ["step is 14 (logged once)", "no data (logged once)"]
    assert problems.counts == {"step is #": 2, "no data": 3}


def test_garbage_fills_neither_memory_nor_the_log():
    lines = []
    problems = ProblemLog(lines.append)
    names = [a + b for a in "abcdefghijklmnopqrstuvwxyz" for b in "abcdefghij"]
    for name in names:
        problems.report(f"unknown encoding {name}")
    assert len(lines) == MAX_CAUSES
    assert problems.counts["other"] == len(names) - MAX_CAUSES


def test_times_are_means_in_the_order_of_first_use():
    times = StageTimes()
    for stage in ("decode", "infer", "decode"):
        with times.measure(stage):
            pass
    assert re.fullmatch(r"decode \d+\.\d\d ms, infer \d+\.\d\d ms", times.summary())
    assert StageTimes().summary() == ""


def test_the_time_of_a_stage_that_raises_counts():
    times = StageTimes()
    try:
        with times.measure("decode"):
            raise ValueError
    except ValueError:
        pass
    assert times.summary().startswith("decode ")


def test_percentiles_by_hand_are_over_the_last_runs():
    times = StageTimes()
    for milliseconds in [1000] * 50 + list(range(1, RECENT + 1)):
        times.add("infer", milliseconds / 1000)
    median, high = times.percentiles()["infer"]
    assert median == pytest.approx((1 + RECENT) / 2)
    assert high == pytest.approx(1 + 0.99 * (RECENT - 1))
    assert StageTimes().percentiles() == {}
