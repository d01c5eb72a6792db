"""Pinhole geometry: hand-computed points, round trips and the resizing convention."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError, UserError
from depth_distill_ros.geometry.camera import (
    Intrinsics,
    project,
    ray_grid,
    reproject,
    unproject,
)

CAMERA = Intrinsics(fx=2.0, fy=4.0, cx=1.0, cy=0.5, width=4, height=3)

cameras = st.builds(
    Intrinsics,
    fx=st.floats(10, 3000),
    fy=st.floats(10, 3000),
    cx=st.floats(-50, 50),
    cy=st.floats(-50, 50),
    width=st.integers(1, 24),
    height=st.integers(1, 24),
)


def test_unproject_by_hand():
    points = unproject(np.full((3, 4), 2.0, np.float32), CAMERA)
    assert points.shape == (3, 4, 3) and points.dtype == np.float32
    # (u, v) = (3, 2): x = (3 - 1) / 2 * 2 = 2, y = (2 - 0.5) / 4 * 2 = 0.75
    np.testing.assert_array_equal(points[2, 3], [2.0, 0.75, 2.0])
    np.testing.assert_array_equal(points[0, 0], [-1.0, -0.25, 2.0])


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan, np.inf, -np.inf])
def test_invalid_depth_becomes_nan_in_all_three_coordinates(bad):
    depth = np.ones((3, 4), np.float32)
    depth[1, 2] = bad
    finite = np.isfinite(unproject(depth, CAMERA))
    assert not finite[1, 2].any()
    assert finite.sum() == 3 * 11
    assert depth[1, 2] == bad or np.isnan(bad), "the caller's depth must not change"


def test_unproject_fills_a_strided_array():
    buffer = np.zeros((3, 4, 4), np.float32)
    depth = np.linspace(1, 3, 12, dtype=np.float32).reshape(3, 4)
    unproject(depth, CAMERA, out=buffer[..., :3])
    np.testing.assert_array_equal(buffer[..., :3], unproject(depth, CAMERA))
    assert not buffer[..., 3].any()


def test_unproject_refuses_another_size():
    with pytest.raises(DataError, match="scale the intrinsics"):
        unproject(np.ones((4, 3), np.float32), CAMERA)


def test_ray_grid_is_shared_and_read_only():
    x_over_z, _ = ray_grid(CAMERA)
    assert x_over_z is ray_grid(Intrinsics(2.0, 4.0, 1.0, 0.5, 4, 3))[0]
    with pytest.raises(ValueError, match="read-only"):
        x_over_z[0, 0] = 1


def test_project_by_hand():
    u, v, z = project(np.array([[2.0, 0.75, 2.0], [0, 0, -1], [np.nan, 0, 1]]), CAMERA)
    assert (u[0], v[0], z[0]) == (3.0, 2.0, 2.0)
    assert np.isnan(u[1]) and np.isnan(v[1]) and np.isnan(z[1])
    assert np.isnan(u[2])


@settings(deadline=None)
@given(camera=cameras, seed=st.integers(0, 2**32 - 1))
def test_projecting_an_unprojected_depth_returns_the_pixel_grid(camera, seed):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(0.2, 80, (camera.height, camera.width)).astype(np.float32)
    u, v, z = project(unproject(depth, camera), camera)
    columns, rows = np.meshgrid(np.arange(camera.width), np.arange(camera.height))
    np.testing.assert_allclose(u, columns, atol=1e-3)
    np.testing.assert_allclose(v, rows, atol=1e-3)
    np.testing.assert_array_equal(z, depth)


def test_scaled_keeps_the_image_corners():
    half = CAMERA.scaled(8, 6)
    assert (half.fx, half.fy, half.width, half.height) == (4.0, 8.0, 8, 6)
    # A corner of the image, at -0.5 in both, stays a corner: (1 + 0.5) * 2 - 0.5 = 2.5
    assert (half.cx, half.cy) == (2.5, 1.5)


@given(camera=cameras, width=st.integers(1, 4000), height=st.integers(1, 4000))
def test_scaling_there_and_back(camera, width, height):
    back = camera.scaled(width, height).scaled(camera.width, camera.height)
    np.testing.assert_allclose(back.matrix(), camera.matrix(), rtol=1e-9, atol=1e-9)


def test_matrix():
    np.testing.assert_array_equal(CAMERA.matrix(), [[2, 0, 1], [0, 4, 0.5], [0, 0, 1]])


@pytest.mark.parametrize(
    "values",
    [
        (0, 1, 0, 0, 4, 4),
        (1, -1, 0, 0, 4, 4),
        (float("nan"), 1, 0, 0, 4, 4),
        (1, 1, float("inf"), 0, 4, 4),
        (1, 1, 0, 0, 0, 4),
        (1, 1, 0, 0, 4, -1),
    ],
)
def test_impossible_cameras_are_refused(values):
    with pytest.raises(UserError):
        Intrinsics(*values)


def test_reproject_along_the_axis_by_hand():
    ahead = np.eye(4)
    ahead[2, 3] = 1.0  # the second camera stands one metre further along z
    u, v, z = reproject(np.full((3, 4), 2.0, np.float32), CAMERA, np.eye(4), ahead)
    np.testing.assert_array_equal(z, np.ones((3, 4)))
    # Half as far, so twice as far from the principal point: u' - 1 = 2 (u - 1)
    np.testing.assert_allclose(u[0], [-1, 1, 3, 5])
    np.testing.assert_allclose(v[:, 0], [-0.5, 1.5, 3.5])


def test_reproject_behind_the_other_camera_is_nan():
    beyond = np.eye(4)
    beyond[2, 3] = 3.0
    for values in reproject(np.full((3, 4), 2.0, np.float32), CAMERA, np.eye(4), beyond):
        assert np.isnan(values).all()


@settings(deadline=None)
@given(camera=cameras, shift=st.tuples(*[st.floats(-1e4, 1e4)] * 3), yaw=st.floats(-3, 3))
def test_reproject_to_the_same_pose_is_the_identity(camera, shift, yaw):
    pose = np.eye(4)
    pose[:3, :3] = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    pose[:3, 3] = shift
    depth = np.full((camera.height, camera.width), 3.0, np.float32)
    u, _, z = reproject(depth, camera, pose, pose)
    np.testing.assert_allclose(u[0], np.arange(camera.width), atol=2e-2)
    np.testing.assert_allclose(z, depth, rtol=1e-4)
