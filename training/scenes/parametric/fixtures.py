"""Parametric parts of a house: kitchen and bath units, doors, windows, curtains and lamps."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit, surface


def kitchen_unit(kit: Kit) -> None:
    """A base cupboard with worktop, doors or drawers; at times a sink or a hob on top."""
    width, height, depth = kit.between(0.4, 1.2), kit.between(0.86, 0.93), kit.between(0.56, 0.64)
    front, top, handle = kit.board(), kit.textured("concrete", 0.8, 0.4), kit.metal()
    kit.block((width, 0.1, depth - 0.06), (0, 0, -0.03), kit.plain(value=(0.05, 0.3)))
    kit.block((width, height - 0.14, depth), (0, 0.1, 0), kit.lacquer())
    kit.block((width, 0.04, depth + 0.03), (0, height - 0.04, 0.015), top)
    rows = kit.count(1, 4)
    step = (height - 0.16) / rows
    for row in range(rows):
        kit.block((width - 0.01, step - 0.01, 0.018), (0, 0.11 + row * step, depth / 2), front)
        kit.block((0.14, 0.012, 0.03), (0, 0.06 + (row + 1) * step, depth / 2 + 0.02), handle)
    kind = kit.rng.random()
    if kind < 0.25 and width > 0.5:
        kit.block((0.42, 0.012, 0.4), (0, height, 0), kit.metal())
        kit.block(
            (0.36, 0.004, 0.34), (0, height + 0.011, 0), kit.plain(value=(0.15, 0.35), gloss=0.6)
        )
        tap(kit, (0, height, -0.22))
    elif kind < 0.5 and width > 0.5:
        kit.block((0.5, 0.01, 0.46), (0, height, 0), kit.glass())
        for x in (-0.12, 0.12):
            for z in (-0.11, 0.11):
                kit.turned([(0, 0.01), (0.08, 0.01), (0, 0.014)], (x, height, z), kit.metal())
    kit.drop = height


def tap(kit: Kit, base) -> None:
    x, y, z = base
    chrome = kit.plain(saturation=(0, 0.05), value=(0.6, 0.85), gloss=0.95)
    kit.rod((x, y, z), (x, y + 0.22, z), 0.014, chrome)
    kit.rod((x, y + 0.22, z), (x, y + 0.2, z + 0.16), 0.012, chrome)


def oven(kit: Kit) -> None:
    """A cooker or washing machine."""
    height = kit.between(0.85, 0.92)
    white = kit.plain(saturation=(0, 0.05), value=(0.4, 0.97), gloss=0.5)
    kit.block((0.6, height, 0.6), (0, 0, 0), white)
    if kit.chance(0.5):
        kit.block((0.5, 0.42, 0.02), (0, 0.2, 0.3), kit.glass())
        kit.block((0.46, 0.02, 0.04), (0, 0.65, 0.31), kit.metal())
        for x in (-0.2, -0.07, 0.07, 0.2):
            kit.ball((0.05, 0.05, 0.05), (x, 0.74, 0.3), kit.plain(value=(0.05, 0.2)))
    else:
        for radius, material in ((0.2, kit.metal()), (0.15, kit.glass())):
            kit.ball((2 * radius, 2 * radius, 0.06), (0, 0.42 - radius, 0.29), material, 1.0)
        kit.block((0.56, 0.09, 0.01), (0, height - 0.11, 0.3), kit.plain(value=(0.1, 0.9)))
    kit.drop = height


def fridge(kit: Kit) -> None:
    height, width = kit.between(1.2, 2.0), kit.between(0.54, 0.75)
    skin = (
        kit.metal()
        if kit.chance(0.4)
        else kit.plain(saturation=(0, 0.05), value=(0.8, 0.97), gloss=0.5)
    )
    kit.block((width, height, 0.6), (0, 0, 0), skin)
    split = height * kit.between(0.3, 0.7)
    for low, high in ((0.05, split - 0.005), (split + 0.005, height - 0.02)):
        kit.block((width - 0.01, high - low, 0.05), (0, low, 0.32), skin)
        kit.block(
            (0.02, min(0.4, (high - low) * 0.6), 0.03),
            (width / 2 - 0.06, low + 0.1, 0.36),
            kit.metal(),
        )


def washbasin(kit: Kit) -> None:
    width, white = (
        kit.between(0.45, 0.9),
        kit.plain(saturation=(0, 0.03), value=(0.9, 0.98), gloss=0.8),
    )
    if kit.chance(0.5):
        kit.block((width, 0.55, 0.44), (0, 0.2, 0), kit.board())
    else:
        kit.turned([(0.1, 0), (0.08, 0.7)], (0, 0, -0.1), white)
    kit.ball((width + 0.05, 0.18, 0.5), (0, 0.72, 0), white, 0.3)
    kit.ball(
        (width - 0.1, 0.03, 0.32),
        (0, 0.885, 0.04),
        kit.plain(value=(0.5, 0.7), saturation=(0, 0.05)),
        0.5,
    )
    tap(kit, (0, 0.88, -0.2))


def toilet(kit: Kit) -> None:
    white = kit.plain(saturation=(0, 0.03), value=(0.9, 0.98), gloss=0.8)
    kit.ball((0.3, 0.36, 0.5), (0, 0, 0), white, 0.5)
    kit.ball((0.38, 0.09, 0.48), (0, 0.34, 0.06), white, 0.6)
    lid = kit.plain(saturation=(0, 0.2), value=(0.2, 0.98), gloss=0.6)
    kit.ball((0.37, 0.03, 0.44), (0, 0.42, 0.06), lid, 0.6)
    kit.block((0.4, 0.42, 0.18), (0, 0.36, -0.28), white)


def bathtub(kit: Kit) -> None:
    length, white = (
        kit.between(1.4, 1.8),
        kit.plain(saturation=(0, 0.03), value=(0.9, 0.98), gloss=0.8),
    )
    height, depth = kit.between(0.5, 0.6), kit.between(0.68, 0.8)
    for side in (-1, 1):
        kit.block((length, height, 0.07), (0, 0, side * (depth / 2 - 0.035)), white)
        kit.block((0.07, height, depth), (side * (length / 2 - 0.035), 0, 0), white)
    kit.block((length - 0.1, 0.14, depth - 0.1), (0, 0, 0), white)
    tap(kit, (-length / 2 + 0.04, height, 0))


def shower(kit: Kit) -> None:
    white, metal, pane = kit.ceramic(), kit.metal(), kit.glass()
    kit.block((0.9, 0.08, 0.9), (0, 0, 0), white)
    kit.block((0.03, 1.9, 0.9), (-0.44, 0.08, 0), pane)
    for x, z in ((-0.44, 0.44), (0.44, 0.44), (-0.44, -0.44)):
        kit.block((0.03, 1.92, 0.03), (x, 0.08, z), metal)
    kit.rod((0.3, 0.9, -0.42), (0.3, 2.0, -0.42), 0.012, metal)
    kit.ball((0.2, 0.03, 0.2), (0.3, 1.98, -0.3), metal)


def door(kit: Kit) -> None:
    width, height = kit.between(0.72, 0.95), kit.between(1.98, 2.1)
    leaf, trim, handle = kit.board(), kit.board(), kit.metal()
    kit.block((width, height, 0.045), (0, 0, 0), leaf)
    for side in (-1, 1):
        kit.block((0.07, height + 0.07, 0.11), (side * (width / 2 + 0.03), 0, 0), trim)
    kit.block((width + 0.13, 0.07, 0.11), (0, height, 0), trim)
    panels = kit.count(0, 3)
    for k in range(panels):
        step = (height - 0.3) / panels
        pane = kit.glass() if kit.chance(0.15) else leaf
        kit.block((width * 0.66, step - 0.14, 0.065), (0, 0.2 + k * step, 0), pane)
    x = kit.pick((-1, 1)) * (width / 2 - 0.07)
    kit.block((0.035, 0.18, 0.06), (x, 0.98, 0), handle)
    kit.block((0.13, 0.022, 0.024), (x * 0.86, 1.05, 0.06), handle)


def window(kit: Kit) -> None:
    """A frame with open panes: what is behind it stays visible."""
    width, height = kit.between(0.7, 2.2), kit.between(0.8, 1.7)
    frame, thick = kit.board(), kit.between(0.05, 0.08)
    casements = max(1, round(width / kit.between(0.6, 0.9)))
    rail = kit.chance(0.35) * height * kit.between(0.3, 0.75)
    for level in (0.0, height - thick):
        kit.block((width, thick, 0.08), (0, level, 0), frame)
    for k in range(casements + 1):
        kit.block(
            (thick, height, 0.08),
            (-width / 2 + thick / 2 + k * (width - thick) / casements, 0, 0),
            frame,
        )
    if rail:
        kit.block((width, 0.04, 0.05), (0, rail, 0), frame)
    kit.block(
        (0.02, 0.1, 0.05),
        (-width / 2 + (width - thick) / casements + 0.03, height * 0.45, 0.05),
        kit.metal(),
    )
    kit.elevation = 0.9


def curtain(kit: Kit) -> None:
    """Cloth in folds, or a slatted blind."""
    width, height = kit.between(0.5, 1.6), kit.between(1.3, 2.3)
    if kit.chance(0.25):
        slats = kit.lacquer()
        for k in range(int(height * 0.6 / 0.05)):
            kit.block((width, 0.03, 0.025), (0, k * 0.05, 0), slats)
        return
    cloth, folds = kit.fabric(), int(width / kit.between(0.1, 0.18))
    x = np.linspace(-width / 2, width / 2, folds * 6 + 1)
    z = 0.04 * np.sin(np.linspace(0, 2 * math.pi * folds, len(x))) * kit.between(0.6, 1.3)
    rows = [np.stack([x, np.full_like(x, y), z], 1) for y in (height, 0.0)]
    kit.add(surface(np.stack(rows), cloth))
    kit.rod((-width / 2 - 0.1, height, 0), (width / 2 + 0.1, height, 0), 0.014, kit.metal())


def ceiling_lamp(kit: Kit) -> None:
    """A pendant whose top touches the ceiling."""
    light = Material(colour=(1.0, 0.9, 0.75), gloss=-kit.between(0.8, 4.0))
    shade = kit.plain(saturation=(0, 0.5), value=(0.2, 0.95), gloss=0.1)
    drop, radius = kit.between(0.15, 0.9), kit.between(0.12, 0.3)
    if kit.chance(0.3):
        drop = 0.12
        kit.turned([(0, 0), (radius, 0.02), (radius, 0.1), (0, 0.12)], (0, 0, 0), light)
        return
    kind = kit.rng.random()
    if kind < 0.4:
        kit.ball((2 * radius,) * 3, (0, 0, 0), light)
        top = 2 * radius
    else:
        top = radius * kit.between(0.8, 1.6)
        kit.turned(
            [(radius, 0), (radius * kit.between(0.15, 0.9), top), (0.02, top)], (0, 0, 0), shade
        )
        kit.ball((0.1, 0.1, 0.1), (0, 0.03, 0), light)
    kit.rod((0, top, 0), (0, top + drop, 0), 0.006, kit.plain(value=(0.02, 0.2)))
    kit.turned([(0.06, 0), (0.05, 0.03), (0, 0.03)], (0, top + drop - 0.03, 0), shade)


def floor_lamp(kit: Kit) -> None:
    _standing_lamp(kit, kit.between(1.3, 1.8), kit.between(0.14, 0.25))


def table_lamp(kit: Kit) -> None:
    _standing_lamp(kit, kit.between(0.25, 0.35), kit.between(0.06, 0.12))


def _standing_lamp(kit: Kit, height: float, radius: float) -> None:
    stand = kit.metal() if kit.chance(0.6) else kit.board()
    shade = kit.plain((0.05, 0.15), (0, 0.4), (0.5, 0.95), 0.0)
    if kit.chance(0.5):
        shade = Material(colour=shade.colour, gloss=-kit.between(0.5, 2.0))
    foot, tall = radius * kit.between(0.5, 0.9), radius * kit.between(1.0, 1.8)
    kit.turned([(0, 0), (foot, 0), (foot, 0.02), (0.01, 0.03)], (0, 0, 0), stand)
    kit.rod((0, 0, 0), (0, height - tall * 0.5, 0), 0.012, stand)
    kit.turned([(radius, 0), (radius * kit.between(0.4, 1), tall)], (0, height - tall, 0), shade)
