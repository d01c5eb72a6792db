"""Sun, sky and fog of an outdoor scene: clear, overcast, hazy or at dusk."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.assets import Assets
from training.scenes.scene import Lighting, Sky


def daylight(
    assets: Assets, rng: np.random.Generator, ground: np.ndarray, shadow_centre, shadow_half: float
) -> tuple[Lighting, Sky]:
    """Draw the weather. `ground` (3,) is the albedo that colours the light from below."""
    kind = rng.choice(["clear", "overcast", "dusk"], p=[0.58, 0.32, 0.10])
    elevation = rng.uniform(0.03, 0.15) if kind == "dusk" else rng.uniform(0.18, 1.2)
    azimuth = rng.uniform(0, 2 * math.pi)
    direction = np.array(
        [
            math.cos(elevation) * math.cos(azimuth),
            math.sin(elevation),
            math.cos(elevation) * math.sin(azimuth),
        ]
    )
    warmth = min(1.0, elevation)
    colour = np.array([1.0, 0.72 + 0.22 * warmth, 0.45 + 0.45 * warmth])
    sun = colour * (0.0 if kind == "overcast" else rng.uniform(2, 5))
    zenith, horizon = _sky_colours(kind, rng)
    light = 0.6 * zenith + 0.5 * horizon
    bounce = ground * (light + 0.7 * sun * direction[1])
    ambient = np.zeros((6, 3))
    side = 0.55 * light + 0.35 * bounce
    for face in (0, 1, 4, 5):
        ambient[face] = side * rng.uniform(0.85, 1.15)
    ambient[2], ambient[3] = light, 0.8 * bounce + 0.02
    lighting = Lighting(
        ambient=ambient,
        sun_direction=direction,
        sun_radiance=sun,
        sun_box=(shadow_centre, shadow_half),
        ao_radius=rng.uniform(0.5, 1.5),
    )
    return lighting, _sky(assets, rng, zenith, horizon, light)


def _sky_colours(kind: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(zenith, horizon) radiance."""
    if kind == "overcast":
        grey = rng.uniform(0.7, 1.1) * np.array([0.95, 1.0, 1.05])
        return grey, grey * 1.1
    blue = np.array([0.45, 0.65, 1.0]) * rng.uniform(0.7, 1.1)
    if kind == "dusk":
        return blue * 0.4, np.array([0.9, rng.uniform(0.5, 0.7), rng.uniform(0.3, 0.6)]) * 0.7
    return blue * 0.75, blue * 0.5 + 0.55


def _sky(
    assets: Assets,
    rng: np.random.Generator,
    zenith: np.ndarray,
    horizon: np.ndarray,
    light: np.ndarray,
) -> Sky:
    panorama, gain = None, 1.0
    if assets.open_skies and rng.random() < 0.45:
        panorama = int(rng.choice(assets.open_skies))
        upper = assets.skies[panorama][:110].astype(np.float32)
        gain = float(light.mean() * 1.2 / max(float(np.median(upper)), 1e-3))
    return Sky(
        panorama=panorama,
        gain=gain,
        rotation=float(rng.random()),
        zenith=tuple(zenith),
        horizon=tuple(horizon),
        clouds=float(rng.random()),
        fog_colour=tuple(horizon * 0.95),
        fog_density=float(rng.choice([0.0, 0.001, 0.003, 0.01], p=[0.25, 0.4, 0.27, 0.08])),
    )
