"""The ground in clouds and depth maps: tilt, walls, tables, ceilings, and the scale it gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.errors import ScaleError
from depth_distill_ros.geometry.camera import Intrinsics, ray_grid
from depth_distill_ros.geometry.ground_plane import fit_ground, ground_scale
from depth_distill_ros.geometry.scale import metric_depth

CAMERA = Intrinsics(fx=80.0, fy=80.0, cx=79.5, cy=59.5, width=160, height=120)


def up_vector(pitch: float, roll: float = 0.0) -> np.ndarray:
    """Up in the optical frame of a camera that looks `pitch` degrees down and rolls."""
    pitch, roll = np.radians([pitch, roll])
    return np.array([np.sin(roll) * np.cos(pitch), -np.cos(roll) * np.cos(pitch), -np.sin(pitch)])


def render(*planes: tuple[np.ndarray, float, float], far: float = 30.0) -> np.ndarray:
    """Depth (H, W) of planes (normal, n · X of its points, how far along each ray at most)."""
    x, y = np.broadcast_arrays(*ray_grid(CAMERA))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1)
    depth = np.full(x.shape, far)
    for normal, offset, limit in planes:
        with np.errstate(divide="ignore"):
            z = offset / (rays @ normal)
        z[(z <= 0) | (z > limit)] = np.inf
        depth = np.minimum(depth, z)
    return depth


def floor(height: float, up: np.ndarray) -> tuple[np.ndarray, float, float]:
    return up, -height, np.inf


def cloud(depth: np.ndarray) -> np.ndarray:
    x, y = ray_grid(CAMERA)
    return np.stack([x * depth, y * depth, depth], axis=-1).reshape(-1, 3)


def angle(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


@settings(max_examples=30)
@given(
    height=st.floats(0.1, 5),
    pitch=st.floats(0, 25),
    roll=st.floats(-15, 15),
    noise=st.floats(0, 0.03),
)
def test_a_floor_is_found_whatever_the_attitude(height, pitch, roll, noise):
    up = up_vector(pitch, roll)
    depth = render(floor(height, up), far=20 * height)
    rng = np.random.default_rng(0)
    ground = fit_ground(cloud(depth * np.exp(noise * rng.standard_normal(depth.shape))))
    assert ground.distance == pytest.approx(height, rel=0.03)
    assert angle(ground.normal, up) < 2
    assert np.linalg.norm(ground.normal) == pytest.approx(1)
    assert ground.inliers <= ground.points == depth.size


def test_the_plane_by_hand():
    points = [[x, 1.5, z] for x in range(-5, 6) for z in range(1, 11)]
    ground = fit_ground(np.array(points, float))
    np.testing.assert_allclose(ground.normal, [0, -1, 0], atol=1e-9)
    assert ground.distance == pytest.approx(1.5)
    assert (ground.inliers, ground.points) == (110, 110)
    assert ground.residual < 1e-9


def test_a_wall_that_fills_most_of_the_view_is_no_ground():
    up = up_vector(15)
    # 1.4 m in front: the floor is what remains below
    depth = render(floor(1.2, up), (np.array([0.0, 0.0, 1.0]), 1.7, np.inf))
    ground = fit_ground(cloud(depth))
    assert 0.1 < ground.inliers / ground.points < 0.4
    assert ground.distance == pytest.approx(1.2, rel=0.02)
    assert angle(ground.normal, up) < 1


def table_scene() -> np.ndarray:
    """A table 0.75 m above the floor, seen from 1.5 m, in most of the lower view."""
    up = up_vector(20)
    depth = render(floor(1.5, up))
    table = render((up, -0.75, np.inf))
    depth[:, :125] = np.where(table[:, :125] < 2.5, table[:, :125], depth[:, :125])
    return depth


def test_a_table_is_no_ground_while_the_floor_is_in_view():
    depth = table_scene()
    ratio = cloud(depth) @ -up_vector(20)
    # The table has more pixels than the floor, and wins where the floor is hidden.
    on_floor, on_table = abs(ratio / 1.5 - 1) < 0.05, abs(ratio / 0.75 - 1) < 0.05
    assert 1.2 * on_floor.sum() < on_table.sum()
    assert fit_ground(cloud(depth)).distance == pytest.approx(1.5, rel=0.02)
    assert fit_ground(cloud(depth)[on_table]).distance == pytest.approx(0.75, rel=0.02)


def test_a_ceiling_is_no_ground():
    ceiling = render((np.array([0.0, 1.0, 0.0]), -1.0, np.inf))
    with pytest.raises(ScaleError, match="no ground is seen: none of the planes in 19200 points"):
        fit_ground(cloud(ceiling))
    both = np.minimum(ceiling, render(floor(1.6, up_vector(0))))
    assert fit_ground(cloud(both)).distance == pytest.approx(1.6, rel=0.02)


def test_the_tilt_that_is_allowed_is_that_against_up():
    up = up_vector(40)
    points = cloud(render(floor(1.0, up)))
    with pytest.raises(ScaleError, match="level within 30 degrees"):
        fit_ground(points)
    assert fit_ground(points, max_tilt=45).distance == pytest.approx(1, rel=0.02)
    assert fit_ground(points, up, max_tilt=5).distance == pytest.approx(1, rel=0.02)
    assert fit_ground(points, 3 * up, max_tilt=5).distance == pytest.approx(1, rel=0.02)


@pytest.mark.parametrize(
    "points",
    [
        np.empty((0, 3)),
        np.full((500, 3), np.nan),
        np.zeros((500, 3)),
        np.tile([[0.0, 1.0, 2.0]], (500, 1)),
        np.outer(np.arange(500), [0.0, 1.0, 2.0]),
        np.random.default_rng(0).uniform(-5, 5, (30, 3)),
    ],
    ids=["none", "invalid", "zeros", "one", "a line", "few"],
)
def test_what_is_no_plane_is_refused(points):
    with pytest.raises(ScaleError, match="no ground is seen"):
        fit_ground(points)


def test_the_height_gives_the_scale():
    up = up_vector(12)
    depth = render(floor(1.1, up), far=40.0)
    true_scale, true_shift = 1.9, 0.1
    disparity = ((1 / depth - true_shift) / true_scale).astype(np.float32)
    disparity[:5] = np.nan
    # near and far of the right shape: 1/near = scale + shift, 1/far = shift, both times 7
    near, far = 7 / (true_scale + true_shift), 7 / true_shift
    valid = (disparity >= 0) & (disparity <= 1)
    disparity[~valid] = np.nan
    fit = ground_scale(disparity, CAMERA, near, far, height=1.1)
    assert (fit.scale, fit.shift) == (
        pytest.approx(true_scale, rel=0.02),
        pytest.approx(true_shift, rel=0.02),
    )
    metric = metric_depth(disparity, fit.scale, fit.shift)
    np.testing.assert_allclose(metric[valid], depth[valid], rtol=0.02)
    # the same view at another size, and twice as high: twice as far
    other = ground_scale(disparity, CAMERA.scaled(640, 480), near, far, height=2.2)
    assert other.scale == pytest.approx(fit.scale / 2)


@pytest.mark.parametrize("height", [0.0, -1.0, float("nan")])
def test_without_a_height_there_is_no_scale(height):
    with pytest.raises(ScaleError, match=r"camera_height\.height"):
        ground_scale(np.full((12, 16), 0.5, np.float32), CAMERA, 0.5, 10, height)
