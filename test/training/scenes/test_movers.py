"""Moving objects: the ground they find, and ways that touch nothing, in rooms built by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from training.scenes.camera import orientation
from training.scenes.collision import Surfaces
from training.scenes.mesh import Material, box, quad
from training.scenes.movers import Mover, find_movers, ground_points, ground_under
from training.scenes.scene import CameraPose

GREY = Material(colour=(0.5, 0.5, 0.5))
FLOOR = quad((-4, 0, 4), (8, 0, 0), (0, 0, -8), GREY)
WALLS = np.concatenate([
    quad((-4, 0, -4), (8, 0, 0), (0, 3, 0), GREY), quad((-4, 0, 4), (8, 0, 0), (0, 3, 0), GREY),
    quad((-4, 0, -4), (0, 0, 8), (0, 3, 0), GREY), quad((4, 0, -4), (0, 0, 8), (0, 3, 0), GREY),
])  # fmt: skip
ROOM = np.concatenate([FLOOR, WALLS, box((1, 0, -2), (2, 0.7, -1), GREY)])
CAMERA = CameraPose(np.array([0.0, 1.4, 3.5]), orientation(0.0, -0.3), 0.7)


def test_the_ground_is_seen_but_no_wall(plain_renderer, make_scene):
    plain_renderer.load(make_scene(ROOM))
    depth = plain_renderer.render(CAMERA)[1]
    points = ground_points(depth, CAMERA, 1.0, 5.0)
    assert len(points) > 2000
    height = points[:, 1]
    on_floor, on_box = np.abs(height) < 1e-3, np.abs(height - 0.7) < 1e-3
    assert (on_floor | on_box).all() and on_box.any()
    assert (np.abs(points[:, [0, 2]]) < 4.001).all()
    ahead = (points - CAMERA.eye) @ -CAMERA.rotation[:, 2]
    assert ahead.min() > 1.0 - 1e-5 and ahead.max() < 5.0 + 1e-5


def places(*x: float) -> np.ndarray:
    return np.array([(a, 0.0, 0.0) for a in x])


def test_ground_rises_by_a_step_and_no_more():
    kerb = quad((1, 0.1, 1), (2, 0, 0), (0, 0, -2), GREY)
    road = quad((-4, 0, 1), (5, 0, 0), (0, 0, -2), GREY)
    surfaces = Surfaces(np.concatenate([road, kerb]))
    way = places(-1.0, 0.0, 0.9, 1.1, 2.0)
    np.testing.assert_allclose(ground_under(surfaces, way, 1, 0.07), [0, 0, 0, 0.1, 0.1])
    assert ground_under(surfaces, way, 1, 0.05) is None, "a fifth of 0.2 m and 0.05 m are less"
    np.testing.assert_allclose(ground_under(surfaces, way + (0, 0.1, 0), 4, 0.2)[[0, 4]], [0, 0.1])


def test_a_way_ends_where_the_ground_ends():
    assert ground_under(Surfaces(FLOOR), places(0.0, 2.0, 3.9), 0, 0.1) is not None
    assert ground_under(Surfaces(FLOOR), places(0.0, 2.0, 4.1), 0, 0.1) is None
    assert ground_under(Surfaces(FLOOR), places(-4.1, 2.0), 1, 0.1) is None


def test_distance_to_a_cylinder_by_hand():
    mover = Mover(box((-1, 0, -1), (1, 2, 1), GREY), places(0.0, 3.0, 0.0), np.zeros(3), 1.0, 2.0)
    points = np.array([(4.0, 1, 0), (3.2, 5, 0), (0, 6, -4.0)])
    np.testing.assert_allclose(mover.distance(points), [3, 3, 5])


@pytest.mark.parametrize("seed", range(4))
def test_things_move_freely_where_the_camera_looks(assets, renderer, make_scene, seed):
    scene = replace(
        make_scene(ROOM), kind="indoor/test", obstacles=np.array([[1.5, -1.5, 0.5, 0.5, 0, 0.7]])
    )
    renderer.load(scene)
    still = renderer.render(CAMERA)[1]
    rng = np.random.default_rng(seed)
    movers = find_movers(scene, assets, still, 8, [CAMERA] * 16, 10.0, 2, rng)
    assert movers
    for mover in movers:
        assert mover.places.shape == (16, 3) and np.ptp(mover.places, axis=0).max() > 0.05
        assert mover.distance(np.tile(CAMERA.eye, (16, 1))).min() >= 1.5 * scene.near_limit
        for i in (0, 8, 15):
            rows = mover.at(i)
            middle = (rows[:, :3].max(0) + rows[:, :3].min(0)) / 2
            assert (np.abs(middle[[0, 2]]) < 4).all(), "it stays in the room"
            assert not scene.is_inside_object(middle)
            assert -0.01 < rows[:, 1].min() < 0.75
        x, y, z = (mover.places[8] - CAMERA.eye) @ CAMERA.rotation
        assert z < 0 and abs(x / z) < 0.71 and abs(y / z) < 0.54, "its foot is in view"
    seen = [renderer.render(CAMERA, np.concatenate([m.at(i) for m in movers]))[1] for i in (0, 15)]
    assert (seen[0] != seen[1]).mean() > 0.002
    np.testing.assert_array_equal(np.minimum(seen[0], still), seen[0])  # nothing but nearer


def test_nothing_moves_where_there_is_no_ground(assets, make_scene):
    scene = make_scene(WALLS)
    wall = np.full((30, 40), 2.0, np.float32)
    level = CameraPose(np.zeros(3), np.eye(3), 0.6)
    rng = np.random.default_rng(0)
    assert find_movers(scene, assets, wall, 0, [level] * 4, 10.0, 3, rng) == []


def test_the_floor_below_a_tilted_camera_is_level():
    down = CameraPose(np.array([0.0, 2.0, 0.0]), orientation(0.4, -math.pi / 2), 0.5)
    points = ground_points(np.full((24, 32), 2.0), down, 1.0, 3.0)
    assert len(points) == 23 * 31
    np.testing.assert_allclose(points[:, 1], 0, atol=1e-12)
