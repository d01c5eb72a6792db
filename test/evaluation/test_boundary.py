"""Boundary F1 and recall on depth maps whose edges can be counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.evaluation.boundary import (
    THRESHOLDS,
    WEIGHTS,
    boundary_f1,
    matte_recall,
    measured_pairs,
)


def box(top=8, left=8, side=8, near=1.0, far=2.0) -> np.ndarray:
    """A square in front of a wall: as many edges in each of the four directions as its side."""
    depth = np.full((24, 24), far)
    depth[top : top + side, left : left + side] = near
    return depth


def test_thresholds_and_weights_are_those_of_depth_pro():
    assert THRESHOLDS[[0, -1]].tolist() == [1.05, 1.25] and len(THRESHOLDS) == 10
    assert WEIGHTS.sum() == pytest.approx(1)
    assert WEIGHTS[-1] / WEIGHTS[0] == pytest.approx(1.25 / 1.05)


def test_a_perfect_prediction_has_1_and_disparity_has_the_same_edges():
    assert boundary_f1(box(), box()) == pytest.approx(1)
    assert boundary_f1(1 / box(), 1 / box()) == pytest.approx(1)


def test_edges_beside_the_true_ones_count_nothing():
    # one pixel down and to the right: no side is where it was, only what is in front is nearby
    assert boundary_f1(box(top=9, left=9), box()) == 0.0
    # the square is behind instead of in front: its edges face the other way
    assert boundary_f1(box(near=2.0, far=1.0), box()) == 0.0


def test_a_shift_along_one_axis_keeps_part_of_the_two_other_sides():
    # 7 of the 8 pixels of top and bottom are still edges, of left and right none
    expected = (0 + 0 + 7 / 8 + 7 / 8) / 4
    assert boundary_f1(box(left=9), box()) == pytest.approx(expected)


def test_an_edge_too_many_costs_precision():
    truth = box()
    predicted = box()
    predicted[1:3, 1:3] = 1.0  # a second square: 2 more edges in each direction, 8 are right
    precision, recall = 8 / 10, 1.0
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f1(predicted, truth) == pytest.approx(expected)
    # and one that is missing costs recall, which for F1 is the same
    assert boundary_f1(truth, predicted) == pytest.approx(expected)


def test_a_blurred_edge_loses_precision():
    predicted = box(side=10, top=7, left=7, near=1.5)
    predicted[8:16, 8:16] = 1.0  # 1 : 1.5 where the edge is, and 1.5 : 2 one pixel further out
    precision, recall = 8 / (8 + 10), 1.0
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f1(predicted, box()) == pytest.approx(expected)


def test_a_weak_edge_counts_up_to_its_ratio():
    predicted = box(near=1.0, far=1.15)
    found = THRESHOLDS < 1.15
    assert boundary_f1(predicted, box()) == pytest.approx(WEIGHTS[found].sum())


def test_a_direction_without_edges_counts_as_0_as_published():
    step = np.repeat(np.where(np.arange(16) < 8, 1.0, 2.0)[None], 16, axis=0)
    # precision = recall = 1 / 4: the edges face one of four directions
    assert boundary_f1(step, step) == pytest.approx(0.25)
    assert boundary_f1(np.ones((8, 8)), np.ones((8, 8))) == 0.0


def test_pairs_with_an_invalid_pixel_do_not_count():
    truth, predicted, valid = box(), box(), np.ones((24, 24), bool)
    predicted[1:3, 1:3] = 1.0
    valid[0:4, 0:4] = False
    truth[0:4, 0:4], predicted[0, 0] = 0.0, np.nan
    with np.errstate(all="raise"):
        assert boundary_f1(predicted, truth, valid) == pytest.approx(1)
    assert boundary_f1(box(), box(), np.zeros((24, 24), bool)) == 0.0


def test_measured_pairs():
    valid = np.ones((2, 3), bool)
    assert measured_pairs(valid) == 1.0
    valid[0, 0] = False  # of 4 pairs across and 3 down, one each
    assert measured_pairs(valid) == pytest.approx(5 / 7)
    assert measured_pairs(np.ones((1, 1), bool)) == 0.0


@settings(max_examples=30, deadline=None)
@given(scale=st.floats(0.01, 100), other=st.floats(0.01, 100), seed=st.integers(0, 50))
def test_the_units_of_both_do_not_matter(scale, other, seed):
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 3, (9, 7))
    predicted = truth * rng.uniform(0.9, 1.1, (9, 7))
    valid = rng.random((9, 7)) < 0.8
    # Ratios of random numbers are not within rounding of a threshold.
    expected = boundary_f1(predicted, truth, valid)
    assert boundary_f1(scale * predicted, other * truth, valid) == pytest.approx(expected)
    assert expected == pytest.approx(boundary_f1(truth, predicted, valid)), "F1 is symmetric"


def test_a_shift_does_matter():
    # 2 : 1 is an edge at all thresholds; with 20 more, 22 : 21 is at none
    assert boundary_f1(box() + 20, box()) == 0.0


def test_recall_of_a_matte():
    alpha = np.zeros((24, 24))
    alpha[8:16, 8:16] = 0.11
    assert matte_recall(1 / box(), alpha) == pytest.approx(1)
    assert matte_recall(box(), alpha) == 0.0, "the foreground is nearer, not farther"
    assert matte_recall(1 / box(left=9), alpha) == pytest.approx((0 + 0 + 7 / 8 + 7 / 8) / 4)
    assert matte_recall(1 / box(), np.where(alpha > 0, 0.1, 0.0)) == 0.0, "0.1 is background"
    predicted = 1 / box()
    predicted[1:3, 1:3] = 1.0
    assert matte_recall(predicted, alpha) == pytest.approx(1), "edges too many cost nothing"


def test_a_blurred_edge_is_thinned_to_its_strongest_pixel():
    alpha = np.zeros((1, 8))
    alpha[0, 4:] = 1.0
    # ratios 1.5, 2, 1.3 along the row: the strongest is between pixels 3 and 4, as the outline
    disparity = np.array([[1, 1, 1, 1.5, 3.0, 3.9, 3.9, 3.9]])
    # One of four directions has an outline, so that recall is 1/4 at best.
    assert matte_recall(disparity, alpha) == pytest.approx(0.25)
    alpha[0, 3] = 1.0  # the outline is where the ratio is 1.5: thinned away
    assert matte_recall(disparity, alpha) == 0.0
    # Of equal ratios the first; a new row begins a new run.
    equal = np.array([[1, 1, 2, 4.0], [8, 16, 16, 16.0]])
    alpha = np.array([[0, 0, 1, 1], [0, 1, 1, 1.0]])
    across = 1 / 4  # both outlines to the right are found
    assert matte_recall(equal, alpha) >= across


def test_pixels_without_a_prediction_do_not_count_in_recall():
    alpha = np.zeros((24, 24))
    alpha[8:16, 8:16] = 1.0
    disparity = 1 / box()
    disparity[:, :12] = np.nan  # the left side, and half of top and bottom
    assert matte_recall(disparity, alpha) == pytest.approx(3 / 4)
