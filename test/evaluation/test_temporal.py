"""The temporal alignment error against values worked out by hand, and on real poses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.evaluation.temporal import (
    VARIANTS,
    ClipFit,
    View,
    aligned_depth,
    splat,
    tae,
)
from depth_distill_ros.geometry.camera import Intrinsics

CAMERA = Intrinsics(fx=10.0, fy=10.0, cx=4.5, cy=3.5, width=10, height=8)
DAV, VDA = VARIANTS


def pose(x: float = 0.0, z: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3], matrix[2, 3] = x, z
    return matrix


def wall(depth: float, at: np.ndarray, measured: np.ndarray | None = None) -> View:
    if measured is None:
        measured = np.ones((8, 10), bool)
    return View(np.full((8, 10), depth, np.float32), measured, CAMERA, at)


def test_the_same_wall_seen_from_two_places_has_no_error():
    # A wall at z = 4 in the world; the second camera stands 1 m nearer: it sees it at 3 m.
    first, second = wall(4.0, pose()), wall(3.0, pose(z=1.0))
    for variant in VARIANTS:
        assert tae(first, second, variant) == pytest.approx(0.0, abs=1e-6)


def test_a_scale_that_flickers_by_hand():
    # From one place, 2 m and then 2.5 m. There: |2 - 2.5| / 2.5 = 0.2; back: |2.5 - 2| / 2 = 0.25.
    assert tae(wall(2.0, pose()), wall(2.5, pose()), VDA) == pytest.approx(0.225)
    # 1 m towards it: 4 m become 3 m, where 2 m are seen: 1/2; back: 2 + 1 = 3, where 4: 1/4.
    assert tae(wall(4.0, pose()), wall(2.0, pose(z=1.0)), DAV) == pytest.approx((1 / 2 + 1 / 4) / 2)


def test_a_shift_by_whole_pixels_by_hand():
    # At 2 m, 10 px of focal length and 0.4 m to the right: everything moves 2 columns to the left.
    first = wall(2.0, pose())
    first.depth[:, 5] = 1.0  # 4 columns: nearer
    seen = splat(first.depth, first, wall(2.0, pose(x=0.4)))
    row = seen[3]
    assert row[1] == 1.0, "the near column covers what lands on its pixel"
    assert row[3] == 0.0, "nothing lands where it came from"
    np.testing.assert_array_equal(row[[0, 2, 4, 5, 6, 7]], 2.0)
    np.testing.assert_array_equal(row[[8, 9]], 0.0)


def test_only_measured_pixels_count_in_one_variant_and_all_in_the_other():
    measured = np.zeros((8, 10), bool)
    measured[:, :5] = True
    first, second = wall(2.0, pose(), measured), wall(2.0, pose(), measured)
    second.depth[:, 5:] = 4.0  # wrong where nothing is measured
    assert tae(first, second, DAV) == 0.0
    there, back = 0.5 * abs(2 - 4) / 4, 0.5 * abs(4 - 2) / 2
    assert tae(first, second, VDA) == pytest.approx((there + back) / 2)


def test_pixels_without_depth_are_left_out_and_pairs_without_pixels_have_no_error():
    first, second = wall(2.0, pose()), wall(2.0, pose())
    first.depth[0], first.depth[1], first.depth[2] = np.nan, np.inf, 0.0
    second.depth[7] = np.nan
    for variant in VARIANTS:
        assert tae(first, second, variant) == 0.0
        assert tae(first, wall(2.0, pose(x=100.0)), variant) is None
    assert tae(wall(2.0, pose(), np.zeros((8, 10), bool)), second, DAV) is None


@given(scale=st.floats(0.1, 10.0), shift=st.floats(-0.5, 0.5), seed=st.integers(0, 1000))
def test_a_clip_is_fitted_exactly_where_it_can_be(scale, shift, seed):
    rng = np.random.default_rng(seed)
    parts = []
    for _ in range(3):
        disparity = rng.uniform(0.1, 1.0, 50)
        inverse = scale * disparity + shift
        keep = inverse > 0.02
        parts.append(ClipFit.of(disparity[keep], 1 / inverse[keep]))
    total = parts[0] + parts[1] + parts[2]
    if total.sums[0] < 10:
        return
    np.testing.assert_allclose(total.solve(), (scale, shift), atol=1e-5)


def test_a_clip_that_says_nothing_cannot_be_fitted():
    for disparity in (np.full(10, 0.3), np.empty(0)):
        with pytest.raises(DataError, match="cannot be aligned"):
            ClipFit.of(disparity, np.ones_like(disparity)).solve()


def test_aligned_depth_by_hand():
    disparity = np.array([[0.5, 0.0, np.nan, -1.0]], np.float32)
    depth = aligned_depth(disparity, 2.0, 0.0, (0.1, 80.0))
    np.testing.assert_array_equal(depth, np.float32([[1.0, 80.0, np.nan, 80.0]]))


def test_measured_depth_of_a_real_sequence_is_the_floor(shared_data):
    sequence = load_sequence(shared_data / "seq_redkitchen_kinect")
    views = []
    for frame in (sequence[20], sequence[21]):
        views.append(View(frame.depth, frame.depth > 0, frame.intrinsics, frame.pose))
    floor = tae(*views, DAV)
    assert 0.001 < floor < 0.01
    rng = np.random.default_rng(0)
    noisy = views[1].depth * rng.normal(1, 0.05, views[1].depth.shape).astype(np.float32)
    error = tae(views[0], View(noisy, views[1].measured, views[1].intrinsics, views[1].pose), DAV)
    assert error == pytest.approx(0.05 * np.sqrt(2 / np.pi), rel=0.15), "mean of |N(0, 5 %)|"
    swapped = views[1], views[0]
    assert tae(*swapped, DAV) == pytest.approx(floor)
