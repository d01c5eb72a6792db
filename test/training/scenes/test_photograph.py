"""The camera model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from training.scenes.photograph import photograph, random_look

CLEAN = dataclasses.replace(
    random_look(np.random.default_rng(0), jpeg=False),
    bloom=0.0, vignette=0.0, blur=0.0, noise=0.0, sharpen=0.0, contrast=1.0, saturation=1.0,
    gamma=1.0, filmic=False, white_balance=(1.0, 1.0, 1.0),
)  # fmt: skip


@pytest.fixture
def radiance() -> np.ndarray:
    return np.random.default_rng(1).uniform(0.01, 2.0, (48, 64, 3)).astype(np.float32)


def test_same_seed_same_photograph(radiance):
    images = []
    for _ in range(2):
        rng = np.random.default_rng(5)
        images.append(photograph(radiance, random_look(rng), rng))
    assert images[0].dtype == np.uint8 and images[0].shape == (48, 64, 3)
    assert images[0].tobytes() == images[1].tobytes()
    rng = np.random.default_rng(6)
    assert photograph(radiance, random_look(rng), rng).tobytes() != images[0].tobytes()


def test_auto_exposure_makes_brightness_of_the_scene_irrelevant(radiance):
    rng = np.random.default_rng(0)
    dim, bright = photograph(radiance, CLEAN, rng), photograph(radiance * 100, CLEAN, rng)
    np.testing.assert_allclose(dim.astype(int), bright.astype(int), atol=1)
    assert 40 < dim.mean() < 200


def test_tone_curve_by_hand():
    flat = np.full((8, 8, 3), 0.5, np.float32)
    image = photograph(flat, CLEAN, np.random.default_rng(0), exposure=2.0)
    expected = (1 - np.exp(-1.25)) ** (1 / 2.2) * 255
    np.testing.assert_allclose(image, expected, atol=1)


def test_brighter_stays_brighter():
    ramp = np.repeat(np.linspace(0, 5, 64, dtype=np.float32)[None, :, None], 3, 2).repeat(8, 0)
    row = photograph(ramp, CLEAN, np.random.default_rng(0), exposure=1.0)[0, :, 0].astype(int)
    assert (np.diff(row) >= 0).all() and row[0] == 0 and row[-1] > 250


def test_faults_show(radiance):
    rng = np.random.default_rng(0)
    clean = photograph(radiance, CLEAN, rng).astype(int)
    flat = np.full((48, 64, 3), 0.5, np.float32)
    noisy = photograph(flat, dataclasses.replace(CLEAN, noise=0.03), rng).astype(int)
    assert 2 < noisy.std() < 15
    blurred = photograph(radiance, dataclasses.replace(CLEAN, blur=4.0), rng).astype(int)
    assert blurred.std() < 0.7 * clean.std()
    dark = photograph(flat, dataclasses.replace(CLEAN, vignette=0.35), rng).astype(int)
    assert dark[0, 0, 0] < dark[24, 32, 0] - 10


def test_broken_pixels_do_not_spread(radiance):
    radiance[3, 4] = np.nan
    radiance[5, 6] = np.inf
    image = photograph(radiance, CLEAN, np.random.default_rng(0))
    assert image[3, 4].max() == 0 and image[5, 6].min() > 200
