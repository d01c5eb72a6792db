"""Textures of plain surfaces: each function draws one random variant as sRGB in [0, 1], (H, W, 3).

Facades, pictures and leaves, which have a layout, are in `patterns`.
"""

from __future__ import annotations

import numpy as np

from training.scenes.textures import patterns
from training.scenes.textures.noise import SIZE, Cells, blend, colour, noise, pixel_grid, shade


def paint(rng: np.random.Generator) -> np.ndarray:
    """Near-white wall paint, made to be tinted."""
    field = noise(rng, rng.uniform(0.6, 1.6), low=rng.choice([1, 3, 8]))
    return shade(np.full(3, rng.uniform(0.82, 0.95), np.float32), field, rng.uniform(0.004, 0.03))


def plaster(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.02, 0.18), (0.0, 0.35), (0.5, 0.92))
    if rng.random() < 0.2:
        base = colour(rng, saturation=(0.05, 0.35), value=(0.4, 0.85))
    image = shade(base, noise(rng, 1.3), rng.uniform(0.015, 0.06))
    return shade(image, noise(rng, 0.3, low=24), rng.uniform(0.01, 0.06))


def _grain(rng: np.random.Generator) -> np.ndarray:
    """Wood grain along x with zero mean: broad rings warped by noise, fine fibres on top."""
    _, v = pixel_grid()
    warp = noise(rng, 1.8, stretch=(8.0, 1.0)) * rng.uniform(0.02, 0.12)
    rings = np.sin(2 * np.pi * (v + warp) * int(rng.integers(3, 14)))
    fibres = noise(rng, 0.6, stretch=(24.0, 1.0), low=4)
    return 0.5 * rings * rng.uniform(0.2, 1.0) + 0.5 * fibres


def _wood_colour(rng: np.random.Generator) -> np.ndarray:
    kind = rng.random()
    if kind < 0.2:
        return colour(rng, (0.05, 0.12), (0.02, 0.2), (0.55, 0.9))  # white-washed, grey
    if kind < 0.4:
        return colour(rng, (0.02, 0.07), (0.4, 0.7), (0.18, 0.4))  # walnut, mahogany
    return colour(rng, (0.06, 0.11), (0.3, 0.62), (0.45, 0.85))  # oak, pine, beech


def wood(rng: np.random.Generator) -> np.ndarray:
    return shade(_wood_colour(rng), _grain(rng), rng.uniform(0.06, 0.22))


def floor(rng: np.random.Generator) -> np.ndarray:
    """Planks in running bond, or a basket-weave parquet."""
    base, grain = _wood_colour(rng), _grain(rng)
    if rng.random() < 0.65:
        rows = int(rng.integers(4, 13))
        cells = Cells(rows, int(rng.integers(1, 4)), rng.random(rows).astype(np.float32) * 3)
        # Each plank takes its grain from elsewhere in the same image.
        moves = rng.integers(0, SIZE, (rows, cells.columns))[cells.row, cells.column]
        y, x = np.mgrid[0:SIZE, 0:SIZE]
        grain = grain[(y + moves) % SIZE, (x + 3 * moves) % SIZE]
        tone, gap = cells.values(rng), cells.gap(rng.uniform(0.2, 1.2))
    else:
        blocks = 2 * int(rng.integers(1, 4))
        coarse = Cells(blocks, blocks)
        turned = (coarse.row + coarse.column) % 2 == 1
        staves = blocks * int(rng.integers(3, 6))
        across, along = Cells(staves, blocks), Cells(blocks, staves)
        grain = np.where(turned, grain.T, grain)
        tone = np.where(turned, along.values(rng), across.values(rng))
        gap = np.where(turned, along.gap(0.4), across.gap(0.4))
    image = shade(base, grain, rng.uniform(0.05, 0.16))
    image = shade(image, tone, rng.uniform(0.02, 0.13))
    return blend(image, image * rng.uniform(0.3, 0.7), gap)


def tile(rng: np.random.Generator) -> np.ndarray:
    rows = int(rng.choice([1, 2, 3, 4, 6, 8]))
    columns = rows if rng.random() < 0.7 else max(1, rows // 2)
    cells = Cells(rows, columns, 0.0 if rng.random() < 0.8 else np.arange(rows) % 2 * 0.5)
    base = colour(rng, (0.03, 0.14), saturation=(0.0, 0.3), value=(0.35, 0.95))
    if rng.random() < 0.3:
        base = colour(rng, saturation=(0.02, 0.6), value=(0.3, 0.85))
    image = shade(base, noise(rng, 1.4), rng.uniform(0.01, 0.09))
    image = shade(image, cells.values(rng), rng.uniform(0.0, 0.07))
    if rng.random() < 0.25 and rows % 2 == 0 and columns % 2 == 0:
        other = colour(rng, saturation=(0.0, 0.5), value=(0.08, 0.9))
        image = blend(image, shade(other, noise(rng, 1.4), 0.06), (cells.row + cells.column) % 2)
    if rng.random() < 0.3:  # marble veins
        veins = np.exp(-np.abs(noise(rng, 1.8)) * rng.uniform(8, 25))
        image = blend(image, image * rng.uniform(0.4, 1.3), veins * rng.uniform(0.3, 0.9))
    grout = colour(rng, saturation=(0, 0.1), value=(0.25, 0.9))
    return blend(image, np.broadcast_to(grout, image.shape), cells.gap(rng.uniform(0.5, 2.2)))


def _dye(rng: np.random.Generator) -> np.ndarray:
    """Colours of cloth: mostly greys, beiges and blues, at times any hue."""
    kind = rng.random()
    if kind < 0.35:
        return colour(rng, (0.05, 0.12), (0.02, 0.35), (0.2, 0.9))
    if kind < 0.55:
        return colour(rng, (0.55, 0.65), (0.05, 0.55), (0.12, 0.7))
    if kind < 0.75:
        return colour(rng, (0.95, 1.06), (0.25, 0.7), (0.2, 0.65))
    return colour(rng, saturation=(0.0, 0.55), value=(0.15, 0.85))


def carpet(rng: np.random.Generator) -> np.ndarray:
    base = _dye(rng)
    image = shade(base, noise(rng, 0.2, low=20), rng.uniform(0.05, 0.2))
    image = shade(image, noise(rng, 1.5), rng.uniform(0.0, 0.12))
    if rng.random() < 0.5:
        image = patterns.rug(rng, image)
    return image


def fabric(rng: np.random.Generator) -> np.ndarray:
    u, v = pixel_grid()
    image = np.broadcast_to(_dye(rng), (SIZE, SIZE, 3))
    for direction in (u, v):
        if rng.random() < 0.35:
            stripe = np.sin(2 * np.pi * direction * int(rng.integers(2, 16))) > rng.uniform(
                -0.5, 0.8
            )
            image = blend(image, _dye(rng) * np.ones_like(image), stripe * 0.55)
    threads = int(rng.choice([32, 64, 85]))
    weave = np.sin(2 * np.pi * u * threads) * np.sin(2 * np.pi * v * threads)
    image = shade(image, weave, rng.uniform(0.02, 0.1))
    return shade(image, noise(rng, rng.uniform(0.3, 1.2)), rng.uniform(0.02, 0.1))


def brick(rng: np.random.Generator) -> np.ndarray:
    rows = 2 * int(rng.integers(3, 9))
    cells = Cells(rows, max(2, int(rows * rng.uniform(0.3, 0.5))), np.arange(rows) % 2 * 0.5)
    base = colour(rng, (0.0, 0.08), (0.15, 0.65), (0.3, 0.75))
    if rng.random() < 0.25:
        base = colour(rng, (0.05, 0.15), (0, 0.25), (0.45, 0.9))
    image = shade(base, cells.values(rng), rng.uniform(0.05, 0.2))
    image = image * (1 + 0.03 * cells.values(rng, 3))
    image = shade(image, noise(rng, 0.7), rng.uniform(0.04, 0.12))
    mortar = shade(colour(rng, (0.05, 0.15), (0, 0.15), (0.4, 0.85)), noise(rng, 0.4), 0.05)
    return blend(image, mortar, cells.gap(rng.uniform(0.8, 2.4)))


def concrete(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.05, 0.15), (0, 0.12), (0.4, 0.8))
    image = shade(base, noise(rng, 1.5), rng.uniform(0.03, 0.12))
    image = shade(image, noise(rng, 0.3, low=16), rng.uniform(0.02, 0.08))
    if rng.random() < 0.5:
        streaks = np.clip(noise(rng, 1.2, stretch=(1.0, 8.0)), 0, None)
        image = shade(image, streaks, -rng.uniform(0.02, 0.1))
    if rng.random() < 0.5:
        count = int(rng.integers(1, 4))
        image = shade(image, Cells(count, count).gap(0.8), -0.3)
    return image


def asphalt(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.05, 0.65), (0, 0.08), (0.22, 0.52))
    image = shade(base, noise(rng, 0.1, low=30), rng.uniform(0.06, 0.2))
    image = shade(image, noise(rng, 1.4), rng.uniform(0.015, 0.06))
    if rng.random() < 0.5:
        cracks = np.exp(-np.abs(noise(rng, 1.5, low=2)) * rng.uniform(15, 40))
        image = shade(image, cracks, -rng.uniform(0.1, 0.5))
    if rng.random() < 0.3:
        patch = np.clip((noise(rng, 2.0) - 0.8) * 8, 0, 1)
        image = shade(image, patch, rng.uniform(-0.25, 0.2))
    return image


def grass(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.17, 0.31), (0.35, 0.7), (0.26, 0.55))
    dry = colour(rng, (0.1, 0.17), (0.3, 0.55), (0.4, 0.65))
    blades = noise(rng, 0.35, stretch=(1.0, rng.uniform(1.0, 3.0)), low=10)
    image = shade(base, blades, rng.uniform(0.15, 0.35))
    image = blend(image, shade(dry, blades, 0.2), (noise(rng, 1.5) - rng.uniform(0, 1.5)) * 0.6)
    return shade(image, noise(rng, 1.7), rng.uniform(0.03, 0.15))


def ground(rng: np.random.Generator) -> np.ndarray:
    """Earth, sand, gravel or a forest floor."""
    base = colour(rng, (0.05, 0.13), (0.1, 0.5), (0.28, 0.72))
    image = shade(base, noise(rng, 1.4), rng.uniform(0.05, 0.15))
    kind = rng.random()
    if kind < 0.4:  # gravel: stones are the bumps of band-limited noise
        stones = noise(rng, 0.0, low=rng.uniform(10, 25), high=rng.uniform(30, 60))
        tint = noise(rng, 0.0, low=10, high=30)
        image = shade(image, np.tanh(stones), rng.uniform(0.12, 0.3))
        image = blend(
            image, np.broadcast_to(colour(rng, saturation=(0, 0.2)), image.shape), tint * 0.2
        )
    elif kind < 0.65:  # litter of leaves and tufts of grass
        for _ in range(2):
            other = colour(rng, (0.03, 0.3), (0.3, 0.6), (0.2, 0.6))
            spots = noise(rng, 0.6, low=6) - rng.uniform(0.2, 1.2)
            image = blend(image, shade(other, noise(rng, 0.2, low=20), 0.2), spots * 2)
    return shade(image, noise(rng, 0.3, low=20), rng.uniform(0.05, 0.2))


def roof(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.0, 0.07), (0.3, 0.65), (0.3, 0.7))
    if rng.random() < 0.5:
        base = colour(rng, saturation=(0, 0.2), value=(0.15, 0.55))
    rows = 2 * int(rng.integers(3, 8))
    cells = Cells(rows, int(rng.integers(6, 16)), np.arange(rows) % 2 * rng.choice([0.0, 0.5]))
    image = shade(base, noise(rng, 1.0), 0.08)
    image = shade(image, cells.values(rng), rng.uniform(0.03, 0.12))
    image = shade(image, cells.v - 0.5, -rng.uniform(0.1, 0.5))
    if rng.random() < 0.6:
        image = shade(image, np.sin(np.pi * cells.u) - 0.6, rng.uniform(0.1, 0.5))
    return image


def bark(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.04, 0.12), (0.1, 0.5), (0.25, 0.6))
    if rng.random() < 0.15:
        base = colour(rng, (0.1, 0.15), (0, 0.1), (0.6, 0.85))
    furrows = np.abs(noise(rng, 0.9, stretch=(1.0, rng.uniform(2, 8)), low=3))
    image = shade(base, furrows - 0.8, rng.uniform(0.2, 0.5))
    return shade(image, noise(rng, 0.5, low=10), 0.1)


def metal(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.5, 0.65), (0, 0.12), (0.4, 0.85))
    image = shade(base, noise(rng, 0.3, stretch=(30.0, 1.0)), rng.uniform(0.01, 0.08))
    if rng.random() < 0.3:
        rust = np.clip(noise(rng, 1.2) - rng.uniform(0.5, 1.5), 0, 1)
        image = blend(
            image, np.broadcast_to(colour(rng, (0.04, 0.08), (0.5, 0.8)), image.shape), rust
        )
    if rng.random() < 0.3:
        u, _ = pixel_grid()
        image = shade(
            image, np.sin(2 * np.pi * u * int(rng.integers(4, 20))), rng.uniform(0.1, 0.35)
        )
    return image


def cardboard(rng: np.random.Generator) -> np.ndarray:
    base = colour(rng, (0.07, 0.1), (0.3, 0.5), (0.5, 0.78))
    image = shade(base, noise(rng, 1.3), 0.04)
    image = shade(image, noise(rng, 0.2, stretch=(20.0, 1.0), low=10), rng.uniform(0.02, 0.06))
    if rng.random() < 0.6:
        image = patterns.printed_label(rng, image)
    return image
