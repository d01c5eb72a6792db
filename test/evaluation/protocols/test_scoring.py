"""The protocol for one image, by hand-computed values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.definition import Fit, load_definition
from depth_distill_ros.evaluation.protocols.scoring import (
    aligned_depth,
    fit,
    resize_prediction,
    sampled,
    score_image,
)

NYU = load_definition("nyuv2")
ETH3D = load_definition("eth3d")
DEPTH = np.array([[1.0, 2.0, 4.0, 5.0]], np.float32)
ALL = np.ones((1, 4), bool)


@pytest.mark.parametrize(("space", "exact"), [("disparity", 1 / DEPTH), ("depth", DEPTH)])
def test_scale_and_shift_do_not_count(space, exact):
    score = score_image("a", 0.25 * exact + 0.5, DEPTH, ALL, NYU, space)
    assert score.errors.abs_rel == pytest.approx(0, abs=1e-6) and score.errors.delta1 == 1
    assert (score.scale, score.shift) == pytest.approx((4, -2), abs=1e-5)
    assert (score.pixels, score.coverage) == (4, 1.0)


def test_disparity_is_fitted_where_it_is_positive_and_scored_everywhere():
    # 1/d = 1, 0.5, 0.25, 0.2; the fit over the first three is exact, the last becomes 0.1: 10 m
    prediction = np.array([[0.9, 0.4, 0.15, 0.0]])
    assert fit(prediction, DEPTH, ALL, NYU, "disparity") == pytest.approx((1, 0.1))
    score = score_image("a", prediction, DEPTH, ALL, NYU, "disparity")
    assert score.errors.abs_rel == pytest.approx((10 - 5) / 5 / 4)
    assert score.errors.rmse == pytest.approx(np.sqrt(5**2 / 4))
    assert score.errors.delta3 == 0.75


def test_depth_is_fitted_where_it_is_negative_too():
    scale, shift = fit(DEPTH - 3.0, DEPTH, ALL, NYU, "depth")
    assert (scale, shift) == pytest.approx((1, 3))


def test_a_prediction_without_positive_pixels_becomes_the_mean_disparity():
    score = score_image("a", np.zeros((1, 4)), DEPTH, ALL, NYU, "disparity")
    assert (score.scale, score.shift) == pytest.approx((0, (1 + 0.5 + 0.25 + 0.2) / 4))


def test_disparity_is_clipped_at_a_thousandth_then_depth_to_the_range():
    prediction = np.array([-1.0, 0.0, 0.01, 1.0, 100.0])
    metres = aligned_depth(prediction, 1.0, 0.0, ETH3D, "disparity")
    assert metres.tolist() == pytest.approx([1000, 1000, 100, 1, 0.01])
    metres = aligned_depth(prediction, 1.0, 0.0, load_definition("diode"), "disparity")
    assert metres.tolist() == pytest.approx([350, 350, 100, 1, 0.6])
    metres = aligned_depth(np.array([-1.0, 0.0, 20.0]), 1.0, 0.0, NYU, "depth")
    assert metres.tolist() == pytest.approx([0.001, 0.001, 10])
    unlimited = replace(NYU, clip=(0.0, np.inf))
    assert aligned_depth(np.array([-1.0]), 1.0, 0.0, unlimited, "depth").tolist() == [1e-6]


def test_pixels_without_prediction_are_counted_not_scored():
    prediction = 1 / DEPTH
    prediction[0, 3] = np.nan
    score = score_image("a", prediction, DEPTH, ALL, NYU, "disparity")
    assert (score.pixels, score.coverage) == (3, 0.75)
    with pytest.raises(DataError, match="a: no valid pixel has a prediction"):
        score_image("a", np.full((1, 4), np.nan), DEPTH, ALL, NYU, "disparity")
    with pytest.raises(DataError, match="a: no valid pixel$"):
        score_image("a", prediction, DEPTH, ~ALL, NYU, "disparity")


def test_the_fit_is_sampled_in_columns_as_marigold_does():
    rows, columns = sampled((4032, 6048), Fit(1024, ("columns",)))
    assert (len(rows), columns.size) == (4032, 1024)
    assert columns.ravel()[[0, 1, 2, -1]].tolist() == [0, 5, 11, 6042]  # 6048 / 1024 = 5.90625
    rows, columns = sampled((4032, 6048), Fit(1024))
    assert (rows.size, columns.size) == (682, 1024)
    assert sampled((1000, 1024), Fit(1024)) == (slice(None), slice(None))
    assert sampled((4032, 6048), None) == (slice(None), slice(None))


def test_only_sampled_pixels_are_fitted_but_all_are_scored():
    definition = replace(ETH3D, fit=Fit(2, ("columns",)))  # of four columns, 0 and 2
    prediction = 1 / DEPTH
    prediction[0, 1] = 0.9
    score = score_image("a", prediction, DEPTH, ALL, definition, "disparity")
    assert (score.scale, score.shift) == pytest.approx((1, 0), abs=1e-6)
    assert score.errors.abs_rel == pytest.approx((2 - 1 / 0.9) / 2 / 4, abs=1e-6)
    between = np.array([[False, True, False, True]])
    assert score_image("a", 1 / DEPTH, DEPTH, between, definition, "disparity").pixels == 2


@given(scale=st.floats(0.1, 10), shift=st.floats(-0.01, 5), seed=st.integers(0, 50))
def test_positive_affine_changes_of_the_prediction_change_nothing(scale, shift, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(1, 9, (6, 8)).astype(np.float32)
    prediction = 1 / depth + 0.05 * rng.random((6, 8)) + 0.2
    valid = rng.random((6, 8)) < 0.9
    one = score_image("a", prediction, depth, valid, NYU, "disparity")
    other = score_image("a", scale * prediction + shift, depth, valid, NYU, "disparity")
    assert other.errors.abs_rel == pytest.approx(one.errors.abs_rel, rel=1e-6)


def test_predictions_are_resized_to_the_depth_unless_they_have_another_shape():
    small = np.repeat(np.linspace(0, 1, 8)[None], 6, 0)
    large = resize_prediction(small, (12, 16), "a")
    assert large.shape == (12, 16) and large[0, 5] == pytest.approx((2 + 0.25) / 7)
    assert resize_prediction(small, (6, 8), "a") is small
    with pytest.raises(DataError, match="1242x375 .* 1216x352"):
        resize_prediction(np.zeros((375, 1242)), (352, 1216), "a")
    for wrong in (np.zeros((6, 8, 3)), np.zeros((6, 8), bool), np.array("text")):
        with pytest.raises(DataError, match="numbers of shape"):
            resize_prediction(wrong, (6, 8), "a")
