"""Shelf racks with goods on every board: the aisles of a shop or store, and close-up shelves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training.scenes.mesh import Material, box, transformed
from training.scenes.palette import Palette
from training.scenes.scene import SceneBuilder

if TYPE_CHECKING:
    from training.scenes.furnish import Furnisher

MAX_SHOP_TRIANGLES = 110_000
MAX_GOOD_TRIANGLES = 400


def rack(
    builder: SceneBuilder,
    palette: Palette,
    width: float,
    height: float,
    depth: float,
    boards: int,
    models: list[int],
    dividers: bool = False,
) -> np.ndarray:
    """A shelf unit (n, 13) on the origin that faces +z, its boards filled row by row.

    ``models`` are the goods to choose from; printed packets fill in where none fits. ``dividers``
    split the boards into compartments.
    """
    rng = builder.rng
    frame = palette.plain(0.3) if rng.random() < 0.5 else palette.surface("wood", "metal")
    thick = rng.uniform(0.015, 0.04)
    parts = []
    for side in (-1, 1):
        x = side * (width / 2 - thick / 2)
        low, high = (x - thick / 2, 0, -depth / 2), (x + thick / 2, height, depth / 2)
        parts.append(box(low, high, frame))
    if rng.random() < 0.6:
        low = (-width / 2, 0, -depth / 2)
        parts.append(box(low, (width / 2, height, -depth / 2 + 0.01), frame))
    foot = rng.uniform(0.02, 0.15)
    clear = (height - foot) / boards
    for k in range(boards + 1):
        y = min(foot + k * clear, height - thick)
        low, high = (-width / 2, y, -depth / 2), (width / 2, y + thick, depth / 2)
        parts.append(box(low, high, frame))
        if k < boards:
            cells = max(1, round(width / 0.4)) if dividers else 1
            cell = (width - 2 * thick) / cells
            for i in range(cells):
                middle = -width / 2 + thick + (i + 0.5) * cell
                goods = _goods(builder, palette, (cell - thick, clear - thick, depth), models)
                parts += [transformed(rows, (middle, y + thick, 0)) for rows in goods]
                if i:
                    x = middle - cell / 2
                    low = (x - thick / 2, y + thick, -depth / 2)
                    parts.append(box(low, (x + thick / 2, y + clear, depth / 2), frame))
    return np.concatenate(parts)


def _goods(builder: SceneBuilder, palette: Palette, span, models: list[int]) -> list:
    """Things side by side on one board, often several of a kind, as shops and homes have them."""
    rng, assets = builder.rng, builder.assets
    width, clear, depth = span
    x, out = -width / 2 + 0.01, []
    density = rng.uniform(0.6, 1.0)
    while x < width / 2 - 0.04:
        if rng.random() > density:
            x += rng.uniform(0.03, 0.25)
            continue
        rows, size = _good(builder, palette, assets, clear, depth, models)
        for _ in range(int(rng.choice([1, 1, 2, 3, 5]))):
            if x + size[0] > width / 2:
                x += 0.05
                break
            z = depth / 2 - size[2] / 2 - rng.uniform(0.005, 0.04)
            z = max(z, -depth / 2 + size[2] / 2)
            out.append(transformed(rows, (x + size[0] / 2, 0, z), rng.normal(0, 0.05)))
            x += size[0] + rng.uniform(0.004, 0.03)
    return out


def _good(builder, palette, assets, clear, depth, models):
    """Rows and size of one article that fits a board: a model, else a packet."""
    rng = builder.rng
    for _ in range(3):
        model = assets.models[builder.choice(models)]
        if (
            model.size[1] < clear * 0.95
            and model.size[2] < depth
            and model.count < 3 * MAX_GOOD_TRIANGLES
        ):
            if rng.random() < 0.6:
                tint = palette.tint() if rng.random() < 0.4 else None
                rows = assets.vertices[model.start : model.start + model.count]
                return transformed(rows, tint=tint), model.size
    size = np.minimum(rng.uniform((0.05, 0.06, 0.05), (0.3, 0.35, 0.3)), (9, clear * 0.9, depth))
    front = Material(palette.layer("picture", "misc", "cardboard"), 0.0, palette.tint(), 0.2)
    low, high = (-size[0] / 2, 0, -size[2] / 2), (size[0] / 2, size[1], size[2] / 2)
    return box(low, high, front), size


def fill_aisles(furnisher: Furnisher) -> None:
    """Rows of racks through a room, back to back, with aisles wide enough to walk."""
    builder, room, rng = furnisher.builder, furnisher.room, furnisher.rng
    models = furnisher.assets.roles["small"] + furnisher.assets.roles["clutter"]
    depth = rng.uniform(0.35, 0.9)
    height = min(rng.uniform(1.3, 3.2), room.height - 0.4)
    width, boards = rng.uniform(0.9, 2.2), int(rng.integers(3, 7))
    designs = [
        rack(builder, furnisher.palette, width, height, depth, boards, models) for _ in range(4)
    ]
    aisle, is_double = rng.uniform(1.2, 2.6), rng.random() < 0.6
    pitch = aisle + depth * (2 if is_double else 1)
    for x in np.arange(-room.width / 2 + depth, room.width / 2 - depth, pitch):
        for z in np.arange(-room.depth / 2 + 1.2 + width / 2, room.depth / 2 - 1.2, width):
            if builder.triangles > MAX_SHOP_TRIANGLES or rng.random() < 0.06:
                continue
            for side in (1, -1) if is_double else (1,):
                rows = designs[rng.integers(len(designs))]
                centre = x + side * depth / 2
                if not builder.is_free(centre, z, depth / 2 - 0.02, width / 2 - 0.02, 0.0):
                    continue
                builder.add(transformed(rows, (centre, 0, z), side * math.pi / 2))
                builder.occupy(centre, z, depth / 2 - 0.02, width / 2 - 0.02, 0.0, height)
