"""Panoramas of procedural skies, so that scenes without fetched photographs have some to show."""

from __future__ import annotations

import numpy as np

HEIGHT, WIDTH = 256, 512

# Name, zenith and horizon radiance, share of cloud, height of the sun in radians.
_SKIES = (
    ("clear", (0.18, 0.36, 0.80), (0.75, 0.88, 1.0), 0.1, 0.9),
    ("clouds", (0.22, 0.40, 0.80), (0.80, 0.88, 0.95), 0.5, 0.7),
    ("haze", (0.60, 0.66, 0.72), (0.90, 0.92, 0.92), 0.8, 0.5),
    ("dusk", (0.10, 0.14, 0.32), (0.85, 0.45, 0.22), 0.35, 0.05),
)


def _cloud_noise(directions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise over the sphere as a sum of plane waves of random direction, unit variance."""
    field = np.zeros(directions.shape[:2])
    flattened = directions / (np.abs(directions[..., 1:2]) + 0.25) * (1, 0.4, 1)
    for octave in range(6):
        amplitude, frequency = 0.62**octave, 1.8 * 1.9**octave
        for _ in range(6):
            wave = rng.normal(0, frequency, 3)
            field += amplitude * np.sin(flattened @ wave + rng.uniform(0, 2 * np.pi))
    return field / field.std()


def procedural_skies(seed: int = 0) -> tuple[list[np.ndarray], list[str]]:
    """Skies, float16 (256, 512, 3) linear radiance each, and their names."""
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH]
    polar, azimuth = (v + 0.5) / HEIGHT * np.pi, (u + 0.5) / WIDTH * 2 * np.pi - np.pi
    directions = np.stack(
        [np.sin(polar) * np.cos(azimuth), np.cos(polar), np.sin(polar) * np.sin(azimuth)], -1
    )
    skies = []
    for number, (_, zenith, horizon, cover, elevation) in enumerate(_SKIES):
        rng = np.random.default_rng([seed, 91, number])
        up = np.clip(directions[..., 1:2], 0, 1) ** 0.5
        image = np.array(horizon) * (1 - up) + np.array(zenith) * up
        sun = np.array([np.cos(elevation), np.sin(elevation), 0.0])
        glow = np.clip(directions @ sun, 0, 1)[..., None]
        cloud = np.clip(_cloud_noise(directions, rng) * 0.8 + 2 * cover - 1, 0, 1)[..., None]
        image = image * (1 - 0.85 * cloud) + 0.85 * cloud * (np.mean(horizon) * 0.95)
        image = image + np.array([1.0, 0.8, 0.55]) * (0.5 * glow**12 + 20.0 * glow**1500)
        ground = np.array([0.16, 0.15, 0.13]) * np.mean(horizon)
        below = np.clip(-directions[..., 1:2] * 40, 0, 1)
        skies.append((image * (1 - below) + ground * below).astype(np.float16))
    return skies, [name for name, *_ in _SKIES]
