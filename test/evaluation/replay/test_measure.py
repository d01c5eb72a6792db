"""The numbers of one frame, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from replay_bags import SCALE, SHIFT, depth, disparity

from depth_distill_ros.evaluation.replay.measure import (
    depth_range,
    relative_error,
    score,
    shown_depth,
)
from depth_distill_ros.evaluation.temporal import ClipFit
from depth_distill_ros.ros.settings import Settings

LIMITS = (0.1, 80.0)


def test_relative_depth_that_is_affine_in_disparity_is_exact():
    record = score(3 * disparity() - 1, None, depth(), LIMITS)
    assert record["aligned.abs_rel"] == pytest.approx(0, abs=1e-6)
    assert record["aligned.delta1"] == 1
    assert record["fit.scale"] == pytest.approx(SCALE / 3)
    assert record["fit.shift"] == pytest.approx(SHIFT + SCALE / 3)
    assert (record["pixels"], record["coverage"]) == (48 * 64, 1)
    assert not [name for name in record if name.startswith(("metric", "scale_error"))]
    np.testing.assert_allclose(
        ClipFit(np.array(record["clip"])).solve(), (SCALE / 3, SHIFT + SCALE / 3), rtol=1e-5
    )


def test_metric_depth_that_is_a_tenth_too_far():
    metric = depth() * np.float32(1.1)
    record = score(disparity(), metric, depth(), LIMITS)
    assert record["aligned.abs_rel"] == pytest.approx(0, abs=1e-6)
    assert record["metric.abs_rel"] == pytest.approx(0.1, abs=1e-6)
    assert record["scale_error"] == pytest.approx(1.1, abs=1e-6)
    rmse = np.sqrt(np.mean(np.square(0.1 * depth().astype(np.float64))))
    assert record["metric.rmse"] == pytest.approx(rmse, rel=1e-5)


def test_pixels_without_prediction_lower_the_coverage_and_are_not_scored():
    found, metric = disparity().copy(), depth().copy()
    found[:12] = np.nan
    metric[12:24] = np.nan
    record = score(found, metric, depth(), LIMITS)
    assert record["coverage"] == pytest.approx(0.5) and record["pixels"] == 24 * 64
    assert record["metric.abs_rel"] == 0


def test_beyond_range_is_an_answer_that_may_be_wrong():
    metric = depth().copy()
    metric[0] = np.inf
    truth = np.full((48, 64), 2.0, np.float32)
    wrong = score(disparity(), np.where(np.isinf(metric), metric, truth), truth, (0.1, 10.0))
    assert wrong["metric.abs_rel"] == pytest.approx((10 - 2) / 2 / 48), "clipped to the range"
    error = relative_error(np.where(np.isinf(metric), metric, truth), truth, (0.1, 10.0))
    assert error[0, 0] == 4 and error[1, 0] == 0


def test_too_few_pixels_are_not_scored():
    truth = np.zeros((48, 64), np.float32)
    truth[0, :50] = 1.0
    assert score(disparity(), None, truth, LIMITS) == {}
    assert score(np.full((48, 64), np.nan, np.float32), None, depth(), LIMITS) == {}


def test_what_is_shown_is_what_the_errors_are_about():
    record = score(disparity(), None, depth(), LIMITS)
    np.testing.assert_allclose(shown_depth(disparity(), None, record, LIMITS), depth(), rtol=1e-5)
    assert shown_depth(disparity(), depth(), {}, LIMITS) is not None
    assert shown_depth(disparity(), None, {}, LIMITS) is None
    error = relative_error(2 * depth(), np.where(depth() < 5, depth(), 0), LIMITS)
    np.testing.assert_allclose(error[depth() < 5], 1.0)
    assert np.isnan(error[depth() >= 5]).all()


def test_the_nodes_range_limits_what_is_compared():
    assert depth_range(Settings()) == LIMITS
    assert depth_range(Settings(depth_min_range=0.5, depth_max_range=10.0)) == (0.5, 10.0)
