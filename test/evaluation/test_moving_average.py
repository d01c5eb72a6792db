"""The moving average against its closed form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.moving_average import MovingAverage

RAMP = np.tile(np.float32([-3, -1, 1, 3]), (4, 1))
STEP = np.repeat(np.float32([-1, 1, 1, -1])[:, None], 4, axis=1)  # at right angles to the ramp


def test_constant_frames_stay_what_they_are():
    average = MovingAverage()
    for _ in range(5):
        np.testing.assert_allclose(average(RAMP), RAMP, rtol=1e-6)


@given(scale=st.floats(0.2, 5.0), shift=st.floats(-2.0, 2.0))
def test_a_scale_and_shift_that_flicker_are_taken_out(scale, shift):
    average = MovingAverage()
    average(RAMP)
    np.testing.assert_allclose(average(np.float32(scale) * RAMP + shift), RAMP, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.3, 0.7])
def test_a_step_by_its_closed_form(alpha):
    # A new frame ramp + step, again and again. With an average a * ramp + b * step its best fit is
    # by the factor s = (5 a + b) / 6, for the ramp has the mean square 5 and the step 1; then
    # a and b both move by alpha towards s.
    average, a, b = MovingAverage(alpha), 1.0, 0.0
    for _ in range(3):
        average(RAMP)
    for _ in range(6):
        scale = (5 * a + b) / 6
        a, b = (1 - alpha) * a + alpha * scale, (1 - alpha) * b + alpha * scale
        np.testing.assert_allclose(average(RAMP + STEP), a * RAMP + b * STEP, atol=1e-5)
    # 5 a + b stays: what is forgotten is the difference, by 1 - alpha a frame
    assert a - b == pytest.approx((1 - alpha) ** 6)


def test_without_memory_it_is_the_last_frame_in_the_first_ones_units():
    average = MovingAverage(alpha=1.0)
    average(RAMP)
    np.testing.assert_allclose(average(RAMP + STEP), 5 / 6 * (RAMP + STEP), atol=1e-6)


def test_pixels_without_a_value_keep_their_average_and_get_their_first():
    average = MovingAverage(0.5)
    first, second = RAMP.copy(), 2 * RAMP + 1
    first[0, 0] = first[1, 1] = np.nan
    second[1, 1] = second[2, 2] = np.nan
    assert np.isnan(average(first)[0, 0])
    found = average(second)
    expected = RAMP.copy()  # the second, aligned, is the ramp
    expected[1, 1] = np.nan
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(average(np.full_like(RAMP, np.nan)), expected, atol=1e-6)


def test_it_starts_anew_when_nothing_is_comparable_or_it_is_told_to():
    average = MovingAverage()
    average(RAMP)
    np.testing.assert_array_equal(average(-RAMP), -RAMP)
    larger = np.zeros((8, 8), np.float32)
    np.testing.assert_array_equal(average(larger), larger)
    average.reset()
    np.testing.assert_array_equal(average(2 * RAMP), 2 * RAMP)


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.5, float("nan")])
def test_an_alpha_that_is_no_share_is_refused(alpha):
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        MovingAverage(alpha)
