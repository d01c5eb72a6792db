"""Indoor and close-range scenes: complete, reproducible, without gaps or hovering things."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.scenes.camera import is_useful, orientation
from training.scenes.catalogue import all_kinds, build_scene, mixture
from training.scenes.furnish import MAX_TRIANGLES
from training.scenes.mesh import Material
from training.scenes.palette import Palette
from training.scenes.pile import Pile
from training.scenes.room import Opening, Room, build_shell
from training.scenes.scene import CameraPose, SceneBuilder

CLOSE = [kind for kind in all_kinds() if not kind.startswith("outdoor")]


@pytest.mark.parametrize("kind", CLOSE)
def test_every_kind_builds_shows_something_and_repeats(kind, assets, renderer):
    scene, again = build_scene(assets, kind, 11), build_scene(assets, kind, 11)
    assert scene.vertices.tobytes() == again.vertices.tobytes()
    assert scene.vertices.tobytes() != build_scene(assets, kind, 12).vertices.tobytes()
    assert scene.kind == kind and np.isfinite(scene.vertices).all()
    assert len(scene.vertices) // 3 < 2 * MAX_TRIANGLES
    renderer.load(scene)
    rng = np.random.default_rng(0)
    useful, black = 0, 0
    for _ in range(12):
        radiance, depth = renderer.render(scene.sample_camera(rng))
        assert np.isfinite(radiance).all() and (depth >= 0).all()
        useful += is_useful(depth, scene.near_limit)
        black += float(np.median(radiance)) < 1e-3
    assert useful >= 4 and black == 0


def test_cameras_stand_in_no_object(assets):
    for seed in range(6):
        scene = build_scene(assets, "indoor", seed)
        rng = np.random.default_rng(seed)
        inside = [scene.is_inside_object(scene.sample_camera(rng).eye) for _ in range(20)]
        assert sum(inside) <= 1  # a crowded room may have no better place


def test_close_views_look_at_furniture(assets):
    """Something solid lies along the optical axis within what twice its size allows."""
    for seed in range(6):
        scene = build_scene(assets, "indoor/closeup", seed)
        rng = np.random.default_rng(seed)
        things = scene.obstacles[np.isfinite(scene.obstacles).all(axis=1)]
        largest = max(2 * things[:, 2:4].max(), (things[:, 5] - things[:, 4]).max())
        pose = scene.sample_camera(rng)
        ahead = [pose.eye - d * pose.rotation[:, 2] for d in np.arange(0.1, 2 * largest, 0.05)]
        assert any(scene.is_inside_object(point, 0.3) for point in ahead)


@pytest.mark.parametrize("wall", range(4))
def test_no_gap_at_an_open_door(wall, assets, renderer):
    grey = Material(colour=(0.5, 0.5, 0.5))
    room = Room(4.0, 3.0, 2.5, grey, grey, [grey] * 4, grey)
    model = assets.roles["door"][0]
    room.doors.append(Opening(wall, 1.0, 0.9, 0.0, 2.0, model, is_open=True))
    builder = SceneBuilder(assets, np.random.default_rng(wall))
    build_shell(room, builder, Palette(assets, builder.rng))
    scene = build_scene(assets, "indoor/living", 1)
    scene.vertices = builder.build()
    renderer.load(scene)
    point, yaw = room.at(wall, 1.45, 0.8, 1.4)
    for pitch in (-0.2, -0.6, -1.0):
        for turn in (-0.5, 0.0, 0.5):
            pose = CameraPose(point, orientation(yaw + turn, pitch), 0.8)
            _, depth = renderer.render(pose)
            assert (depth > 0).all(), "the sky shows through the threshold"


def test_a_closed_room_has_no_cracks(assets, renderer):
    grey = Material(colour=(0.5, 0.5, 0.5))
    room = Room(4.3, 3.1, 2.57, grey, grey, [grey] * 4, grey)
    room.windows.append(Opening(0, 1.0, 1.1, 0.9, 1.0, assets.roles["window"][0]))
    room.doors.append(Opening(2, 1.0, 0.9, 0.0, 2.0, assets.roles["door"][0]))
    builder = SceneBuilder(assets, np.random.default_rng(0))
    build_shell(room, builder, Palette(assets, builder.rng))
    scene = build_scene(assets, "indoor/living", 1)
    scene.vertices = builder.build()
    renderer.load(scene)
    rng = np.random.default_rng(0)
    for _ in range(60):  # away from the window
        eye = rng.uniform((-1.8, 0.4, -1.0), (1.8, 2.0, 0.0))
        rotation = orientation(math.pi + rng.uniform(-0.6, 0.6), rng.uniform(-0.9, 0.9))
        _, depth = renderer.render(CameraPose(eye, rotation, 0.7))
        assert (depth > 0).all()


def test_walls_leave_their_openings_free():
    grey = Material()
    room = Room(4.0, 3.0, 2.5, grey, grey, [grey] * 4, grey)
    corner, along, normal = room.axes(1)
    np.testing.assert_allclose(corner, (2, 0, -1.5))
    np.testing.assert_allclose(along, (0, 0, 1))
    np.testing.assert_allclose(normal, (-1, 0, 0))
    point, yaw = room.at(1, 1.0, 0.5, 0.2)
    np.testing.assert_allclose(point, (1.5, 0.2, -0.5))
    assert yaw == pytest.approx(-math.pi / 2)
    room.windows.append(Opening(1, 0.5, 1.0, 0.9, 1.0, 0))
    assert not room.is_clear(1, 1.4, 2.0) and room.is_clear(1, 1.6, 2.0)
    assert room.is_clear(0, 0.5, 1.5)


def test_piled_objects_stay_within_and_touch_something(assets):
    builder = SceneBuilder(assets, np.random.default_rng(4))
    pile = Pile(0.5, 0.4, builder, Palette(assets, builder.rng))
    pile.scatter(assets.roles["small"], 30, limit=0.3, tilt=0.15, stack=True)
    assert len(pile.parts) >= 5
    bottoms = []
    for rows in pile.parts:
        low, high = rows[:, :3].min(0), rows[:, :3].max(0)
        assert low[1] >= -1e-6 and high[1] <= 0.3 + 1e-6
        assert abs(low[0]) <= 0.26 and abs(high[0]) <= 0.26
        assert abs(low[2]) <= 0.21 and abs(high[2]) <= 0.21
        bottoms.append(low[1])
    assert min(bottoms) == pytest.approx(0, abs=1e-6)
    for i, rows in enumerate(pile.parts):  # whatever is above the floor lies over something earlier
        if bottoms[i] > 0.002:
            low, high = rows[:, :3].min(0), rows[:, :3].max(0)
            below = [p[:, :3] for p in pile.parts[:i]]
            assert any(
                (p.max(0) >= low - 0.012)[[0, 2]].all()
                and (p.min(0) <= high + 0.012)[[0, 2]].all()
                and p[:, 1].max() >= bottoms[i] - 0.02
                for p in below
            )


def test_tints_keep_the_hue(assets):
    palette = Palette(assets, np.random.default_rng(0))
    for _ in range(300):
        tint = np.array(palette.tint())
        assert tint.max() / tint.min() < 1.3 and 0.5 < tint.mean() < 1.3


def test_mixture_of_kinds():
    names, weights = mixture()
    assert names == ["indoor", "outdoor", "tabletop"]
    assert sum(weights) == pytest.approx(1) and weights[0] > weights[1] > weights[2]
    names, weights = mixture(("tabletop/bin", "tabletop/table"))
    assert weights[0] < weights[1]
    assert mixture(("indoor/closeup",)) == (["indoor/closeup"], [1.0])  # by name only
    assert mixture(("indoor/closeup", "indoor/office"))[1] == [0.0, 1.0]
    for wrong in ("lunar", "indoor/submarine"):
        with pytest.raises(DataError, match="unknown kind"):
            mixture((wrong,))
