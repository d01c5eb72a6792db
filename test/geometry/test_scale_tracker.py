"""The scale over time: smoothing by hand, outliers, new scenes, hold, lost, stamps, resuming."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import yaml

from depth_distill_ros.errors import ScaleError
from depth_distill_ros.geometry.reference import samples_from_depth
from depth_distill_ros.geometry.scale_tracker import (
    FRESH_SECONDS,
    NEW_SCENE,
    ScaleSettings,
    ScaleState,
    ScaleTracker,
)

REFERENCE = ScaleSettings("reference")
DISPARITY = np.linspace(0, 1, 600, dtype=np.float32).reshape(20, 30)


def samples(scale: float = 0.8, shift: float = 0.2, power: float = 1.0, noise=0.0, seed=0):
    """Measurements of a scene in which 1 / z = (scale * disparity + shift) ** power."""
    rng = np.random.default_rng(seed)
    inverse = (scale * DISPARITY + shift) ** power
    return samples_from_depth(1 / inverse * np.exp(noise * rng.standard_normal(DISPARITY.shape)))


def nonsense(seed: int = 0):
    """Measurements that have nothing to do with the image."""
    rng = np.random.default_rng(seed)
    return samples_from_depth(np.exp(rng.uniform(np.log(0.3), np.log(80), DISPARITY.shape)))


def follow(tracker: ScaleTracker, stamps, *arguments, **keywords) -> list[ScaleState]:
    """Observes the same scene at every stamp."""
    states = []
    for stamp in stamps:
        tracker.observe_reference(DISPARITY, samples(*arguments, **keywords), stamp)
        states.append(tracker.state(stamp))
    return states


def depth_ratio(one: ScaleState, other: ScaleState, disparity: float = 0.5) -> float:
    at = np.full((1, 1), disparity, np.float32)
    return float((one.depth(at) / other.depth(at))[0, 0])


# --- the filter ----------------------------------------------------------------------------------


def test_the_first_measurement_is_the_scale():
    state = follow(ScaleTracker(REFERENCE), [5.0])[0]
    assert (state.mode, state.status, state.reason, state.age) == ("reference", "ok", "", 0.0)
    assert (state.scale, state.shift) == (
        pytest.approx(0.8, rel=1e-3),
        pytest.approx(0.2, rel=1e-3),
    )
    assert (state.inliers, state.points) == (600, 600)
    assert state.residual < 1e-3
    np.testing.assert_allclose(state.depth(DISPARITY), 1 / (0.8 * DISPARITY + 0.2), rtol=1e-3)


def test_a_change_comes_in_with_the_time_constant():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    # 20 % nearer from now on; inverse depth approaches as 1 - exp(-t / 1 s)
    states = follow(tracker, np.arange(0.1, 2.05, 0.1), 0.96, 0.24)
    for time, state in zip(np.arange(0.1, 2.05, 0.1), states, strict=True):
        assert state.scale == pytest.approx(0.96 - 0.16 * math.exp(-time), rel=2e-3)
        assert state.shift == pytest.approx(0.24 - 0.04 * math.exp(-time), rel=5e-3)


def test_the_rate_of_measurements_makes_no_difference():
    slow, fast = ScaleTracker(REFERENCE), ScaleTracker(REFERENCE)
    follow(slow, [0.0])
    follow(fast, [0.0])
    one = follow(slow, [0.5, 1.0], 0.96, 0.24)[-1]
    other = follow(fast, np.linspace(0.05, 1.0, 20), 0.96, 0.24)[-1]
    assert one.scale == pytest.approx(other.scale, rel=1e-3)


def test_noise_of_single_images_is_smoothed():
    tracker = ScaleTracker(REFERENCE)
    raw = ScaleTracker(replace(REFERENCE, smoothing=0.0))
    changes = {}
    for name, each in (("smooth", tracker), ("raw", raw)):
        states = [follow(each, [0.1 * index], noise=0.5, seed=index)[0] for index in range(30)]
        pairs = zip(states, states[1:], strict=False)
        changes[name] = np.median([abs(depth_ratio(a, b) - 1) for a, b in pairs])
    assert changes["smooth"] < 0.2 * changes["raw"]


def test_one_outlier_is_refused_and_said_so():
    tracker = ScaleTracker(REFERENCE)
    before = follow(tracker, [0.0, 0.1])[-1]
    state = follow(tracker, [0.2], 1.6, 0.4)[0]
    assert state.status == "held" and state.is_metric
    assert (state.scale, state.shift) == (before.scale, before.shift)
    assert state.age == pytest.approx(0.1)
    assert state.reason.startswith("the depth measured contradicts the scale so far by a factor")
    state = follow(tracker, [0.3])[0]
    assert (state.status, state.reason) == ("ok", "")


def test_outliers_that_do_not_agree_are_never_accepted():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    for index in range(1, 30):
        factor = 2.0 if index % 2 else 0.4
        state = follow(tracker, [0.1 * index], 0.8 * factor, 0.2 * factor)[0]
        assert state.status == "held"
        assert state.scale == pytest.approx(0.8, rel=1e-3)


def test_several_in_a_row_that_agree_are_a_new_scene():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0, 0.1])
    states = follow(tracker, [0.2, 0.3, 0.4, 0.5], 1.6, 0.4)
    assert [state.status for state in states] == ["held"] * (NEW_SCENE - 1) + ["ok"] * 2
    assert states[NEW_SCENE - 1].scale == pytest.approx(1.6, rel=1e-3)
    assert states[NEW_SCENE - 1].reason == ""


def test_an_accepted_measurement_ends_the_row():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    follow(tracker, [0.1, 0.2], 1.6, 0.4)
    follow(tracker, [0.3])
    states = follow(tracker, [0.4, 0.5], 1.6, 0.4)
    assert [state.status for state in states] == ["held", "held"]


def test_measurements_without_a_fit_leave_the_scale():
    tracker = ScaleTracker(REFERENCE)
    tracker.observe_reference(DISPARITY, nonsense(), 0.0)
    state = tracker.state(0.0)
    assert (state.status, state.is_metric) == ("none", False)
    assert "measurements agree on a scale" in state.reason
    follow(tracker, [0.1])
    tracker.observe_reference(DISPARITY, nonsense(1), 0.2)
    state = tracker.state(0.2)
    assert (state.status, state.scale) == ("held", pytest.approx(0.8, rel=1e-3))
    assert "measurements agree on a scale" in state.reason


def test_the_settings_gates_are_the_fits():
    few = samples_from_depth(np.where(np.arange(600).reshape(20, 30) % 75 == 0, 1.0, 0.0))
    tracker = ScaleTracker(REFERENCE)
    tracker.observe_reference(DISPARITY, few, 0.0)
    assert "only 8 measurements" in tracker.state(0.0).reason
    tracker.settings = replace(REFERENCE, min_inlier_ratio=0.99)
    tracker.observe_reference(DISPARITY, samples(noise=0.3), 0.1)
    assert "99% are needed" in tracker.state(0.1).reason


# --- time ----------------------------------------------------------------------------------------


def test_a_scale_is_held_and_then_lost():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [10.0])
    assert tracker.state(10.0 + FRESH_SECONDS).status == "ok"
    state = tracker.state(12.0)
    assert (state.status, state.is_metric, state.age) == ("held", True, 2.0)
    assert state.reason == "nothing was measured for 2.0 s"
    assert tracker.state(15.0).status == "held"
    state = tracker.state(15.1)
    assert (state.status, state.is_metric) == ("lost", False)
    assert state.scale == pytest.approx(0.8, rel=1e-3)
    with pytest.raises(ScaleError, match="'lost'"):
        state.inverse_depth(DISPARITY)


def test_after_a_minute_the_first_measurement_is_believed():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0, 0.1])
    assert tracker.state(60.0).status == "lost"
    state = follow(tracker, [60.1], 2.4, 0.6)[0]
    assert (state.status, state.scale) == ("ok", pytest.approx(2.4, rel=1e-3))


def test_a_longer_timeout_holds_longer():
    tracker = ScaleTracker(replace(REFERENCE, timeout=100.0))
    follow(tracker, [0.0])
    assert tracker.state(99.0).status == "held"
    # and what comes then is still held against it
    assert follow(tracker, [99.0], 1.6, 0.4)[0].status == "held"


def test_without_smoothing_and_timeout_each_image_has_its_own():
    tracker = ScaleTracker(replace(REFERENCE, smoothing=0.0, timeout=0.0))
    for stamp, scale in enumerate((0.8, 2.4, 0.1)):
        state = follow(tracker, [stamp], scale, 0.2)[0]
        assert (state.status, state.scale) == ("ok", pytest.approx(scale, rel=1e-3))
    assert tracker.state(2.001).status == "lost"


def test_an_image_out_of_order_changes_nothing_and_breaks_nothing():
    tracker = ScaleTracker(REFERENCE)
    before = follow(tracker, [1.0, 1.1])[-1]
    state = follow(tracker, [1.05], 0.96, 0.24)[0]
    assert (state.status, state.scale) == ("ok", before.scale)
    assert tracker.state(1.0).status == "ok"
    assert follow(tracker, [1.15], 0.96, 0.24)[0].scale > before.scale


@pytest.mark.parametrize("start", [0.0, -1e9, 1e12])
def test_a_clock_that_starts_again_starts_the_scale_again(start):
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, np.arange(1e6, 1e6 + 3, 0.1))
    assert tracker.state(start).status == "lost"
    states = follow(tracker, [start, start + 0.1], 2.4, 0.6)
    assert [state.status for state in states] == ["ok", "ok"]
    assert states[0].scale == pytest.approx(2.4, rel=1e-3)


def test_a_clock_that_stands_still_still_lets_new_scenes_in():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0] * 3)
    states = follow(tracker, [0.0] * 3, 2.4, 0.6)
    assert states[-1].scale == pytest.approx(2.4, rel=1e-3)


# --- settings, spline, saving --------------------------------------------------------------------


def test_settings_change_while_it_runs():
    tracker = ScaleTracker(REFERENCE)
    before = follow(tracker, [0.0])[0]
    tracker.settings = replace(REFERENCE, smoothing=3.0, timeout=9.0, min_inliers=20)
    assert tracker.state(8.0).scale == before.scale
    tracker.settings = ScaleSettings("fixed", scale=3.0)
    assert tracker.state(0.0).scale == 3.0
    tracker.settings = REFERENCE
    assert tracker.state(0.0).status == "none", "another mode is another scale"


def test_reset_forgets():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    tracker.reset()
    assert tracker.state(0.0).status == "none"
    assert tracker.to_json() == ScaleTracker(REFERENCE).to_json()


def test_the_spline_follows_what_a_line_cannot():
    tracker = ScaleTracker(replace(REFERENCE, spline=True))
    straight = ScaleTracker(REFERENCE)
    for each in (tracker, straight):
        follow(each, [0.0, 0.1], power=1.3)
    truth = 1 / (0.8 * DISPARITY + 0.2) ** 1.3
    curved, line = tracker.state(0.1), straight.state(0.1)
    assert line.spline is None
    assert all(type(value) is float for values in curved.spline for value in values)
    error = [np.mean(np.abs(s.depth(DISPARITY) / truth - 1)) for s in (curved, line)]
    assert error[0] < 0.6 * error[1]
    # switched off it is gone at once
    tracker.settings = REFERENCE
    assert tracker.state(0.1).spline is None


def test_the_spline_starts_again_in_a_new_scene():
    tracker = ScaleTracker(replace(REFERENCE, spline=True))
    follow(tracker, [0.0, 0.1], power=1.3)
    state = follow(tracker, [0.2, 0.3, 0.4], 4.0, 1.0)[-1]
    inputs, outputs = state.spline
    np.testing.assert_allclose(outputs, inputs, rtol=2e-3)


@pytest.mark.parametrize("spline", [False, True])
@pytest.mark.parametrize("stop", range(9))
def test_a_restored_scale_goes_on_bit_for_bit(stop, spline):
    """Stopped at every place of a course with a good scale, outliers, gaps and a new scene."""
    settings = replace(REFERENCE, spline=spline)
    course = [
        (0.0, samples(noise=0.2)),
        (0.1, samples(noise=0.2, seed=1)),
        (0.2, samples(1.6, 0.4)),
        (0.3, nonsense()),
        (0.4, samples(1.6, 0.4, noise=0.1)),
        (0.5, samples(1.7, 0.4)),
        (0.6, samples(1.6, 0.4, noise=0.3)),
        (20.0, samples(power=1.2)),
        (20.1, samples(power=1.2, noise=0.2)),
    ]
    through, first = ScaleTracker(settings), ScaleTracker(settings)
    states = []
    for stamp, measured in course:
        through.observe_reference(DISPARITY, measured, stamp)
        states.append(through.state(stamp))
    for stamp, measured in course[:stop]:
        first.observe_reference(DISPARITY, measured, stamp)
    for dump, load in ((json.dumps, json.loads), (yaml.safe_dump, yaml.safe_load)):
        second = ScaleTracker(settings)
        second.restore(load(dump(first.to_json())))
        assert second.to_json() == first.to_json()
        if stop:
            assert second.state(course[stop - 1][0]) == states[stop - 1]
        for (stamp, measured), expected in zip(course[stop:], states[stop:], strict=True):
            second.observe_reference(DISPARITY, measured, stamp)
            assert second.state(stamp) == expected


def test_a_scale_can_begin_another_day():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [100.0])
    tomorrow = ScaleTracker(REFERENCE)
    tomorrow.restore({**tracker.to_json(), "stamp": None})
    state = tomorrow.state(90000.0)
    assert (state.status, state.age) == ("ok", 0.0)
    assert state.scale == tracker.state(100.0).scale
    assert tomorrow.state(90006.0).status == "lost"


def test_the_scale_of_another_mode_is_left_aside():
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    other = ScaleTracker(ScaleSettings("camera_height"))
    other.restore(tracker.to_json())
    assert other.state(0.0).status == "none"


@pytest.mark.parametrize(
    "change",
    [
        {"line": {"disparity": 1.0}},
        {"line": [1, 2, 3, 4]},
        {"line": {"disparity": "x", "inverse": 1.0, "variance": 1.0, "covariance": 1.0}},
        {"fit": 3},
        {"candidates": None},
        {"curve": {"counts": [1.0], "ratios": [0.0]}},
        {"stamp": "yesterday"},
    ],
)
def test_what_is_no_saved_scale_is_refused(change):
    tracker = ScaleTracker(REFERENCE)
    follow(tracker, [0.0])
    with pytest.raises(ScaleError, match="not the saved state of a scale"):
        tracker.restore({**tracker.to_json(), **change})
    assert tracker.state(0.0).status == "none"
    with pytest.raises(ScaleError, match="not the saved state of a scale"):
        tracker.restore({})
