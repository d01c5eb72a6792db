"""Primitives by hand-computed values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.scenes.mesh import Material, box, cylinder, heightfield, quad, sphere, transformed
from training.scenes.scene import Lighting, Scene, SceneBuilder, Sky

WOOD = Material(layer=3, tile=0.5, colour=(0.2, 0.4, 0.6), gloss=0.3)


def areas(rows: np.ndarray) -> np.ndarray:
    corners = rows[:, :3].reshape(-1, 3, 3).astype(float)
    edges = corners[:, 1:] - corners[:, :1]
    return np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2


def test_quad_carries_its_material_and_faces_along_the_cross_product():
    rows = quad((1, 2, 3), (2, 0, 0), (0, 1, 0), WOOD)
    assert rows.shape == (6, 13) and rows.dtype == np.float32
    assert areas(rows).sum() == pytest.approx(2.0)
    np.testing.assert_allclose(rows[:, 3:6], [[0, 0, 1]] * 6)
    np.testing.assert_allclose(rows[:, 8:], [[3, 0.2, 0.4, 0.6, 0.3]] * 6, rtol=1e-6)


def test_texture_repeats_by_the_metre_and_stands_upright():
    rows = quad((0, 0, 0), (2, 0, 0), (0, 1, 0), WOOD)
    top_right = rows[2]
    np.testing.assert_allclose(top_right[:3], (2, 1, 0))
    np.testing.assert_allclose(top_right[6:8], (4, -2))  # row 0 of an image is its top
    picture = quad((0, 0, 0), (2, 0, 0), (0, 1, 0), Material(0, 0.0))
    np.testing.assert_allclose(picture[0, 6:8], (0, 1))
    np.testing.assert_allclose(picture[2, 6:8], (1, 0))


def test_neighbouring_quads_share_one_texture():
    left = quad((0, 0, 0), (0.3, 0, 0), (0, 1, 0), WOOD)
    right = quad((0.3, 0, 0), (1, 0, 0), (0, 1, 0), WOOD, uv_offset=(0.3, 0))
    np.testing.assert_allclose(left[1, 6:8], right[0, 6:8])


def test_box_has_its_surface_and_outward_normals():
    rows = box((0, 0, 0), (1, 2, 3), WOOD)
    assert areas(rows).sum() == pytest.approx(2 * (2 + 3 + 6))
    outward = ((rows[:, :3] - (0.5, 1, 1.5)) * rows[:, 3:6]).sum(1)
    assert (outward > 0).all()


def test_box_turns_about_its_own_centre():
    rows = box((1, 0, 1), (3, 1, 2), WOOD, yaw=math.pi / 2)
    np.testing.assert_allclose(rows[:, :3].min(0), (1.5, 0, 0.5), atol=1e-6)
    np.testing.assert_allclose(rows[:, :3].max(0), (2.5, 1, 2.5), atol=1e-6)


def test_cylinder_and_sphere_approach_their_areas():
    rows = cylinder(0.5, 2.0, WOOD, segments=64)
    assert areas(rows).sum() == pytest.approx(2 * math.pi * 0.5 * 2 + 2 * math.pi * 0.25, rel=5e-3)
    ball = sphere(0.5, WOOD, segments=48)
    assert areas(ball).sum() == pytest.approx(4 * math.pi * 0.25, rel=1e-2)
    np.testing.assert_allclose(np.linalg.norm(ball[:, 3:6], axis=1), 1, atol=1e-5)


def test_heightfield_follows_its_grid():
    rows = heightfield([0, 1, 3], [0, 2], [[0, 0, 0], [1, 1, 1]], WOOD)
    assert len(rows) == 2 * 6
    np.testing.assert_allclose(rows[:, 1], rows[:, 2] / 2)
    expected = np.array([0, 1, -0.5]) / math.hypot(1, 0.5)
    np.testing.assert_allclose(rows[:, 3:6], np.tile(expected, (12, 1)), rtol=1e-5, atol=1e-6)


def test_transformed_scales_then_turns_then_moves():
    rows = quad((0, 0, 0), (1, 0, 0), (0, 1, 0), WOOD)
    out = transformed(rows, (5, 0, 0), math.pi / 2, 2.0, tint=(0.5, 1, 1))
    np.testing.assert_allclose(out[2, :3], (5, 2, -2), atol=1e-6)
    np.testing.assert_allclose(out[:, 3:6], [[1, 0, 0]] * 6, atol=1e-6)  # yaw π/2 faces +x
    assert out[0, 9] == pytest.approx(0.1)
    assert rows[0, 9] == pytest.approx(0.2), "the argument must stay as it was"


def test_builder_knows_what_floor_is_taken():
    builder = SceneBuilder(None, np.random.default_rng(0))
    builder.occupy(0, 0, 1, 0.5)
    assert not builder.is_free(1.4, 0, 0.5, 0.5)
    assert builder.is_free(1.6, 0, 0.5, 0.5)
    assert builder.is_free(0, 1.1, 0.5, 0.5)
    builder.add(box((0, 0, 0), (1, 1, 1), WOOD))
    assert builder.triangles == 12 and builder.build().shape == (36, 13)


def test_inside_an_object_means_within_its_box():
    obstacles = np.array([[1.0, 2.0, 0.5, 0.25, 0.0, 0.8]])
    scene = Scene(
        np.zeros((0, 13)), "x", 0, Lighting(np.zeros((6, 3))), Sky(), lambda r: None, obstacles
    )
    assert scene.is_inside_object((1.4, 0.5, 2.2))
    assert not scene.is_inside_object((1.6, 0.5, 2.0))
    assert not scene.is_inside_object((1.0, 0.9, 2.0))
    assert scene.is_inside_object((1.0, 0.9, 2.0), margin=0.2)
