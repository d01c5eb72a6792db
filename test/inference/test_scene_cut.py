"""Scene cuts: none between frames of one scene, one between two scenes."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from depth_distill_ros.inference.scene_cut import SIZE, is_cut, thumbnail

SEQUENCES = ("seq_kitti_lidar_street", "seq_redkitchen_kinect", "seq_shelfbox_macro")


@pytest.fixture(scope="module")
def scenes(shared_data) -> list[list[np.ndarray]]:
    """Some consecutive frames of each sequence, uint8 RGB of the size the network sees."""
    found = []
    for name in SEQUENCES:
        paths = sorted((shared_data / name / "rgb").iterdir())[:10]
        images = [cv2.imread(str(path))[..., ::-1] for path in paths]
        found.append([cv2.resize(image, (256, 192)) for image in images])
    return found


def exposed(rgb: np.ndarray, factor: float) -> np.ndarray:
    """As a sensor with the usual gamma would show the scene, exposed longer."""
    light = (rgb / 255.0) ** 2.2 * factor
    return (255 * np.clip(light, 0, 1) ** (1 / 2.2)).astype(np.uint8)


def covered(rgb: np.ndarray) -> np.ndarray:
    """A hand as large as a quarter of the picture, at once."""
    ellipse = ((rgb.shape[1] // 2, rgb.shape[0]), (110, 220), 20)
    return cv2.ellipse(rgb.copy(), ellipse, (190, 130, 95), -1)


@pytest.mark.parametrize(
    "change",
    [
        lambda rgb: rgb,
        lambda rgb: exposed(rgb, 8.0),
        lambda rgb: exposed(rgb, 0.125),
        covered,
    ],
    ids=["motion", "longer exposed", "shorter exposed", "hand"],
)
def test_one_scene_is_not_cut(scenes, change):
    pairs = [pair for frames in scenes for pair in itertools.pairwise(frames)]
    assert len(pairs) == 27
    cuts = [is_cut(thumbnail(first), thumbnail(change(second))) for first, second in pairs]
    assert sum(cuts) == 0


def test_another_scene_is_a_cut(scenes):
    cuts = [
        is_cut(thumbnail(first), thumbnail(second))
        for before, after in itertools.permutations(scenes, 2)
        for first, second in zip(before, after, strict=True)
    ]
    assert len(cuts) == 60 and all(cuts)


def test_noise_in_the_dark_is_not_a_cut_and_light_is():
    generator = np.random.default_rng(0)
    noise = generator.normal(4, 3, (2, *SIZE, 3))
    first, second = (thumbnail(np.clip(one, 0, 255).astype(np.uint8)) for one in noise)
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[10:30, 20:50] = 200
    assert not is_cut(first, second)
    assert is_cut(first, thumbnail(picture))
    assert not is_cut(thumbnail(picture), thumbnail(picture))


def test_a_small_shift_is_no_cut_a_large_one_is():
    texture = np.random.default_rng(1).integers(0, 256, (12, 32), dtype=np.uint8)
    wide = cv2.resize(texture, (128, 48), interpolation=cv2.INTER_CUBIC)
    picture = np.repeat(wide[..., None], 3, axis=2)
    before = thumbnail(picture[:, :64])
    assert not is_cut(before, thumbnail(picture[:, 3:67]))
    assert is_cut(before, thumbnail(picture[:, 60:124]))
