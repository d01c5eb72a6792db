"""All procedural textures: how many variants of each surface, and their plausible scale."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from training.scenes.textures import patterns, surfaces
from training.scenes.textures.noise import SIZE

Generator = Callable[[np.random.Generator], np.ndarray]

# Number of variants and generator of each surface; the order fixes the texture layers.
GENERATORS: dict[str, tuple[int, Generator]] = {
    "paint": (28, surfaces.paint),
    "plaster": (20, surfaces.plaster),
    "wood": (24, surfaces.wood),
    "floor": (28, surfaces.floor),
    "tile": (26, surfaces.tile),
    "carpet": (24, surfaces.carpet),
    "fabric": (24, surfaces.fabric),
    "brick": (20, surfaces.brick),
    "concrete": (16, surfaces.concrete),
    "asphalt": (16, surfaces.asphalt),
    "grass": (18, surfaces.grass),
    "ground": (22, surfaces.ground),
    "roof": (16, surfaces.roof),
    "facade": (72, patterns.facade),
    "picture": (96, patterns.picture),
    "leaf": (30, patterns.leaf_card),
    "bark": (12, surfaces.bark),
    "metal": (14, surfaces.metal),
    "cardboard": (14, surfaces.cardboard),
    "misc": (40, patterns.wallpaper),
}

# Plausible metres a repeat of each surface, for scene code that picks a `Material.tile`.
TILE_METRES: dict[str, tuple[float, float]] = {
    "paint": (1.0, 3.0),
    "plaster": (1.0, 3.0),
    "wood": (0.6, 1.5),
    "floor": (0.8, 2.2),
    "tile": (0.5, 1.6),
    "carpet": (0.7, 2.0),
    "fabric": (0.3, 0.8),
    "brick": (0.8, 1.6),
    "concrete": (1.5, 4.0),
    "asphalt": (2.0, 5.0),
    "grass": (1.5, 4.0),
    "ground": (1.5, 4.0),
    "roof": (1.8, 3.5),
    "facade": (5.0, 8.0),
    "picture": (0.3, 1.2),
    "leaf": (1.0, 1.0),
    "bark": (0.5, 1.5),
    "metal": (0.5, 1.5),
    "cardboard": (0.3, 0.8),
    "misc": (0.5, 2.0),
}


def to_rgba(image: np.ndarray) -> np.ndarray:
    """Float (SIZE, SIZE, 3 or 4) in [0, 1] to uint8 RGBA, opaque where no alpha is given."""
    rgba = np.ones((SIZE, SIZE, 4), np.float32)
    rgba[..., : image.shape[2]] = image
    return (np.clip(rgba, 0.0, 1.0) * 255 + 0.5).astype(np.uint8)


def procedural_textures(seed: int = 0) -> tuple[np.ndarray, dict[str, list[int]]]:
    """All procedural textures, uint8 (L, 256, 256, 4) sRGB + alpha, and the layers of each surface.

    The same seed gives the same bytes; each texture has its own random stream, so that adding a
    variant to one surface leaves all the others as they were.
    """
    layers, members = [], {}
    for name, (count, generate) in GENERATORS.items():
        members[name] = list(range(len(layers), len(layers) + count))
        for index in range(count):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
            layers.append(to_rgba(generate(rng)))
    return np.stack(layers), members
