"""Parametric small things: books, boxes, tools, toys, devices, bags."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.parametric.shapes import Kit


def book_stack(kit: Kit) -> None:
    level = 0.0
    for _ in range(kit.count(1, 5)):
        width, depth, thick = (
            kit.between(0.12, 0.24),
            kit.between(0.16, 0.32),
            kit.between(0.008, 0.045),
        )
        cover = (
            kit.picture()
            if kit.chance(0.4)
            else kit.plain(saturation=(0, 0.8), value=(0.1, 0.9), gloss=0.2)
        )
        paper = kit.plain((0.1, 0.15), (0, 0.1), (0.8, 0.95), 0.0)
        x, z, yaw = kit.between(-0.015, 0.015), kit.between(-0.015, 0.015), kit.between(-0.3, 0.3)
        kit.block((width - 0.006, thick - 0.004, depth - 0.006), (x, level + 0.002, z), paper, yaw)
        kit.block((width, 0.002, depth), (x, level, z), cover, yaw)
        kit.block((width, 0.002, depth), (x, level + thick - 0.002, z), cover, yaw)
        level += thick


def carton(kit: Kit) -> None:
    """A parcel or packed carton, closed or open."""
    _carton(kit, kit.between(0.2, 0.6), kit.between(0.15, 0.5), kit.between(0.2, 0.5))


def packet(kit: Kit) -> None:
    """Boxes of food, medicine or electronics."""
    size = (kit.between(0.04, 0.24), kit.between(0.03, 0.32), kit.between(0.03, 0.16))
    label = kit.picture() if kit.chance(0.7) else kit.textured("misc", 0.0)
    kit.block(size, (0, 0, 0), label)


def _carton(kit: Kit, width: float, height: float, depth: float) -> None:
    card = kit.textured("cardboard", 0.0, 0.02)
    if kit.chance(0.6):
        kit.block((width, height, depth), (0, 0, 0), card)
        return
    for side in (-1, 1):
        kit.block((width, height, 0.006), (0, 0, side * depth / 2), card)
        kit.block((0.006, height, depth), (side * width / 2, 0, 0), card)
        flap = kit.between(0.06, 0.16)
        kit.add(
            mesh.quad(
                (-width / 2, height, side * depth / 2),
                (width, 0, 0),
                (0, -flap * 0.4, side * flap),
                card,
            )
        )
    kit.block((width, 0.006, depth), (0, kit.between(0.0, height * 0.6), 0), card)


def basket(kit: Kit) -> None:
    """A bin or laundry basket, open at the top."""
    radius, height = kit.between(0.11, 0.24), kit.between(0.22, 0.6)
    skin = kit.textured("fabric", 0.2) if kit.chance(0.4) else kit.plastic()
    top = radius * kit.between(1.0, 1.25)
    kit.turned(
        [
            (0, 0),
            (radius, 0),
            (top, height),
            (top - 0.012, height),
            (radius - 0.015, 0.03),
            (0, 0.03),
        ],
        (0, 0, 0),
        skin,
        18,
    )


def laptop(kit: Kit) -> None:
    width, depth, lid = kit.between(0.28, 0.37), kit.between(0.2, 0.25), kit.between(1.7, 2.1)
    body, screen = kit.metal(), kit.picture()
    dark = kit.plain(saturation=(0, 0.1), value=(0.03, 0.15))
    kit.block((width, 0.016, depth), (0, 0, 0), body)
    kit.block((width * 0.9, 0.002, depth * 0.5), (0, 0.016, -depth * 0.15), dark)
    up = np.array([0, math.sin(lid), math.cos(lid)]) * depth
    corner = np.array([-width / 2, 0.016, -depth / 2])
    kit.add(mesh.quad(corner - (0, 0, 0.006), (width, 0, 0), up, dark))
    kit.add(mesh.quad(corner + up * 0.05 + (0.008, 0, 0), (width - 0.016, 0, 0), up * 0.9, screen))


def monitor(kit: Kit) -> None:
    width, black = (
        kit.between(0.45, 0.75),
        kit.plain(saturation=(0, 0.1), value=(0.02, 0.2), gloss=0.4),
    )
    height, lift = width * kit.between(0.5, 0.62), kit.between(0.08, 0.16)
    kit.block((width * 0.4, 0.015, 0.2), (0, 0, 0), black)
    kit.block((0.05, lift + 0.1, 0.03), (0, 0, -0.04), black)
    kit.block((width, height, 0.03), (0, lift, 0), black)
    kit.add(
        mesh.quad(
            (-width / 2 + 0.01, lift + 0.01, 0.0165),
            (width - 0.02, 0, 0),
            (0, height - 0.02, 0),
            kit.picture(),
        )
    )


def keyboard(kit: Kit) -> None:
    body, keys = (
        kit.plain(saturation=(0, 0.1), value=(0.05, 0.9)),
        kit.plain(saturation=(0, 0.1), value=(0.05, 0.9)),
    )
    kit.block((0.44, 0.016, 0.14), (0, 0, 0), body)
    for row in range(5):
        for column in range(13):
            kit.block(
                (0.027, 0.008, 0.02), (-0.198 + 0.033 * column, 0.016, -0.05 + 0.025 * row), keys
            )


def tool(kit: Kit) -> None:
    """A hammer, screwdriver or spanner lying on its side."""
    length, grip, metal = kit.between(0.16, 0.32), kit.plastic(), kit.metal()
    kit.rod((0, 0.015, 0), (length * 0.5, 0.015, 0), 0.014, grip)
    kit.rod((length * 0.5, 0.015, 0), (length, 0.015, 0), 0.006, metal)
    if kit.chance(0.5):
        kit.block((0.03, 0.03, 0.1), (length, 0.0, 0), metal)
    elif kit.chance(0.5):
        kit.block((0.05, 0.01, 0.035), (length, 0.01, 0), metal)


def toy(kit: Kit) -> None:
    """Building blocks, a ball, a stacking tower, a toy car or a plush animal."""
    kind = kit.count(0, 4)
    if kind == 0:
        for k in range(kit.count(2, 6)):
            size = kit.between(0.03, 0.06)
            place = (0.08 * (k % 3 - 1), 0.0, 0.08 * (k // 3) + kit.between(-0.01, 0.01))
            kit.block((size, size, size), place, kit.plastic(), kit.between(0, 1.5))
    elif kind == 1:
        size = kit.between(0.06, 0.24)
        kit.ball((size, size, size), (0, 0, 0), kit.picture() if kit.chance(0.5) else kit.plastic())
    elif kind == 2:
        for k in range(5):
            radius = 0.07 - 0.009 * k
            kit.turned(
                [(0, 0), (radius, 0.004), (radius, 0.022), (0, 0.026)],
                (0, 0.026 * k, 0),
                kit.plastic(),
            )
    elif kind == 3:
        body = kit.plastic()
        kit.ball((0.08, 0.04, 0.18), (0, 0.012, 0), body, 0.3)
        kit.ball((0.065, 0.05, 0.09), (0, 0.035, -0.01), kit.glass(), 0.4)
        for x in (-0.04, 0.04):
            for z in (-0.055, 0.055):
                kit.ball((0.016, 0.034, 0.034), (x, 0, z), kit.plain(value=(0.02, 0.1)))
    else:
        fur = kit.plain((0.02, 0.12), (0.1, 0.6), (0.2, 0.9), 0.0)
        kit.ball((0.16, 0.18, 0.14), (0, 0, 0), fur)
        kit.ball((0.13, 0.13, 0.12), (0, 0.16, 0.01), fur)
        for side in (-1, 1):
            kit.ball((0.05, 0.05, 0.03), (side * 0.05, 0.26, 0), fur)
            kit.ball((0.06, 0.06, 0.13), (side * 0.06, 0, 0.09), fur)
            kit.ball((0.05, 0.11, 0.06), (side * 0.1, 0.07, 0.02), fur)


def phone(kit: Kit) -> None:
    """A phone, remote control or notebook lying flat."""
    width, length, thick = (
        kit.between(0.045, 0.1),
        kit.between(0.12, 0.2),
        kit.between(0.008, 0.025),
    )
    kit.block(
        (width, thick, length),
        (0, 0, 0),
        kit.plain(saturation=(0, 0.3), value=(0.03, 0.9), gloss=0.5),
    )
    if kit.chance(0.7):
        kit.block((width * 0.9, 0.001, length * 0.9), (0, thick, 0), kit.picture())


def shoe_pair(kit: Kit) -> None:
    upper, sole = (
        kit.leather() if kit.chance(0.5) else kit.fabric(),
        kit.plain(saturation=(0, 0.1), value=(0.05, 0.95)),
    )
    for side in (-1, 1):
        x, z = side * 0.06, kit.between(-0.03, 0.03)
        kit.ball((0.095, 0.025, 0.28), (x, 0, z), sole, 0.6)
        kit.ball((0.09, 0.07, 0.26), (x, 0.015, z), upper, 0.7)
        kit.ball((0.08, 0.09, 0.12), (x, 0.03, z - 0.07), upper, 0.6)


def clock(kit: Kit) -> None:
    """A clock or a framed photograph on its stand."""
    width, height, frame = kit.between(0.1, 0.25), kit.between(0.1, 0.3), kit.board()
    kit.block((width, height, 0.025), (0, 0, 0), frame)
    kit.add(
        mesh.quad(
            (-width / 2 + 0.012, 0.012, 0.0135),
            (width - 0.024, 0, 0),
            (0, height - 0.024, 0),
            kit.picture(),
        )
    )
    kit.block((0.04, height * 0.5, 0.05), (0, 0, -0.03), frame)


def bag(kit: Kit) -> None:
    """A rucksack, handbag or suitcase."""
    width, height, depth = kit.between(0.28, 0.45), kit.between(0.32, 0.62), kit.between(0.14, 0.26)
    cloth, strap = kit.fabric(), kit.plain(saturation=(0, 0.4), value=(0.05, 0.4))
    kit.ball((width, height, depth), (0, 0, 0), cloth, kit.between(0.2, 0.5))
    kit.ball((width * 0.8, height * 0.45, 0.1), (0, 0.03, depth / 2), cloth, 0.4)
    for side in (-1, 1):
        kit.rod((side * 0.07, height * 0.96, 0), (side * 0.05, height + 0.08, 0), 0.01, strap)
    kit.rod((-0.05, height + 0.08, 0), (0.05, height + 0.08, 0), 0.012, strap)
