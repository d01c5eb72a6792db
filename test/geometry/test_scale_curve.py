"""The curve over the line: a known bend, few measurements, order, what lies outside."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.geometry.scale_curve import RunningCurve, curved


def test_without_measurements_it_is_the_identity():
    curve = RunningCurve.of(np.empty(0), np.empty(0)).curve()
    inverse = np.array([[0.0, 0.001, 0.02, 0.5, 3.0, 50.0]], np.float32)
    result = curved(inverse, curve)
    assert result.dtype == np.float32 and result.shape == inverse.shape
    np.testing.assert_allclose(result, inverse, rtol=1e-6)


def test_invalid_and_beyond_range():
    curve = RunningCurve.of(np.empty(0), np.empty(0)).curve()
    result = curved(np.array([np.nan, -0.5, -0.0], np.float32), curve)
    assert np.isnan(result[0]) and (result[1:] == 0).all()


def test_a_bend_that_many_measurements_show_is_straightened():
    rng = np.random.default_rng(0)
    line = np.exp(rng.uniform(np.log(0.1), np.log(1.0), 20000))
    measured = line**1.1  # 26 % at 0.1
    curve = RunningCurve.of(line, measured * np.exp(0.05 * rng.standard_normal(20000))).curve()
    inside = np.geomspace(0.12, 0.9, 30)
    np.testing.assert_allclose(curved(inside, curve), inside**1.1, rtol=0.02)
    # no measurement within a knot or two: nothing changes
    outside = np.array([0.02, 0.05, 2.0, 8.0])
    np.testing.assert_allclose(curved(outside, curve), outside, rtol=1e-6)


def test_few_measurements_change_little():
    line = np.geomspace(0.1, 1.0, 20)
    curve = RunningCurve.of(line, 1.25 * line).curve()
    ratio = curved(line, curve) / line
    assert (ratio >= 1 - 1e-6).all() and ratio.max() < 1.02


def test_outliers_do_not_count():
    line = np.geomspace(0.1, 1.0, 1000)
    wild = RunningCurve.of(line, np.where(np.arange(1000) % 2, line, 2 * line))
    assert wild == RunningCurve.of(line[1::2], line[1::2])
    assert sum(RunningCurve.of(-line, line).counts) == 0


def test_the_shares_of_the_knots_by_hand():
    # 0.005 * 1.25 is the second knot; halfway to the third in the logarithm
    line = np.array([0.005 * 1.25**1.5])
    running = RunningCurve.of(line, 1.2 * line)
    np.testing.assert_allclose(running.counts[:4], [0, 0.5, 0.5, 0], atol=1e-9)
    np.testing.assert_allclose(running.ratios[:4], np.log(1.2) * np.array([0, 0.5, 0.5, 0]))


@given(seed=st.integers(0, 10000), count=st.integers(0, 2000), wildness=st.floats(0, 2))
def test_nearer_stays_nearer(seed, count, wildness):
    rng = np.random.default_rng(seed)
    line = np.exp(rng.uniform(-6, 3, count))
    measured = line * np.exp(wildness * rng.standard_normal(count))
    inputs, outputs = RunningCurve.of(line, measured).curve()
    assert (np.diff(inputs) > 0).all()
    assert (np.diff(outputs) >= 0).all()
    assert (inputs[0], outputs[0]) == (0, 0)


def test_a_blend_is_the_mean_of_the_moments():
    one = RunningCurve.of(np.full(4, 0.1), np.full(4, 0.1))
    other = RunningCurve.of(np.full(4, 0.1), np.full(4, 0.11))
    mixed = one.blended(other, 0.25)
    assert sum(mixed.counts) == pytest.approx(4)
    assert sum(mixed.ratios) == pytest.approx(np.log(1.1))
    assert one.blended(other, 1.0) == other
