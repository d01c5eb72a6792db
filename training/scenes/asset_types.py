"""What assets are: textures, models and skies, and the roles that models play in scenes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROLES = (
    "against_wall", "kitchen", "bath", "table", "chair", "sofa", "freestanding", "clutter", "small",
    "plant", "door", "window", "ceiling_lamp", "curtain", "people", "car", "bike", "bush", "street",
)  # fmt: skip

# Panoramas in which nothing stands higher than a low horizon: what they show above it is truly sky.
OPEN_SKIES = ("clear", "clouds", "haze", "dusk", "dawn", "sky", "sunrise", "park")
OUTDOOR_SKIES = (*OPEN_SKIES, "city", "forest", "sunset", "venice")


@dataclass(frozen=True)
class Model:
    """One object: rows ``start : start + count`` of :attr:`Assets.vertices`.

    Its footprint is centred on the origin, its lowest point on y = 0, its front towards +z.
    ``size`` is (width x, height y, depth z) in metres, ``elevation`` the height at which it usually
    hangs, ``drop`` the height of a surface on which things may stand (−1: none).
    """

    name: str
    category: str
    licence: str
    start: int
    count: int
    size: tuple[float, float, float]
    elevation: float = 0.0
    drop: float = -1.0


@dataclass
class Assets:
    """Everything that a renderer uploads once and that scenes draw from.

    Attributes:
        textures: uint8 (L, 256, 256, 4), sRGB and alpha.
        mean_albedo: float32 (L, 3), the mean linear colour of each texture where it is opaque.
        surfaces: texture layers by surface name.
        vertices: float32 (N, 13), rows as in `training.scenes.mesh`; layers index `textures`.
        models: the objects, slices of `vertices`.
        roles: indices of models by role, see :data:`ROLES`.
        skies: float16 (256, 512, 3) each, linear radiance, equirectangular, the zenith in row 0.
        sky_names: one name a sky.
        licences: one line a source, with its licence and authors.
    """

    textures: np.ndarray
    mean_albedo: np.ndarray
    surfaces: dict[str, list[int]]
    vertices: np.ndarray
    models: list[Model]
    roles: dict[str, list[int]]
    skies: list[np.ndarray]
    sky_names: list[str]
    licences: list[str]

    @property
    def outdoor_skies(self) -> list[int]:
        """Panoramas of outdoor places by day or at dusk: what may be seen through a window."""
        return [i for i, name in enumerate(self.sky_names) if name in OUTDOOR_SKIES]

    @property
    def open_skies(self) -> list[int]:
        """Those of them with an open horizon, fit to be the infinitely far sky of a scene."""
        return [i for i, name in enumerate(self.sky_names) if name in OPEN_SKIES]
