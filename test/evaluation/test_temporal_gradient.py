"""The temporal gradient error against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.evaluation.temporal_gradient import disparity_range, temporal_gradient_error


def error(change: np.ndarray, true_change: np.ndarray, span: float) -> float | None:
    """Of frames whose disparity changes by these amounts, from whatever it was."""
    start, true_start = np.full(change.shape, 0.4), np.full(change.shape, 0.7)
    return temporal_gradient_error(
        start, start + change, true_start, true_start + true_change, span
    )


def test_a_flicker_of_known_size_by_hand():
    # Half of the pixels jump by 0.06 of a range of 2, the others by -0.02: (0.03 + 0.01) / 2.
    change = np.repeat([0.06, -0.02], 8).reshape(4, 4)
    assert error(change, np.zeros((4, 4)), span=2.0) == pytest.approx(0.02)


def test_a_change_that_is_true_is_no_error_and_a_missing_one_is():
    true_change = np.full((3, 5), 0.03)
    assert error(true_change, true_change, span=1.0) == pytest.approx(0.0, abs=1e-12)
    assert error(np.zeros((3, 5)), true_change, span=1.0) == pytest.approx(0.03)


def test_pixels_whose_truth_changes_much_do_not_count():
    change, true_change = np.full((2, 4), 0.1), np.zeros((2, 4))
    true_change[:, :2] = [[0.049, 0.051], [-0.049, -0.051]]
    # left: |0.1 - 0.049| and |0.1 + 0.049|, and four pixels of 0.1
    expected = (0.051 + 0.149 + 4 * 0.1) / 6
    assert error(change, true_change, span=1.0) == pytest.approx(expected)
    assert error(change, np.full((2, 4), 0.06), span=1.0) is None


def test_only_pixels_known_in_both_frames_count():
    first = second = np.zeros((1, 5))
    second = np.array([[0.2, np.nan, 0.2, 0.2, 0.1]])
    first = np.array([[0.0, 0.0, np.nan, 0.0, 0.0]])
    true_first = np.array([[1.0, 1.0, 1.0, np.nan, 1.0]])
    found = temporal_gradient_error(first, second, true_first, np.ones((1, 5)), 1.0)
    assert found == pytest.approx((0.2 + 0.1) / 2)
    assert temporal_gradient_error(first * np.nan, second, true_first, true_first, 1.0) is None


def test_a_scene_without_range_has_no_error():
    wall = np.full((2, 2), 0.5)
    assert temporal_gradient_error(wall, wall, wall, wall, disparity_range([2 * wall])) is None


def test_the_range_is_of_all_frames_and_spares_the_odd_pixel():
    depths = [np.full(500, 1.0), np.full(500, 4.0)]
    assert disparity_range(depths) == pytest.approx(1 - 1 / 4)
    assert disparity_range([*depths, np.array([0.01])]) == pytest.approx(1 - 1 / 4)
    assert disparity_range([]) == 0.0
