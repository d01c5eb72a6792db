"""Points and depth images as samples of a view: pixels by hand, what is left out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.geometry.reference import (
    disparity_at,
    samples_from_depth,
    samples_from_points,
)

CAMERA = Intrinsics(fx=50.0, fy=50.0, cx=31.5, cy=23.5, width=64, height=48)


def test_points_by_hand():
    points = np.array(
        [
            [0.0, 0.0, 2.0],  # on the axis: at the principal point
            [0.2, -0.1, 2.0],  # 50 * 0.1 = 5 pixels right, 2.5 up
            [0.0, 0.0, -2.0],  # behind
            [0.0, 0.0, 0.0],  # in the camera
            [2.0, 0.0, 2.0],  # 50 pixels right: outside
            [-1.27, 0.0, 2.0],  # at u = -0.25, within the first pixel
            [-1.31, 0.0, 2.0],  # at u = -1.25, outside
            [np.nan, 0.0, 2.0],
            [0.0, 0.0, np.inf],
        ]
    )
    samples = samples_from_points(points, CAMERA)
    np.testing.assert_allclose(samples.u, [31.5, 36.5, -0.25], atol=1e-5)
    np.testing.assert_allclose(samples.v, [23.5, 21.0, 23.5], atol=1e-5)
    np.testing.assert_allclose(samples.depth, [2, 2, 2])
    assert {values.dtype for values in (samples.u, samples.v, samples.depth)} == {
        np.dtype(np.float32)
    }
    assert (samples.width, samples.height) == (64, 48)


def test_no_points_are_no_samples():
    assert len(samples_from_points(np.empty((0, 3)), CAMERA).depth) == 0
    assert len(samples_from_depth(np.zeros((4, 5), np.float32)).depth) == 0


def test_depth_pixels_by_hand():
    depth = np.array([[0, 1, np.nan], [np.inf, -1, 2]], np.float32)
    samples = samples_from_depth(depth)
    assert (samples.width, samples.height) == (3, 2)
    np.testing.assert_array_equal(samples.u, [1, 2])
    np.testing.assert_array_equal(samples.v, [0, 1])
    np.testing.assert_array_equal(samples.depth, [1, 2])


def test_many_pixels_are_drawn_down_to_the_limit():
    depth = np.arange(1, 2001, dtype=np.float32).reshape(40, 50)
    samples = samples_from_depth(depth, limit=100, seed=3)
    values = depth[samples.v.astype(int), samples.u.astype(int)]
    np.testing.assert_array_equal(samples.depth, values)
    assert len(np.unique(values)) == 100
    np.testing.assert_array_equal(samples_from_depth(depth, 100, 3).depth, values)
    assert not np.array_equal(samples_from_depth(depth, 100, 4).depth, values)


def test_disparity_is_taken_at_the_nearest_pixel_of_any_size():
    depth = np.zeros((4, 8), np.float32)
    depth[0, 0], depth[0, 3], depth[3, 7], depth[2, 4] = 1, 2, 3, 4
    samples = samples_from_depth(depth)
    # halved: pixel pairs share one; (row 2, column 4) -> (1, 2), which is not known
    disparity = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.6, np.nan, 0.8]], np.float32)
    values, depths = disparity_at(samples, disparity)
    np.testing.assert_array_equal(depths, [1, 2, 3])
    np.testing.assert_array_equal(values, disparity[[0, 0, 1], [0, 1, 3]])
    values, _ = disparity_at(samples, np.full((1, 1), 0.5, np.float32))
    np.testing.assert_array_equal(values, [0.5] * 4)


@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=st.integers(0, 99))
def test_a_depth_image_and_its_points_are_the_same_samples(height, width, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.5, 20, (height, width)).astype(np.float32)
    camera = Intrinsics(40.0, 45.0, rng.uniform(0, width), rng.uniform(0, height), width, height)
    by_points = samples_from_points(unproject(depth, camera), camera)
    by_pixels = samples_from_depth(depth)
    for name in ("u", "v", "depth"):
        np.testing.assert_allclose(
            getattr(by_points, name), getattr(by_pixels, name), rtol=1e-5, atol=1e-4
        )
    disparity = rng.random((height, width)).astype(np.float32)
    for one, other in zip(
        disparity_at(by_points, disparity), disparity_at(by_pixels, disparity), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)
