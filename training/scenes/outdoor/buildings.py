"""Houses: facades, roofs, shop fronts, balconies and chimneys."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.palette import Palette


def building(
    palette: Palette,
    width: float,
    depth: float,
    height: float,
    shop: bool,
    gable: bool | None = None,
) -> np.ndarray:
    """A house centred on the origin whose front faces +z; vertex rows (n, 13).

    `gable` None decides by height. Walls reach 3 m below ground, so that it may stand on a slope.
    """
    rng = palette.rng
    facade = palette.surface("facade", low=5.0, high=8.0, gloss=0.15)
    roof = palette.surface("roof", low=1.8, high=3.0, gloss=0.05)
    half_x, half_z = width / 2, depth / 2
    wall = facade
    if rng.random() < 0.25:
        wall = palette.surface("plaster", "brick", low=1.2, high=2.0, gloss=0.05)
    low, high = (-half_x, 0, -half_z), (half_x, height, half_z)
    parts = [mesh.box(low, high, facade, top=roof)]
    parts.append(mesh.box((-half_x, -3, -half_z), (half_x, 0, half_z), wall))
    if gable if gable is not None else (height < 12 and rng.random() < 0.6):
        parts.append(_gable_roof(palette, width, depth, height, roof, wall))
    else:
        trim = Material(colour=palette.grey(0.2, 0.7))
        edge = rng.uniform(0.1, 0.35)
        parts.append(
            mesh.box(
                (-half_x - edge, height - 0.3, -half_z - edge),
                (half_x + edge, height + rng.uniform(0.05, 0.7), half_z + edge),
                trim,
            )
        )
    if shop:
        parts.append(_shop_front(palette, width, half_z))
    if height > 6 and rng.random() < 0.4:
        parts.append(_balconies(palette, width, half_z, height))
    return np.concatenate(parts)


def _gable_roof(
    palette: Palette, width: float, depth: float, height: float, roof: Material, wall: Material
) -> np.ndarray:
    """A roof whose ridge runs along x, with gables and at times a chimney."""
    rng = palette.rng
    rise, eave = rng.uniform(0.25, 0.5) * depth, rng.uniform(0.2, 0.6)
    drop = rise * eave / (depth / 2)
    half_x, half_z = width / 2, depth / 2
    slope_z = half_z + eave
    parts = [
        mesh.quad(
            (-half_x - eave, height - drop, slope_z), (width + 2 * eave, 0, 0), (0, rise + drop, -slope_z), roof
        ),
        mesh.quad(
            (half_x + eave, height - drop, -slope_z), (-width - 2 * eave, 0, 0), (0, rise + drop, slope_z), roof
        ),
    ]  # fmt: skip
    for side in (-1, 1):
        corners = np.array([(side * half_x, height, z) for z in (-half_z, half_z)])
        triangle = np.vstack([corners, (side * half_x, height + rise, 0)])
        uv = triangle[:, 2:0:-1] * (1, -1) / (wall.tile or 1.0)
        parts.append(mesh.vertices(triangle, np.tile([side, 0, 0], (3, 1)), uv, wall))
    if rng.random() < 0.6:
        x, size = rng.uniform(-0.35, 0.35) * width, rng.uniform(0.4, 0.8)
        top = height + rise + rng.uniform(0.3, 1.0)
        brick = palette.surface("brick", low=0.8, high=1.2, gloss=0.02)
        parts.append(mesh.box((x, height, -size / 2), (x + size, top, size / 2), brick))
    return np.concatenate(parts)


def _shop_front(palette: Palette, width: float, front: float) -> np.ndarray:
    """A ground floor with glazing, door, sign and awning, a little before the facade."""
    rng = palette.rng
    level = rng.uniform(2.6, 3.6)
    base = palette.surface("plaster", "tile", "wood", "concrete", low=0.8, high=2.0, gloss=0.3)
    glass = Material(colour=(0.03, 0.045, 0.055), gloss=0.95)
    parts = [mesh.box((-width / 2 + 0.1, 0, front), (width / 2 - 0.1, level, front + 0.12), base)]
    bays = max(1, int(width / rng.uniform(2.2, 3.6)))
    for bay in range(bays):
        x0 = -width / 2 + 0.4 + bay * (width - 0.8) / bays
        x1 = x0 + (width - 0.8) / bays - 0.35
        sill = 0.05 if rng.random() < 0.35 else rng.uniform(0.3, 0.8)
        pane = glass if rng.random() < 0.7 else Material(palette.layer("picture"), 0.0, gloss=0.6)
        parts.append(
            mesh.quad((x0, sill, front + 0.13), (x1 - x0, 0, 0), (0, level - 0.7 - sill, 0), pane)
        )
    sign = Material(palette.layer("picture", "misc"), 0.0, palette.tint())
    parts.append(
        mesh.quad(
            (-width / 2 + 0.3, level - 0.6, front + 0.14), (width - 0.6, 0, 0), (0, 0.55, 0), sign
        )
    )
    if rng.random() < 0.4:
        reach, cloth = rng.uniform(0.8, 1.8), palette.surface("fabric", low=0.5, high=1.2)
        parts.append(
            mesh.quad(
                (-width / 2 + 0.4, level - 0.9, front + reach), (width - 0.8, 0, 0), (0, 0.7, 0.14 - reach), cloth
            )
        )  # fmt: skip
    return np.concatenate(parts)


def _balconies(palette: Palette, width: float, front: float, height: float) -> np.ndarray:
    rng = palette.rng
    reach, wide = rng.uniform(0.6, 1.4), rng.uniform(1.5, 3.0)
    slab, rail = Material(colour=palette.grey(0.25, 0.7)), palette.plain()
    parts = []
    for level in np.arange(3.1, height - 2.5, 3.0):
        for x in np.arange(-width / 2 + 0.6, width / 2 - wide, wide + rng.uniform(1.0, 2.5)):
            parts.append(mesh.box((x, level, front), (x + wide, level + 0.18, front + reach), slab))
            parts.append(
                mesh.box(
                    (x, level, front + reach - 0.05), (x + wide, level + 1.1, front + reach), rail
                )
            )
    return np.concatenate(parts) if parts else np.zeros((0, mesh.VERTEX_SIZE), np.float32)


def footprint(width: float, depth: float, yaw: float) -> tuple[float, float]:
    """Half extents (x, z) of a turned rectangle's bounding box."""
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    return (width * c + depth * s) / 2, (width * s + depth * c) / 2
