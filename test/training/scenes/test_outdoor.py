"""Tests of outdoor scenes: deterministic, within budget, with cameras in free space."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.scenes.assets import load_assets
from training.scenes.outdoor.ground import EXTENT, Path, Terrain
from training.scenes.outdoor.scene import CLEARANCE, KINDS, outdoor
from training.scenes.outdoor.site import MAX_TRIANGLES, Site
from training.scenes.outdoor.vegetation import random_kind, sparser, tree
from training.scenes.palette import Palette
from training.scenes.parametric.vehicles import PAINTS, car_paint


@pytest.fixture(scope="module")
def assets():
    return load_assets("procedural")


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_scene_is_sound(assets, kind, seed):
    scene = outdoor(assets, seed, kind)
    rows = scene.vertices
    assert scene.kind == f"outdoor/{kind}" and scene.seed == seed
    assert rows.dtype == np.float32 and rows.shape[1] == 13 and len(rows) % 3 == 0
    assert 3000 < len(rows) / 3 < 1.5 * MAX_TRIANGLES
    assert np.isfinite(rows).all()
    np.testing.assert_allclose(np.linalg.norm(rows[:, 3:6], axis=1), 1, atol=2e-3)
    assert rows[:, 8].max() < len(assets.textures)
    assert scene.lighting.ambient.shape == (6, 3) and (scene.lighting.ambient > 0).all()
    assert math.isclose(float(np.linalg.norm(scene.lighting.sun_direction)), 1.0, abs_tol=1e-6)
    assert scene.sky.panorama is None or scene.sky.panorama in assets.open_skies


@pytest.mark.parametrize("kind", list(KINDS))
def test_cameras_are_outside_objects_and_above_the_ground(assets, kind):
    for seed in range(3):
        scene = outdoor(assets, seed, kind)
        rng = np.random.default_rng(seed)
        for _ in range(20):
            pose = scene.sample_camera(rng)
            assert not scene.is_inside_object(pose.eye, CLEARANCE)
            np.testing.assert_allclose(pose.rotation @ pose.rotation.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(pose.rotation) > 0
            assert 0.3 < pose.tan_half_fov_x < 1.5
            below = scene.vertices.reshape(-1, 3, 13)[:, :, :3]
            near = np.abs(below[:, :, [0, 2]] - pose.eye[[0, 2]]).max((1, 2)) < 6
            assert not near.any() or below[near, :, 1].min() < pose.eye[1]


def test_vehicles_stand_close_in_traffic(assets):
    """Half of the cameras have a vehicle or another thing of their height within 4 m."""

    def nearest(kind):
        gaps = []
        for seed in range(4):
            scene = outdoor(assets, seed, kind)
            rng = np.random.default_rng(seed)
            for _ in range(20):
                x, y, z = scene.sample_camera(rng).eye
                boxes = scene.obstacles[np.isfinite(scene.obstacles).all(axis=1)]
                boxes = boxes[boxes[:, 5] > y - 0.7]
                beside = np.abs(x - boxes[:, 0]) - boxes[:, 2]
                along = np.abs(z - boxes[:, 1]) - boxes[:, 3]
                gaps.append(np.hypot(beside.clip(0), along.clip(0)).min())
        return float(np.median(gaps))

    assert nearest("traffic") < 4 < nearest("road")


def test_same_seed_same_scene_and_camera(assets):
    first, again = outdoor(assets, 11), outdoor(assets, 11)
    assert first.kind == again.kind
    assert first.vertices.tobytes() == again.vertices.tobytes()
    poses = [s.sample_camera(np.random.default_rng(3)) for s in (first, again)]
    assert np.array_equal(poses[0].eye, poses[1].eye)
    assert outdoor(assets, 12).vertices.tobytes() != first.vertices.tobytes()


def test_kinds_are_all_drawn(assets):
    kinds = {outdoor(assets, seed).kind for seed in range(24)}
    assert kinds == {f"outdoor/{kind}" for kind, share in KINDS.items() if share}
    with pytest.raises(ValueError, match="choose one of street"):
        outdoor(assets, 0, "moon")


def test_roads_are_seen_far_ahead(assets):
    """The carriageway reaches beyond 120 m in front of every driver."""
    for seed in range(4):
        scene = outdoor(assets, seed, "road")
        pose = scene.sample_camera(np.random.default_rng(0))
        forward = -pose.rotation[:, 2]
        ahead = (scene.vertices[:, :3] - pose.eye) @ forward
        assert ahead.max() > 200


def test_path_points_and_directions_agree():
    path = Path(np.random.default_rng(0), -50, 200, bend=0.004, slope=0.03)
    np.testing.assert_allclose(path.at(0.0), 0, atol=1e-9)
    for s in (0.0, 40.0, 150.0):
        step = path.at(s + 2.0) - path.at(s)
        assert math.isclose(float(np.hypot(step[0], step[2])), 2.0, rel_tol=1e-2)
        right = path.at(s, 3.0) - path.at(s)
        assert abs(float(step @ right)) < 0.2
        # A model at yaw 0 faces +z and a camera −z; both turn counter-clockwise seen from above.
        facing = np.array([math.sin(path.yaw(s)), 0, math.cos(path.yaw(s))])
        looking = -np.array([math.sin(path.camera_yaw(s)), 0, math.cos(path.camera_yaw(s))])
        np.testing.assert_allclose(facing, looking, atol=1e-9)
        assert float(facing @ step) > 1.9


def test_ribbon_faces_up_and_keeps_its_width():
    from training.scenes.mesh import Material

    path = Path(np.random.default_rng(1), 0, 100, bend=0.003, slope=0.0)
    rows = path.ribbon(-2.0, 3.0, Material())
    assert (rows[:, 4] > 0.99).all()
    left, right = rows[0::6, :3], rows[1::6, :3]
    np.testing.assert_allclose(np.linalg.norm(right - left, axis=1), 5.0, rtol=1e-5)


def test_terrain_interpolates_its_mesh():
    def profile(x, z):
        return 0.1 * x - 0.05 * z, np.zeros_like(x)

    terrain = Terrain(np.random.default_rng(0), profile)
    for x, z in ((0.0, 0.0), (13.7, -41.0), (-200.0, 99.0)):
        assert math.isclose(terrain.height(x, z), 0.1 * x - 0.05 * z, abs_tol=1e-6)
    assert terrain.axis[0] == -EXTENT and terrain.axis[-1] == EXTENT


def test_road_lies_above_the_terrain(assets):
    """Coarse terrain must not cut through the carriageway, near or far."""
    from training.scenes.outdoor import road as outdoor_road

    for seed in range(4):
        site = Site(assets, np.random.default_rng(seed))
        road = outdoor_road.lay_out(site)
        for s in np.linspace(-60, 300, 60):
            for offset in (-road.half, 0.0, road.half):
                x, y, z = road.path.at(s, offset)
                if max(abs(x), abs(z)) < EXTENT:
                    assert site.level(x, z) < y


def test_trees_have_the_height_asked_for(assets):
    rng = np.random.default_rng(4)
    for _ in range(6):
        kind = random_kind(Palette(assets, rng))
        rows = tree(kind, 8.0, rng)
        assert 6.0 < rows[:, 1].max() < 11.5
        assert -0.4 < rows[:, 1].min() < 0.0
        assert len(tree(sparser(kind), 8.0, rng)) < len(rows)


def test_car_paints_are_of_the_list():
    """No pink or purple cars: hue and brightness stay near a paint of the table."""
    rng = np.random.default_rng(0)
    known = np.array([colour for colour, _ in PAINTS])
    for _ in range(200):
        srgb = np.array(car_paint(rng)) ** (1 / 2.2)
        assert np.abs(known - srgb).max(1).min() < 0.17


def test_vehicles_keep_their_paint(assets):
    site = Site(assets, np.random.default_rng(0))
    for index in assets.roles["car"] + assets.roles["bike"]:
        assert site._tint(assets.models[index]) is None


def test_nothing_is_put_on_taken_ground(assets):
    site = Site(assets, np.random.default_rng(0))
    person = assets.roles["people"][0]
    assert site.put(person, 1.0, 2.0, 0.0)
    assert not site.put(person, 1.1, 2.0, 0.0)
    assert site.put(person, 4.0, 2.0, 0.0)
    assert len(site.obstacles) == 2
