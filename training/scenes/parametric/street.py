"""Parametric things that stand along streets and in parks."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.parametric.plants import leaf_ball
from training.scenes.parametric.shapes import Kit, extrude, linear


def bench(kit: Kit) -> None:
    width, slats, frame = kit.between(1.3, 2.0), kit.wood(), kit.metal()
    for k in range(3):
        kit.block((width, 0.035, 0.12), (0, 0.43, -0.14 + 0.14 * k), slats)
    if kit.chance(0.75):
        for k in range(2):
            kit.block((width, 0.12, 0.03), (0, 0.55 + 0.17 * k, -0.25 - 0.03 * k), slats)
    for side in (-1, 1):
        x = side * width * 0.42
        kit.block((0.05, 0.43, 0.4), (x, 0, 0), frame)
        kit.block((0.05, 0.85, 0.04), (x, 0, -0.25), frame)


def bin_(kit: Kit) -> None:
    height, radius, skin = kit.between(0.7, 1.1), kit.between(0.2, 0.3), kit.plastic()
    if kit.chance(0.5):
        kit.turned(
            [
                (0, 0),
                (radius, 0),
                (radius * 1.05, height),
                (radius * 0.8, height + 0.08),
                (0, height + 0.1),
            ],
            (0, 0, 0),
            skin,
        )
        return
    kit.block((2 * radius, height, 2 * radius + 0.1), (0, 0.06, 0), skin)
    kit.block((2 * radius + 0.05, 0.06, 2 * radius + 0.18), (0, height + 0.06, 0), kit.plastic())
    for side in (-1, 1):
        kit.rod(
            (side * radius, 0.09, -radius),
            (side * radius * 0.8, 0.09, -radius),
            0.09,
            kit.plain(value=(0, 0.1)),
        )


def lamp_post(kit: Kit) -> None:
    height, metal = kit.between(3.2, 8.0), kit.metal()
    glow = kit.plain((0.1, 0.15), (0, 0.1), (0.8, 0.95), 0.6)
    kit.rod((0, 0, 0), (0, height, 0), 0.08, metal, 0.045)
    kit.turned([(0, 0), (0.13, 0), (0.11, 0.5), (0.07, 0.55)], (0, 0, 0), metal)
    if height > 4.8:
        reach = kit.between(0.6, 1.8)
        kit.rod((0, height - 0.05, 0), (0, height + 0.15, reach), 0.04, metal)
        kit.block((0.22, 0.1, 0.6), (0, height + 0.08, reach + 0.2), metal)
        kit.block((0.18, 0.02, 0.5), (0, height + 0.06, reach + 0.2), glow)
    else:
        kit.turned(
            [(0.06, 0), (0.17, 0.1), (0.2, 0.4), (0.05, 0.5), (0, 0.55)], (0, height, 0), glow
        )


def traffic_sign(kit: Kit) -> None:
    height, metal = kit.between(2.1, 2.9), kit.metal()
    kit.rod((0, 0, 0), (0, height, 0), 0.03, metal)
    red, blue, white = (
        Material(colour=linear(c), gloss=0.3)
        for c in ((0.7, 0.05, 0.07), (0.08, 0.2, 0.55), (0.93, 0.93, 0.9))
    )
    kind = kit.count(0, 3)
    y = height - 0.35
    if kind == 3:
        width, tall = kit.between(0.4, 1.2), kit.between(0.3, 0.7)
        kit.block((width, tall, 0.02), (0, height - tall, 0.04), blue)
        kit.add(
            mesh.quad(
                (-width * 0.46, height - tall * 0.95, 0.052),
                (width * 0.92, 0, 0),
                (0, tall * 0.9, 0),
                kit.picture(),
            )
        )
        return
    sides = (3, 24, 4)[kind]
    turn = (math.pi / 2, 0.0, math.pi / 4)[kind]
    for radius, depth, material in ((0.36, 0.04, red if kind != 2 else blue), (0.28, 0.052, white)):
        angle = turn + 2 * math.pi * np.arange(sides) / sides
        ring = np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        kit.add(_plate(ring, material), (0, y, depth))


def _plate(ring: np.ndarray, material: Material) -> np.ndarray:
    return extrude(ring, 0.02, material)


def traffic_light(kit: Kit) -> None:
    height, metal = kit.between(2.6, 3.4), kit.metal()
    dark = kit.plain(saturation=(0, 0.1), value=(0.03, 0.15))
    kit.rod((0, 0, 0), (0, height, 0), 0.06, metal)
    kit.block((0.3, 0.9, 0.22), (0, height - 0.9, 0.1), dark)
    lit = kit.count(0, 2)
    for k, colour in enumerate(((0.05, 0.8, 0.3), (0.95, 0.65, 0.05), (0.9, 0.05, 0.05))):
        gloss = -2.5 if k == lit else 0.4
        lamp = Material(colour=linear(np.array(colour) * (1.0 if k == lit else 0.3)), gloss=gloss)
        kit.ball((0.18, 0.18, 0.06), (0, height - 0.85 + 0.28 * k, 0.21), lamp)


def cone(kit: Kit) -> None:
    height = kit.between(0.45, 0.8)
    orange = Material(colour=linear((0.9, 0.3, 0.06)), gloss=0.2)
    white = Material(colour=linear((0.9, 0.9, 0.9)), gloss=0.3)
    radius = height * 0.2
    kit.block((height * 0.55, 0.03, height * 0.55), (0, 0, 0), orange)
    levels = np.array([0.03, 0.45, 0.7, 1.0])
    for low, high, material in zip(levels, levels[1:], (orange, white, orange)):
        ring = [(radius * (1 - 0.8 * t), height * t) for t in (low, high)]
        kit.turned(ring, (0, 0, 0), material)


def bollard(kit: Kit) -> None:
    height, radius = kit.between(0.5, 1.0), kit.between(0.05, 0.14)
    skin = kit.metal() if kit.chance(0.6) else kit.textured("concrete", 0.8)
    kit.turned(
        [(0, 0), (radius, 0), (radius, height * 0.9), (radius * 0.7, height), (0, height)],
        (0, 0, 0),
        skin,
    )


def hydrant(kit: Kit) -> None:
    red = kit.plain((-0.02, 0.14), (0.7, 0.9), (0.4, 0.8), 0.4)
    kit.turned(
        [
            (0, 0),
            (0.16, 0),
            (0.16, 0.05),
            (0.11, 0.06),
            (0.11, 0.5),
            (0.14, 0.52),
            (0.11, 0.62),
            (0, 0.72),
        ],
        (0, 0, 0),
        red,
    )
    kit.rod((-0.18, 0.4, 0), (0.18, 0.4, 0), 0.05, red)


def post_box(kit: Kit) -> None:
    paint = kit.plain(
        kit.pick(((0.13, 0.15), (0.98, 1.0), (0.58, 0.62))), (0.6, 0.9), (0.4, 0.85), 0.4
    )
    height = kit.between(1.0, 1.5)
    kit.block((0.08, height - 0.6, 0.08), (0, 0, 0), kit.metal())
    kit.ball((0.5, 0.7, 0.4), (0, height - 0.65, 0), paint, 0.15)
    kit.block((0.3, 0.03, 0.02), (0, height - 0.2, 0.2), kit.plain(value=(0, 0.1)))


def shelter(kit: Kit) -> None:
    """A bus stop."""
    width, metal, pane = kit.between(2.4, 4.0), kit.metal(), kit.glass()
    kit.block((width, 0.08, 1.5), (0, 2.35, 0), metal)
    for side in (-1, 1):
        kit.block((0.08, 2.35, 0.08), (side * width / 2, 0, -0.68), metal)
        kit.block((0.08, 2.35, 0.08), (side * width / 2, 0, 0.6), metal)
    kit.block((width, 1.7, 0.02), (0, 0.4, -0.7), pane)
    kit.block((0.04, 1.6, 1.0), (width / 2, 0.4, 0), kit.picture())
    kit.block((width * 0.6, 0.05, 0.35), (-width * 0.1, 0.45, -0.45), kit.wood())


def planter(kit: Kit) -> None:
    width, depth, height = kit.between(0.6, 1.8), kit.between(0.4, 0.8), kit.between(0.35, 0.7)
    kit.block(
        (width, height, depth),
        (0, 0, 0),
        kit.textured("concrete" if kit.chance(0.6) else "wood", 1.0),
    )
    for k in range(int(width / 0.3)):
        x = -width / 2 + 0.2 + 0.3 * k
        leaf_ball(kit, (x, height + 0.12, 0), kit.between(0.2, 0.35), 10)


def barrier(kit: Kit) -> None:
    """A striped works barrier or a concrete block."""
    if kit.chance(0.4):
        kit.block((kit.between(1.0, 2.0), 0.3, 0.5), (0, 0, 0), kit.textured("concrete", 1.0))
        kit.block((1.0, 0.8, 0.22), (0, 0, 0), kit.textured("concrete", 1.0))
        return
    width = kit.between(1.2, 2.2)
    for k in range(8):
        colour = linear((0.85, 0.1, 0.08) if k % 2 else (0.93, 0.93, 0.93))
        kit.block(
            (width / 8, 0.2, 0.03),
            (-width / 2 + (k + 0.5) * width / 8, 0.8, 0),
            Material(colour=colour, gloss=0.2),
        )
    for side in (-1, 1):
        kit.block((0.05, 1.0, 0.05), (side * width * 0.4, 0, 0), kit.metal())
        kit.block((0.08, 0.08, 0.6), (side * width * 0.4, 0, 0), kit.plain(value=(0.02, 0.2)))


def bush(kit: Kit) -> None:
    size, height = kit.between(0.5, 1.6), kit.between(0.4, 1.5)
    leaf = kit.pick(kit.surfaces["leaf"])
    for _ in range(kit.count(3, 7)):
        x, z = (kit.between(-0.3, 0.3) * size for _ in range(2))
        leaf_ball(
            kit,
            (x, kit.between(0.25, 0.75) * height, z),
            0.7 * min(size, height),
            kit.count(22, 40),
            leaf,
        )


def hedge(kit: Kit) -> None:
    length, height, depth = kit.between(1.5, 4.0), kit.between(0.7, 1.9), kit.between(0.5, 0.9)
    core = kit.textured("grass", 1.0, 0.0)
    kit.ball((length, height, depth), (0, 0, 0), Material(core.layer, 1.0, (0.5, 0.55, 0.5)), 0.15)
    leaf = kit.pick(kit.surfaces["leaf"])
    rng = kit.rng
    for _ in range(int(40 * length)):
        side = rng.choice([-1, 1])
        x, y = rng.uniform(-0.5, 0.5) * length, rng.uniform(0.1, 1.0) * height
        z = side * depth / 2 if rng.random() < 0.75 else rng.uniform(-0.5, 0.5) * depth
        y = y if abs(z) > 0.49 * depth else height
        u = rng.normal(0, 1, 3)
        u /= np.linalg.norm(u)
        v = np.cross(u, rng.normal(0, 1, 3))
        v /= np.linalg.norm(v)
        s, tone = rng.uniform(0.2, 0.4), rng.uniform(0.6, 1.1)
        kit.add(
            mesh.quad(
                np.array([x, y, z]) - (u + v) * s / 2,
                u * s,
                v * s,
                Material(leaf, 0.0, (tone,) * 3),
            )
        )


def rock(kit: Kit) -> None:
    size = kit.between(0.25, 1.4)
    stone = kit.textured("concrete" if kit.chance(0.5) else "ground", size)
    kit.ball(
        (size, size * kit.between(0.5, 0.9), size * kit.between(0.6, 1.2)),
        (0, 0, 0),
        stone,
        kit.between(0.7, 1.3),
    )
    rows = kit.parts[-1]
    bumps = np.sin(rows[:, :3] * (7.0 / size) + kit.rng.uniform(0, 6.28, 3).astype(np.float32)).sum(
        1
    )
    rows[:, :3] *= 1 + 0.06 * bumps[:, None]


def playground(kit: Kit) -> None:
    """A swing, or a slide with its ladder."""
    paint, seat = kit.plastic(), kit.plastic()
    if kit.chance(0.5):
        for side in (-1, 1):
            for z in (-0.8, 0.8):
                kit.rod((side * 1.4, 0, z), (side * 1.3, 2.2, 0), 0.045, paint)
        kit.rod((-1.35, 2.2, 0), (1.35, 2.2, 0), 0.05, paint)
        for x in (-0.6, 0.6):
            kit.block((0.45, 0.03, 0.2), (x, 0.5, 0), seat)
            for dx in (-0.2, 0.2):
                kit.rod((x + dx, 0.5, 0), (x + dx, 2.2, 0), 0.01, kit.metal())
        return
    kit.add(mesh.quad((-0.25, 0.25, 1.4), (0.5, 0, 0), (0, 1.35, -2.0), seat))
    kit.block((0.6, 0.05, 0.6), (0, 1.6, -0.9), paint)
    for side in (-1, 1):
        kit.rod((side * 0.28, 0.3, 1.4), (side * 0.28, 1.75, -0.6), 0.05, paint)
        for z in (-0.65, -1.15):
            kit.block((0.07, 2.3, 0.07), (side * 0.28, 0, z), kit.wood())
    for k in range(5):
        kit.block((0.5, 0.04, 0.06), (0, 0.3 * (k + 1), -1.2), paint)
