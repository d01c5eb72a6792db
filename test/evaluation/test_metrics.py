"""Alignment and errors: values by hand, invariances, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.metrics import (
    abs_rel,
    align_affine,
    align_to_depth,
    delta,
    depth_errors,
    log10_error,
    mean_errors,
    rmse,
    valid_depth,
)

seeds = st.integers(0, 2**32 - 1)


def test_align_affine_by_hand():
    # The line through (0, 1), (1, 2), (2, 6): slope 5/2, intercept 3 - 5/2 = 1/2
    scale, shift = align_affine(np.array([0.0, 1, 2]), np.array([1.0, 2, 6]))
    assert (scale, shift) == pytest.approx((2.5, 0.5))


def test_align_affine_looks_at_the_mask_only():
    prediction = np.array([[0.0, 1], [5, np.nan]])
    target = np.array([[3.0, 5], [-100, 7]])
    mask = np.array([[True, True], [False, False]])
    assert align_affine(prediction, target, mask) == pytest.approx((2.0, 3.0))


@given(seed=seeds, scale=st.floats(-100, 100), shift=st.floats(-100, 100))
def test_align_affine_is_least_squares(seed, scale, shift):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=50)
    y = scale * x + shift + rng.normal(size=50)
    expected = np.linalg.lstsq(np.stack([x, np.ones(50)], 1), y, rcond=None)[0]
    np.testing.assert_allclose(align_affine(x, y), expected, rtol=1e-6, atol=1e-6)


def test_align_affine_keeps_precision_far_from_zero():
    x = 1e6 + np.array([0.0, 1, 2], np.float64)
    assert align_affine(x, np.array([0.0, 2, 4]))[0] == pytest.approx(2, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6])
def test_a_constant_prediction_gets_the_mean(value):
    target = np.arange(1001.0)
    assert align_affine(np.full(1001, value), target) == (0.0, 500.0)


def test_alignment_needs_finite_valid_pixels():
    with pytest.raises(DataError, match="no valid pixel"):
        align_affine(np.ones(3), np.ones(3), np.zeros(3, bool))
    with pytest.raises(DataError, match="not finite"):
        align_affine(np.array([1.0, np.nan]), np.ones(2))


@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_an_affine_disparity_is_perfect(seed, scale, shift):
    depth = np.random.default_rng(seed).uniform(0.5, 50, 200)
    errors = depth_errors(align_to_depth(scale / depth + shift, depth), depth)
    assert errors.abs_rel == pytest.approx(0, abs=1e-6)
    assert errors.delta1 == 1.0


@given(seed=seeds, scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_alignment_in_depth(seed, scale, shift):
    depth = np.random.default_rng(seed).uniform(0.5, 50, 200)
    aligned = align_to_depth(scale * depth + shift, depth, space="depth")
    np.testing.assert_allclose(aligned, depth, rtol=1e-6)


def test_aligned_disparity_below_zero_is_the_far_end():
    depth = np.array([1.0, 1.0, 1.0, 10.0, 1.0])
    prediction = np.array([1.0, 1.0, 1.0, -2.0, 1.0])
    prediction[2] = -20.0  # drags the fit and is itself far below zero disparity
    aligned = align_to_depth(prediction, depth, depth_range=(0.1, 80.0))
    assert np.all((aligned >= 0.1) & (aligned <= 80.0))


def test_clipping_by_hand():
    # A perfect fit to 1/z, then the range: 0.05 m and 200 m move to its ends.
    depth = np.array([0.05, 1.0, 2.0, 200.0])
    np.testing.assert_allclose(align_to_depth(1 / depth, depth), [0.1, 1, 2, 80], rtol=1e-9)


def test_errors_by_hand():
    prediction, target = np.array([1.0, 2, 6]), np.array([1.0, 4, 4])
    assert abs_rel(prediction, target) == pytest.approx((0 + 0.5 + 0.5) / 3)
    assert rmse(prediction, target) == pytest.approx(math.sqrt(8 / 3))
    assert log10_error(prediction, target) == pytest.approx((math.log10(2) + math.log10(1.5)) / 3)
    # ratios 1, 2, 1.5: below 1.25 one, below 1.5625 two, below 1.953 two
    assert [delta(prediction, target, n) for n in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_delta_is_strict():
    assert delta(np.array([1.25]), np.array([1.0])) == 0.0


@given(seed=seeds)
def test_delta_and_log_are_symmetric(seed):
    one, other = np.random.default_rng(seed).uniform(0.1, 80, (2, 100))
    assert delta(one, other) == delta(other, one)
    assert log10_error(one, other) == pytest.approx(log10_error(other, one))


def test_mean_errors():
    one = depth_errors(np.array([1.0]), np.array([1.0]))
    other = depth_errors(np.array([2.0]), np.array([1.0]))
    mean = mean_errors([one, other])
    assert (mean.abs_rel, mean.delta1, mean.rmse) == (0.5, 0.5, 0.5)
    with pytest.raises(DataError):
        mean_errors([])


def test_valid_depth():
    depth = np.array([0, 0.1, 0.2, 80, 79, np.nan, np.inf, -1])
    assert valid_depth(depth, (0.1, 80.0)).tolist() == [
        False, False, True, False, True, False, False, False
    ]  # fmt: skip
