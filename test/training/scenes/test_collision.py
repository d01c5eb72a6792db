"""Distance to triangles against dense sampling; paths against walls."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.scenes.collision import Surfaces, triangle_distance
from training.scenes.mesh import Material, box, quad
from training.scenes.scene import CameraPose
from training.scenes.trajectory import camera_path, is_free_path, motion_for

TRIANGLE = np.array([[[0, 0, 0], [2, 0, 0], [0, 0, 2]]], float)


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ((0.5, 0.7, 0.5), 0.7),  # above the inside
        ((1, 0, -1), 1.0),  # beside an edge
        ((-3, 4, 0), 5.0),  # beyond a corner
        ((2, 0, 2), math.sqrt(2)),  # beyond the long edge
        ((0.2, 0, 0.3), 0.0),  # on it
    ],
)
def test_distance_to_a_triangle_by_hand(point, expected):
    assert triangle_distance(np.array(point, float), TRIANGLE)[0] == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_distance_to_a_triangle_is_that_of_its_nearest_point(seed):
    rng = np.random.default_rng(seed)
    corners, point = rng.normal(0, 1, (1, 3, 3)), rng.normal(0, 2, 3)
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 80), np.linspace(0, 1, 80)), -1).reshape(-1, 2)
    a, b = grid[grid.sum(1) <= 1].T
    cloud = corners[0, 0] + np.outer(a, corners[0, 1] - corners[0, 0])
    cloud = cloud + np.outer(b, corners[0, 2] - corners[0, 0])
    nearest = np.linalg.norm(cloud - point, axis=1).min()
    found = triangle_distance(point, corners)[0]
    spacing = np.linalg.norm(np.diff(corners[0], axis=0), axis=1).max() / 40
    assert found <= nearest + 1e-9 <= found + spacing


def test_clearance_is_infinite_beyond_the_radius():
    surfaces = Surfaces(quad((-1, 0, 1), (2, 0, 0), (0, 0, -2), Material()))
    assert surfaces.clearance((0, 0.2, 0), 0.5) == pytest.approx(0.2)
    assert surfaces.clearance((0, 0.6, 0), 0.5) == math.inf


def test_a_path_through_a_thin_wall_is_refused(make_scene):
    scene = make_scene(quad((-1, 0, 0), (2, 0, 0), (0, 2, 0), Material()))
    before, behind = (0, 1, 1.0), (0, 1, -1.0)
    assert is_free_path(scene, [before, (0.5, 1, 1.0)], 0.1)
    assert not is_free_path(scene, [before, behind], 0.1), "no frame touches it, the way does"
    assert is_free_path(scene, [(3, 1, 1.0), (3, 1, -1.0)], 0.1), "past its end"


def test_a_path_into_a_closed_object_is_refused(make_scene):
    scene = make_scene(box((-1, 0, -1), (1, 2, 1), Material()))
    scene.obstacles = np.array([[0, 0, 1, 1, 0, 2.0]])
    inside = [(0, 1, 0), (0.1, 1, 0)]
    assert not is_free_path(scene, inside, 0.2), "no surface is near, but it is inside"


def test_a_camera_between_walls_keeps_its_distance(make_scene):
    walls = [quad((x, 0, -3), (0, 0, 6), (0, 2.5, 0), Material()) for x in (-0.6, 0.6)]
    ends = [quad((-1, 0, z), (2, 0, 0), (0, 2.5, 0), Material()) for z in (-3, 3)]
    scene = make_scene(np.concatenate(walls + ends))
    start = CameraPose(np.array([0, 1.2, 2.0]), np.eye(3), 0.6)
    path = camera_path(scene, start, 60, 30, np.random.default_rng(3))
    assert path is not None and len(path) == 60
    eyes = np.array([pose.eye for pose in path])
    clearance = motion_for(scene.kind).clearance
    assert (np.abs(eyes[:, 0]) <= 0.6 - clearance + 1e-6).all()
    assert np.linalg.norm(eyes[-1] - eyes[0]) > 0.02, "it must move"
    steps = np.linalg.norm(np.diff(eyes, axis=0), axis=1)
    assert steps.max() < 0.06, "smooth: no jump between frames"


def test_a_camera_walled_in_finds_no_path(make_scene):
    scene = make_scene(box((-0.1, 1.1, -0.1), (0.1, 1.3, 0.1), Material()))
    start = CameraPose(np.array([0, 1.2, 0]), np.eye(3), 0.6)
    assert camera_path(scene, start, 30, 30, np.random.default_rng(0)) is None
