"""The running line: moments by hand, what a fit may move, agreement."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.geometry.scale_filter import RunningLine
from depth_distill_ros.geometry.scale_fit import ScaleFit


def line(scale: float, shift: float, centre: float = 0.5, spread: float = 0.2) -> ScaleFit:
    return ScaleFit(scale, shift, 100, 100, 0.1, centre, spread)


FITS = st.builds(
    line,
    scale=st.floats(0.01, 100),
    shift=st.floats(-1, 10),
    centre=st.floats(0, 1),
    spread=st.floats(0.001, 0.5),
)


def test_moments_by_hand():
    running = RunningLine.of(line(2.0, 0.5, centre=0.25, spread=0.5))
    # at 0.25: 2 * 0.25 + 0.5 = 1; variance 0.25; covariance 2 * 0.25
    assert running == RunningLine(disparity=0.25, inverse=1.0, variance=0.25, covariance=0.5)
    assert (running.scale, running.shift) == (2.0, 0.5)


def test_equally_well_known_lines_meet_in_the_middle():
    running = RunningLine.of(line(1.0, 0.2)).blended(RunningLine.of(line(2.0, 0.4)), 0.5)
    assert running.scale == pytest.approx(1.5)
    assert running.shift == pytest.approx(0.3)


def test_a_narrow_fit_moves_the_level_and_not_the_slope():
    wide, narrow = line(1.0, 0.2, 0.5, 0.3), line(10.0, -3.8, 0.5, 0.01)
    running = RunningLine.of(wide).blended(RunningLine.of(narrow), 0.5)
    # level at 0.5: from 0.7 half-way to 1.2; slope by the variances 0.09 and 0.0001
    assert running.scale * 0.5 + running.shift == pytest.approx(0.95)
    assert running.scale == pytest.approx((0.09 + 0.001) / (0.09 + 0.0001))


@given(old=FITS, new=FITS, gain=st.floats(0, 1))
def test_a_blend_keeps_a_positive_scale_between_both(old, new, gain):
    running = RunningLine.of(old).blended(RunningLine.of(new), gain)
    low, high = sorted((old.scale, new.scale))
    assert low * (1 - 1e-9) <= running.scale <= high * (1 + 1e-9)


@given(old=FITS, new=FITS)
def test_the_ends_of_the_gain(old, new):
    running = RunningLine.of(old)
    assert running.blended(RunningLine.of(new), 1.0) == RunningLine.of(new)
    assert running.blended(RunningLine.of(new), 0.0) == running


def test_disagreement_by_hand():
    running = RunningLine.of(line(1.0, 0.5))
    assert running.disagreement(line(1.0, 0.5)) == pytest.approx(1)
    assert running.disagreement(line(2.0, 1.0)) == pytest.approx(2)
    assert running.disagreement(line(0.5, 0.25)) == pytest.approx(2)
    # the same at 0.5, where it says 1; at 0.3 and 0.7: 0.8 against 0.6, 1.2 against 1.4
    assert running.disagreement(line(2.0, 0.0)) == pytest.approx(0.8 / 0.6)


def test_a_line_that_is_beyond_range_where_a_fit_is_not_disagrees():
    running = RunningLine.of(line(1.0, -0.5, centre=0.8, spread=0.1))
    assert running.disagreement(line(1.0, 0.1, centre=0.5)) == math.inf
