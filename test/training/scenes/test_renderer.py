"""Depth, normals, shadows and cut-outs against what geometry says they must be."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import numpy as np
import pytest

from training.scenes.camera import looking_at, orientation
from training.scenes.frame import intrinsics_of
from training.scenes.mesh import Material, box, quad, sphere, transformed
from training.scenes.renderer import Renderer
from training.scenes.scene import CameraPose

GREY = Material(colour=(0.5, 0.5, 0.5))
AHEAD = CameraPose(np.zeros(3), np.eye(3), 0.6)


def pixel_rays(renderer, tan_x: float) -> np.ndarray:
    """Directions (H, W, 3) through the pixel centres, OpenGL axes, z = −1."""
    width, height = renderer.size
    k = intrinsics_of(tan_x, renderer.size)
    v, u = np.mgrid[:height, :width]
    return np.stack([(u - k.cx) / k.fx, -(v - k.cy) / k.fy, -np.ones_like(u)], -1)


@pytest.mark.parametrize("supersampling", [1, 1.5, 2])
def test_depth_of_a_slanted_plane_is_analytic(plain_assets, egl, make_scene, supersampling):
    renderer = Renderer(plain_assets, (160, 120), supersampling)
    normal, distance = np.array([0.3, 0.8, 0.5]), 1.7  # the plane n·x = −distance
    normal /= np.linalg.norm(normal)
    u = np.cross(normal, [1, 0, 0])
    v = np.cross(normal, u)
    plane = quad(-normal * distance - 40 * (u + v), 80 * u, 80 * v, GREY)
    renderer.load(make_scene(plane))
    pose = CameraPose(np.array([0.1, 0.2, -0.1]), orientation(0.2, -0.4, 0.1), 0.6)
    _, depth = renderer.render(pose)
    rays = pixel_rays(renderer, 0.6) @ pose.rotation.T
    exact = -(distance + pose.eye @ normal) / (rays @ normal)
    seen = (exact > 0.1) & (exact < 20)
    assert seen.mean() > 0.5
    error = np.abs(depth - exact)[seen] / exact[seen]
    # between samples the plane moves by at most half a sub-pixel
    assert np.median(error) < (1e-5 if supersampling == 1 else 4e-3)
    assert error.max() < (1e-3 if supersampling == 1 else 0.1)


def test_depth_is_planar_not_radial(plain_renderer, make_scene):
    wall = quad((-9, -9, -3), (18, 0, 0), (0, 18, 0), GREY)
    plain_renderer.load(make_scene(wall))
    _, depth = plain_renderer.render(AHEAD)
    np.testing.assert_allclose(depth, 3.0, rtol=1e-5)


def test_a_box_occludes_and_the_sky_is_zero(plain_renderer, make_scene):
    plain_renderer.load(make_scene(box((-0.5, -0.5, -3), (0.5, 0.5, -2), GREY)))
    _, depth = plain_renderer.render(AHEAD)
    rays = pixel_rays(plain_renderer, 0.6)
    covered = (np.abs(rays[..., :2]) < 0.25).all(-1)
    np.testing.assert_allclose(depth[covered], 2.0, rtol=1e-5)
    assert (depth[~covered] == 0).all()


def test_normals_choose_the_ambient_light(plain_renderer, make_scene):
    ambient = np.arange(1, 7)[:, None] * np.array([0.1, 0.2, 0.3])
    wall = quad((-9, -9, -3), (18, 0, 0), (0, 18, 0), GREY)
    back = wall.copy()
    back[:, 3:6] *= -1  # normals are turned towards the camera
    for rows in (wall, back):
        plain_renderer.load(make_scene(rows, ambient=ambient))
        radiance, _ = plain_renderer.render(AHEAD)
        middle = radiance[60, 80]
        diffuse, mirrored = 0.5 * ambient[4], ambient[4] * 0.04 * 0.8
        np.testing.assert_allclose(middle, diffuse + mirrored, rtol=2e-2)
    floor = quad((-9, -1, 9), (18, 0, 0), (0, 0, -18), GREY)
    plain_renderer.load(make_scene(floor, ambient=ambient))
    down = CameraPose(np.zeros(3), orientation(0.0, -math.pi / 2 + 1e-4), 0.6)
    radiance, _ = plain_renderer.render(down)
    np.testing.assert_allclose(radiance[60, 80], ambient[2] * 0.532, rtol=2e-2)


def test_sun_and_lamp_cast_shadows(plain_renderer, make_scene):
    floor = quad((-4, 0, 4), (8, 0, 0), (0, 0, -8), GREY)
    block = box((-0.5, 1.0, -0.5), (0.5, 1.1, 0.5), GREY)
    rows = np.concatenate([floor, block])
    dark = np.zeros((6, 3))
    sun = {"sun_direction": np.array([0, 1.0, 0]), "sun_radiance": np.ones(3)}
    lamp = {"lamp_position": np.array([0, 3.0, 0]), "lamp_power": np.full(3, 9.0)}
    eye = np.array([0, 0.5, 3.5])
    pose = CameraPose(eye, looking_at(eye, (0, 0, 0)), 0.9)
    for light in (sun | {"sun_box": ((0, 0, 0), 4.0)}, lamp):
        plain_renderer.load(make_scene(rows, ambient=dark, **light))
        radiance, depth = plain_renderer.render(pose)
        points = eye + (pixel_rays(plain_renderer, 0.9) * depth[..., None]) @ pose.rotation.T
        on_floor = (np.abs(points[..., 1]) < 0.01) & (depth > 0)
        radius = np.abs(points[..., [0, 2]]).max(-1)
        below, beside = radiance[on_floor & (radius < 0.4)], radiance[on_floor & (radius > 1.2)]
        assert len(below) > 50 and below.max() < 1e-3
        assert np.median(beside) > 0.05


def test_light_sources_shine_by_themselves(plain_renderer, make_scene):
    panel = quad((-9, -9, -3), (18, 0, 0), (0, 18, 0), Material(colour=(1, 0.5, 0.25), gloss=-4.0))
    plain_renderer.load(make_scene(panel, ambient=np.zeros((6, 3))))
    radiance, _ = plain_renderer.render(AHEAD)
    np.testing.assert_allclose(radiance[60, 80], (4, 2, 1), rtol=1e-2)


def test_transparent_texels_are_cut_out_of_image_and_depth(plain_renderer, make_scene):
    leaf = quad((-1, -1, -2), (2, 0, 0), (0, 2, 0), Material(layer=1, tile=0.0))
    wall = quad((-9, -9, -5), (18, 0, 0), (0, 18, 0), GREY)
    plain_renderer.load(make_scene(np.concatenate([leaf, wall])))
    _, depth = plain_renderer.render(AHEAD)
    assert depth[60, 60] == pytest.approx(5.0, rel=1e-5)
    assert depth[60, 100] == pytest.approx(2.0, rel=1e-5)


def test_image_and_intrinsics_agree(plain_renderer, make_scene):
    target = np.array([0.7, 0.4, -3.0])
    lamp = sphere(0.05, Material(gloss=-5.0))
    plain_renderer.load(make_scene(transformed(lamp, target)))
    _, depth = plain_renderer.render(AHEAD)
    v, u = np.nonzero(depth)
    k = intrinsics_of(0.6, plain_renderer.size)
    assert u.mean() == pytest.approx(k.fx * 0.7 / 3 + k.cx, abs=0.3)
    assert v.mean() == pytest.approx(k.fy * -0.4 / 3 + k.cy, abs=0.3)


def test_the_same_view_has_the_same_bytes(plain_assets, egl, make_scene):
    rows = np.concatenate([
        quad((-4, 0, 4), (8, 0, 0), (0, 0, -8), GREY),
        transformed(sphere(0.5, Material(0, 0.3, (0.2, 0.5, 0.8), 0.7)), (0, 0.5, 0)),
    ])  # fmt: skip
    scene = make_scene(rows, sun_direction=np.array([1.0, 1, 0.3]), sun_radiance=np.full(3, 2.0))
    eye = np.array([0.5, 1.2, 2.5])
    pose = CameraPose(eye, looking_at(eye, (0, 0.4, 0)), 0.7)
    results = []
    for _ in range(2):
        renderer = Renderer(plain_assets, (96, 72), 1.5)
        renderer.load(scene)
        results.append(renderer.render(pose))
    for first, second in zip(*results, strict=True):
        assert first.tobytes() == second.tobytes()
    assert results[0][0].std() > 0.01, "the picture must not be empty"


def test_without_egl_the_error_names_the_packages():
    environment = dict(os.environ, __EGL_VENDOR_LIBRARY_DIRS=os.devnull)
    code = (
        "from depth_distill_ros.errors import DataError\n"
        "from training.scenes.renderer import create_context\n"
        "try:\n    create_context()\n    print('made')\n"
        "except DataError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60
    )
    if done.stdout.strip() == "made":
        pytest.skip("this EGL library cannot be hidden from a process")
    assert "apt-get install libegl1 libgl1 libgl1-mesa-dri" in done.stdout, done.stderr


def test_what_moves_is_seen_casts_its_shadow_and_leaves_no_trace(plain_renderer, make_scene):
    floor = quad((-9, -1, 9), (18, 0, 0), (0, 0, -18), GREY)
    sun = {"sun_radiance": np.full(3, 3.0), "sun_direction": np.array([0.0, 1.0, 0.0])}
    plain_renderer.load(make_scene(floor, **sun))
    pose = CameraPose(np.array([0.0, 1.0, 3.0]), looking_at((0, 1, 3), (0, -1, -1)), 0.6)
    still = plain_renderer.render(pose)
    for x in (-0.5, 0.5):  # a plate one metre above the ground
        plate = box((x - 0.3, 0, -1.3), (x + 0.3, 0.02, -0.7), GREY)
        radiance, depth = plain_renderer.render(pose, plate)
        for place, moved in (((x, 0.02, -1), True), ((x, -1, -1), False)):
            right, up, back = (np.array(place) - pose.eye) @ pose.rotation
            column = round((right / -back / 0.6 + 1) * 80 - 0.5)
            line = round((1 - up / -back / 0.45) * 60 - 0.5)
            assert depth[line, column] == pytest.approx(-back, rel=0.02)
            assert (depth[line, column] < still[1][line, column]) == moved
            if not moved:
                assert radiance[line, column].sum() < 0.5 * still[0][line, column].sum()
    again = plain_renderer.render(pose)
    np.testing.assert_array_equal(again[0], still[0])
    np.testing.assert_array_equal(again[1], still[1])
