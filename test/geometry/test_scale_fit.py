"""Scale and shift from measurements: by hand, affine maps of any kind, outliers, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ScaleError
from depth_distill_ros.geometry.scale_fit import fit_scale, relative_error


def scene(
    count: int, scale: float, shift: float, seed: int = 0, noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Disparity, and depth that is off by a relative `noise`."""
    rng = np.random.default_rng(seed)
    disparity = rng.random(count)
    depth = 1 / (scale * disparity + shift) * np.exp(noise * rng.standard_normal(count))
    return disparity.astype(np.float32), depth.astype(np.float32)


def wrong(depth: np.ndarray, share: float, seed: int = 1) -> np.ndarray:
    """Depth of which exactly a share is something between 0.3 and 80 m."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(depth), round(share * len(depth)), replace=False)
    result = depth.copy()
    result[chosen] = np.exp(rng.uniform(np.log(0.3), np.log(80), len(chosen)))
    return result


def depth_ratio(fit, scale: float, shift: float) -> float:
    """The worst ratio of depths over disparity from 0.1 to 0.9."""
    disparity = np.linspace(0.1, 0.9, 9)
    ratio = (fit.scale * disparity + fit.shift) / (scale * disparity + shift)
    return float(np.maximum(ratio, 1 / ratio).max())


def test_relative_error_by_hand():
    # 2 m for 1 m and 1 m for 2 m are both off by half; a negative inverse depth by more than 1
    error = relative_error(np.array([0.5, 1.0, 1.0, -0.5]), np.array([1.0, 0.5, 1.0, 1.0]))
    np.testing.assert_allclose(error, [0.5, 0.5, 0.0, 1.5])


def test_a_line_by_hand():
    disparity = np.linspace(0.1, 1, 10)
    depth = 1 / (2 * disparity + 0.5)
    fit = fit_scale(disparity, depth)
    assert (fit.scale, fit.shift) == (pytest.approx(2), pytest.approx(0.5))
    assert (fit.inliers, fit.points) == (10, 10)
    assert fit.residual < 1e-9
    assert 0.1 < fit.centre < 1 and 0.1 < fit.spread < 0.5


@given(
    scale=st.floats(1e-3, 1e3),
    ratio=st.floats(0.01, 10),
    count=st.integers(10, 3000),
    seed=st.integers(0, 1000),
)
def test_every_affine_map_is_recovered(scale, ratio, count, seed):
    disparity, depth = scene(count, scale, scale * ratio, seed)
    fit = fit_scale(disparity, depth, seed=seed)
    assert depth_ratio(fit, scale, scale * ratio) < 1.001
    assert fit.inliers == fit.points == count


def test_a_shift_below_zero_is_recovered():
    disparity = np.linspace(0.3, 1, 50)
    fit = fit_scale(disparity, 1 / (0.8 * disparity - 0.2))
    assert (fit.scale, fit.shift) == (pytest.approx(0.8), pytest.approx(-0.2))


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("count", [60, 300, 2000, 20000])
@pytest.mark.parametrize("noise, tolerance", [(0.0, 1.02), (0.05, 1.08)])
def test_outliers_do_not_move_the_fit(share, count, noise, tolerance):
    disparity, depth = scene(count, 0.8, 0.05, seed=count, noise=noise)
    fit = fit_scale(disparity, wrong(depth, share))
    assert depth_ratio(fit, 0.8, 0.05) < tolerance
    assert 1 - share <= fit.inliers / fit.points < 1 - 0.6 * share


def test_values_that_cannot_be_used_are_left_out():
    disparity, depth = scene(100, 1.0, 0.1)
    bad_disparity = np.array([np.nan, np.inf, 0.5, 0.5, 0.5, 0.5, 0.5], np.float32)
    bad_depth = np.array([1, 1, np.nan, np.inf, 0, -1, 1e-320])
    fit = fit_scale(np.append(disparity, bad_disparity), np.append(depth, bad_depth))
    assert fit.points == 100
    assert fit.scale == pytest.approx(1.0, rel=1e-4)


def test_the_same_input_gives_the_same_fit():
    disparity, depth = scene(500, 0.8, 0.05, noise=0.2)
    assert fit_scale(disparity, depth) == fit_scale(disparity.copy(), depth.copy())
    assert fit_scale(disparity, depth) != fit_scale(disparity, depth, seed=1)


def test_the_error_that_counts_is_that_of_depth():
    """Least squares in inverse depth would follow the near half, which is worth as little here."""
    disparity = np.tile(np.linspace(0, 1, 100), 2)
    inverse = np.tile(0.9 * np.linspace(0, 1, 100) + 0.1, 2)
    inverse[:100] *= 1.1
    inverse[100:] *= 0.9
    fit = fit_scale(disparity, 1 / inverse)
    error = relative_error(fit.scale * disparity + fit.shift, inverse)
    assert error.mean() < 0.101
    assert fit.residual == pytest.approx(0.1, abs=0.05)


def test_few_points_are_refused():
    disparity, depth = scene(9, 1.0, 0.1)
    with pytest.raises(ScaleError, match="only 9 measurements .* 10 are needed"):
        fit_scale(disparity, depth)
    assert fit_scale(disparity, depth, min_inliers=9).inliers == 9
    for count in (0, 1):
        with pytest.raises(ScaleError, match=f"only {count} measurements .* 2 are needed"):
            fit_scale(disparity[:count], depth[:count], min_inliers=0)


def test_two_points_are_a_line():
    fit = fit_scale(np.array([0.2, 0.6]), np.array([5.0, 1.0]), min_inliers=2)
    assert (fit.scale, fit.shift) == (pytest.approx(2.0), pytest.approx(-0.2))


def test_a_single_disparity_is_refused():
    _, depth = scene(100, 1.0, 0.1)
    with pytest.raises(ScaleError, match="same disparity"):
        fit_scale(np.full(100, 0.3), depth)


def test_depth_that_rises_with_disparity_is_refused():
    disparity = np.linspace(0, 1, 100)
    with pytest.raises(ScaleError, match="does not belong to this image"):
        fit_scale(disparity, 1 + disparity)


def test_too_few_inliers_are_refused():
    disparity, depth = scene(200, 0.8, 0.05)
    spoiled = wrong(depth, 0.6)
    with pytest.raises(ScaleError, match=r"of 200 measurements agree .* 10 and 60% are needed"):
        fit_scale(disparity, spoiled, min_inlier_ratio=0.6)
    with pytest.raises(ScaleError, match=r"of 200 measurements agree .* 150 and 25% are needed"):
        fit_scale(disparity, spoiled, min_inliers=150)


def test_measurements_that_have_nothing_to_do_with_the_image_are_mostly_refused():
    """Mostly: among many lines through chance, one now and then looks like a find."""
    refused = 0
    for seed in range(40):
        disparity, depth = scene(300, 0.8, 0.3, seed)
        try:
            fit_scale(disparity, np.random.default_rng(seed + 100).permutation(depth))
        except ScaleError as error:
            assert "does not belong to this image" in str(error)
            refused += 1
    assert refused >= 34


@given(st.lists(st.tuples(st.floats(width=32), st.floats(width=32)), max_size=60))
def test_anything_gives_a_usable_fit_or_a_reason(pairs):
    values = np.array(pairs, np.float32).reshape(-1, 2)
    try:
        fit = fit_scale(values[:, 0], values[:, 1])
    except ScaleError as error:
        assert str(error)
    else:
        assert fit.scale > 0 and np.isfinite([fit.scale, fit.shift, fit.centre]).all()
        assert fit.inliers >= 10 and 0 <= fit.residual < 0.3
