"""Parametric lorries and buses, and bicycles; they face +z."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit
from training.scenes.parametric.vehicles import car_paint, wheel_pair


def truck(kit: Kit) -> None:
    """A lorry: cab, chassis and a box, tipper or flat load."""
    length, width, height = kit.between(6.0, 12.0), kit.between(2.2, 2.5), kit.between(2.6, 3.9)
    paint = Material(colour=car_paint(kit.rng), gloss=0.5)
    dark, glass = kit.plain(saturation=(0, 0.1), value=(0.04, 0.15)), kit.glass()
    cab, front = kit.between(1.6, 2.1), length / 2
    cab_height = min(height, kit.between(2.4, 3.0))
    kit.ball((width, cab_height - 0.5, cab), (0, 0.5, front - cab / 2), paint, 0.14)
    kit.block((width * 0.9, 0.75, 0.04), (0, cab_height * 0.56, front - 0.02), glass)
    for side in (-1, 1):
        kit.block(
            (0.03, 0.6, cab * 0.45),
            (side * width * 0.496, cab_height * 0.58, front - cab * 0.4),
            glass,
        )
        kit.block(
            (0.4, 0.18, 0.05),
            (side * width * 0.33, 0.75, front),
            Material(colour=(0.8, 0.8, 0.8), gloss=0.9),
        )
        kit.block(
            (0.1, 0.4, 0.2), (side * (width / 2 + 0.15), cab_height * 0.62, front - 0.2), dark
        )
        kit.block(
            (0.2, 0.2, 0.05),
            (side * width * 0.4, 0.8, -front),
            kit.plain((0, 0), (0.9, 0.9), (0.6, 0.6)),
        )
    kit.block((width * 0.5, 0.3, length - 0.2), (0, 0.6, 0), dark)
    load = length - cab - 0.15
    _load(kit, width, height, load, -front + load / 2, paint)
    kit.block((width * 0.95, 0.35, 0.1), (0, 0.42, front - 0.03), dark)
    positions = [front - cab * 0.6, -front + 1.3]
    if length > 8.0:
        positions.append(-front + 2.5)
    for z in positions:
        wheel_pair(kit, width, 0.5, z, 0.35)


def _load(kit: Kit, width: float, height: float, load: float, z: float, paint: Material) -> None:
    kind = kit.rng.random()
    if kind < 0.65:
        box = (
            kit.plain(saturation=(0, 0.1), value=(0.6, 0.95), gloss=0.3)
            if kit.chance(0.6)
            else paint
        )
        kit.block((width, height - 0.95, load), (0, 0.95, z), box)
        if kit.chance(0.5):
            for side in (-1, 1):
                corner = (side * (width / 2 + 0.006), 1.3, z - side * -load * 0.35)
                kit.add(
                    mesh.quad(
                        corner, (0, 0, -side * load * 0.7), (0, height - 1.7, 0), kit.picture()
                    )
                )
    elif kind < 0.8:
        kit.rod((0, 1.9, z - load / 2), (0, 1.9, z + load / 2), 0.95, kit.metal())
    else:
        wall = kit.plain(saturation=(0, 0.7), value=(0.3, 0.7))
        kit.block((width, 0.15, load), (0, 0.9, z), wall)
        for side in (-1, 1):
            kit.block((0.06, 0.6, load), (side * (width / 2 - 0.03), 1.0, z), wall)
        kit.ball(
            (width * 0.9, kit.between(0.6, 1.2), load * 0.9),
            (0, 1.0, z),
            kit.textured("ground", 1.5),
            0.5,
        )


def bus(kit: Kit) -> None:
    length, width, height = kit.between(9.0, 12.5), 2.5, kit.between(2.9, 3.3)
    paint = (
        kit.plain(saturation=(0.1, 0.85), value=(0.35, 0.9), gloss=0.5)
        if kit.chance(0.7)
        else Material(colour=car_paint(kit.rng), gloss=0.5)
    )
    glass, front = kit.glass(), length / 2
    kit.block((width, 0.95, length), (0, 0.3, 0), paint)
    kit.block((width - 0.04, 1.05, length - 0.06), (0, 1.25, 0), glass)
    kit.ball(
        (width, height - 2.2, length),
        (0, 2.25, 0),
        paint if kit.chance(0.7) else kit.lacquer(),
        0.1,
    )
    panes = int(length / kit.between(1.2, 1.7))
    for k in range(panes + 1):
        z = -front + 0.1 + k * (length - 0.2) / panes
        for side in (-1, 1):
            kit.block((0.03, 1.05, 0.1), (side * (width / 2 - 0.02), 1.25, z), paint)
    kit.block((width * 0.92, 1.7, 0.03), (0, 0.85, front), glass)
    kit.block(
        (width * 0.7, 0.26, 0.05), (0, height - 0.45, front), Material(colour=(0.02, 0.02, 0.02))
    )
    kit.block((0.9, 2.0, 0.03), (width / 2 + 0.002, 0.35, front - 1.0), glass, math.pi / 2)
    for side in (-1, 1):
        kit.block(
            (0.3, 0.18, 0.05),
            (side * 0.9, 0.55, front),
            Material(colour=(0.8, 0.8, 0.8), gloss=0.9),
        )
        kit.block(
            (0.15, 0.4, 0.04), (side * 1.1, 0.7, -front), kit.plain((0, 0), (0.9, 0.9), (0.6, 0.6))
        )
    for z in (front - 2.6, -front + 3.0):
        wheel_pair(kit, width, 0.48, z, 0.3)


def bicycle(kit: Kit) -> None:
    radius, paint = (
        kit.between(0.31, 0.35),
        kit.plain(saturation=(0, 0.9), value=(0.05, 0.8), gloss=0.5),
    )
    dark = Material(colour=(0.02, 0.02, 0.02), gloss=0.2)
    rear, front = np.array([0, radius, -0.5]), np.array([0, radius, 0.52])
    crank, saddle, head = (
        np.array([0, 0.3, -0.1]),
        np.array([0, 0.85, -0.25]),
        np.array([0, 0.85, 0.36]),
    )
    frame = (
        (rear, crank),
        (crank, saddle),
        (saddle, head),
        (crank, head),
        (rear, saddle),
        (head, front),
    )
    for start, end in frame:
        kit.rod(start, end, 0.017, paint)
    for hub in (rear, front):
        for k in range(16):
            a, b = 2 * math.pi * k / 16, 2 * math.pi * (k + 1) / 16
            start, end = (hub + radius * np.array([0, math.sin(t), math.cos(t)]) for t in (a, b))
            kit.rod(start, end, 0.018, dark)
            if k % 2 == 0:
                kit.rod(hub, start, 0.003, kit.metal())
    kit.ball((0.14, 0.06, 0.26), tuple(saddle + (0, 0.06, 0)), dark, 0.6)
    kit.rod(saddle, saddle + (0, 0.08, 0), 0.014, dark)
    kit.rod(head, head + (0, 0.18, -0.03), 0.014, dark)
    kit.rod(head + (-0.28, 0.18, -0.03), head + (0.28, 0.18, -0.03), 0.014, dark)
    if kit.chance(0.4):
        kit.block((0.3, 0.22, 0.26), (0, 0.8, 0.55), kit.metal())
