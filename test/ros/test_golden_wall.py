"""A rendered wall at a known distance must be a plane at that distance in the published cloud.

The disparity is what a perfect network of the bundled model's size would answer: the rendered
inverse depth, averaged over its larger pixels, with scale and shift taken out. All that follows
is the package's own: scale known or fitted, edges, enlargement, unprojection, message.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from pipeline_harness import OPTICAL, Harness, floats
from ros_messages import camera_info, image

from depth_distill_ros.errors import DataError
from depth_distill_ros.ros.messages import read_cloud
from depth_distill_ros.ros.reference import ReferenceStore
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.topics import METRIC
from depth_distill_ros.ros.transforms import NoTransforms
from training.scenes.camera import orientation
from training.scenes.frame import intrinsics_of
from training.scenes.mesh import Material, box, quad
from training.scenes.photograph import CameraLook, photograph
from training.scenes.renderer import Renderer, create_context
from training.scenes.scene import CameraPose, Lighting, Scene, Sky

DISTANCE = 3.0  # from the camera to the wall's plane, in metres
WIDTH, HEIGHT, TAN = 640, 480, 0.6
NETWORK = (112, 144)  # what the bundled model answers for images of 640x480
POSES = {
    "frontal": orientation(0),
    "oblique": orientation(np.radians(40)),
    "tilted": orientation(np.radians(-25), np.radians(-15), np.radians(8)),
}
LOOK = CameraLook(0.3, 40, 0, (1, 1, 1), 0, False, 1, 1, 1, 0, 0, 0, None)


@dataclass(frozen=True)
class View:
    """A rendered view: uint8 rgb, depth in metres, which pixels show the wall, its normal."""

    rgb: np.ndarray
    depth: np.ndarray
    wall: np.ndarray
    normal: np.ndarray


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    """A wall behind a floor with two boxes on it, lit from above."""
    try:
        create_context().release()
    except DataError as error:
        pytest.skip(str(error))
    textures = np.full((1, 256, 256, 4), 255, np.uint8)
    renderer = Renderer(
        SimpleNamespace(textures=textures, skies=[]), (WIDTH, HEIGHT), supersampling=1
    )
    grey, red = Material(colour=(0.5, 0.5, 0.5)), Material(colour=(0.6, 0.2, 0.2))
    rows = [
        quad((-40, -1.2, -DISTANCE), (80, 0, 0), (0, 40, 0), grey),
        quad((-40, -1.2, 5), (80, 0, 0), (0, 0, -5 - DISTANCE), red),
        box((-0.9, -1.2, -2.2), (-0.3, 0.1, -1.8), red),
        box((0.5, -1.2, -2.9), (1.1, -0.5, -2.4), red),
    ]
    light = Lighting(np.linspace(0.3, 0.6, 6)[:, None].repeat(3, 1))
    renderer.load(Scene(np.concatenate(rows), "indoor/wall", 1, light, Sky(), None))
    return renderer


@pytest.fixture(scope="module", params=POSES)
def view(renderer, request) -> View:
    rotation = POSES[request.param]
    radiance, depth = renderer.render(CameraPose(np.zeros(3), rotation, TAN))
    # The wall's plane z = -DISTANCE in the optical frame: OpenGL's axes with y and z turned round.
    normal = rotation.T @ [0, 0, -1] * [1, -1, -1]
    camera = intrinsics_of(TAN, (WIDTH, HEIGHT))
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    rays = np.stack([(u - camera.cx) / camera.fx, (v - camera.cy) / camera.fy, np.ones(u.shape)], 2)
    wall = np.abs(depth * (rays @ normal) - DISTANCE) < 1e-3
    assert wall.mean() > 0.3
    return View(photograph(radiance, LOOK, np.random.default_rng(0)), depth, wall, normal)


def perfect_disparity(depth: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Disparity in [0, 1] of the network's size, and its true scale and shift."""
    inverse = np.divide(1, depth, out=np.zeros_like(depth), where=depth > 0)
    inverse = cv2.resize(inverse, NETWORK[::-1], interpolation=cv2.INTER_AREA)
    low, high = float(inverse.min()), float(inverse.max())
    return (inverse - low) / (high - low), high - low, low


def run(view: View, settings: Settings, references=None) -> dict:
    """What the pipeline publishes for a perfect network's disparity."""
    harness = Harness(settings, references)
    k = intrinsics_of(TAN, (WIDTH, HEIGHT)).matrix()
    p = np.hstack([k, np.zeros((3, 1))])
    harness.set_info(
        camera_info(WIDTH, HEIGHT, d=np.zeros(5), k=k.ravel(), p=p.ravel(), header=OPTICAL)
    )
    disparity, _, _ = perfect_disparity(view.depth)
    message = image(view.rgb, "rgb8", header=OPTICAL)
    published = harness({METRIC.image, METRIC.points}, settings, message, disparity)
    assert not harness.problems
    return published


def settings_of(view: View, mode: str) -> tuple[Settings, ReferenceStore | None]:
    """Scale known, or to be fitted to 200 pixels of a depth image in millimetres."""
    if mode == "fixed":
        _, scale, shift = perfect_disparity(view.depth)
        return Settings(scale_mode=mode, scale_scale=scale, scale_shift=shift), None
    sparse = np.zeros((HEIGHT, WIDTH), np.uint16)
    measured = np.random.default_rng(1).choice(np.flatnonzero(view.depth > 0), 200, replace=False)
    sparse.flat[measured] = np.rint(view.depth.flat[measured] * 1000)
    store = ReferenceStore(0.1, NoTransforms(), "image")
    store.add(image(sparse, "16UC1", header=OPTICAL))
    return Settings(scale_mode=mode, reference_type="image"), store


@pytest.mark.parametrize("mode", ["fixed", "reference"])
def test_the_wall_is_a_plane_at_its_distance(view, mode):
    cloud = read_cloud(run(view, *settings_of(view, mode))[METRIC.points])
    assert cloud.shape == (HEIGHT, WIDTH)
    points = np.stack([cloud[axis] for axis in "xyz"], axis=-1)[view.wall].astype(np.float64)
    seen = np.isfinite(points).all(axis=1)
    assert seen.mean() > 0.9, "the mask takes the wall's edges only"
    points = points[seen]
    centre = points.mean(axis=0)
    normal = np.linalg.svd(points - centre, full_matrices=False)[2][2]
    normal *= np.sign(normal @ centre)
    deviation = np.sqrt(np.mean(((points - centre) @ normal) ** 2))
    assert deviation < 0.01 * DISTANCE
    assert normal @ centre == pytest.approx(DISTANCE, rel=0.02)
    assert np.degrees(np.arccos(min(1.0, normal @ view.normal))) < 1.0


def errors(view: View, settings: Settings) -> np.ndarray:
    """Relative errors of the published depth, where there is any."""
    depth = floats(run(view, settings)[METRIC.image])
    seen = np.isfinite(depth) & (view.depth > 0)
    return np.abs(depth - view.depth)[seen] / view.depth[seen]


def test_no_point_hangs_between_the_boxes_and_the_wall(view):
    settings, _ = settings_of(view, "fixed")
    assert errors(view, settings).max() < settings.depth_edge_threshold
    unmasked = errors(view, replace(settings, depth_edge_mask=False))
    assert unmasked.max() > settings.depth_edge_threshold, "without the mask there are such points"


def test_colours_are_those_of_the_pixels(view):
    cloud = read_cloud(run(view, *settings_of(view, "fixed"))[METRIC.points])
    red = cloud["rgb"].view("<u4") >> 16
    np.testing.assert_array_equal(red, view.rgb[..., 0])
