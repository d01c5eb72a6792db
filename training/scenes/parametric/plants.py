"""Parametric potted plants, and the leaf cards that they and bushes are made of."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit


def leaf_ball(kit: Kit, centre, radius: float, cards: int, leaf: int | None = None) -> None:
    """A cloud of leaf cards about `centre`; `leaf` is a texture layer, by default any."""
    rng = kit.rng
    leaf = kit.pick(kit.surfaces["leaf"]) if leaf is None else leaf
    for _ in range(cards):
        offset = rng.normal(0, radius * 0.45, 3)
        u = rng.normal(0, 1, 3)
        u /= np.linalg.norm(u)
        v = np.cross(u, rng.normal(0, 1, 3))
        v /= np.linalg.norm(v)
        size = radius * rng.uniform(0.5, 1.0)
        tone = tuple(np.full(3, rng.uniform(0.6, 1.2)))
        material = Material(leaf, 0.0, tone)
        corner = np.asarray(centre) + offset - (u + v) * size / 2
        kit.add(mesh.quad(corner, u * size, v * size, material))


def potted_plant(kit: Kit) -> None:
    _plant(kit, kit.between(0.12, 0.22), kit.between(0.5, 1.7))


def small_plant(kit: Kit) -> None:
    _plant(kit, kit.between(0.04, 0.07), kit.between(0.16, 0.33))


def _plant(kit: Kit, radius: float, height: float) -> None:
    clay = kit.plain((0.02, 0.1), (0.2, 0.7), (0.3, 0.8)) if kit.chance(0.4) else kit.ceramic()
    rim, top = radius * kit.between(1.0, 1.25), radius * kit.between(1.2, 2.0)
    kit.turned([(0, 0), (radius * 0.85, 0), (rim, top), (rim * 0.92, top)], (0, 0, 0), clay, 16)
    soil = kit.plain((0.05, 0.1), (0.2, 0.5), (0.1, 0.25), 0.0)
    kit.turned([(0, top * 0.93), (rim * 0.94, top * 0.93)], (0, 0, 0), soil, 16)
    if kit.chance(0.35):  # long leaves that bend outwards
        _blades(kit, top, height)
        return
    stem = kit.textured("bark", 0.4)
    for _ in range(kit.count(1, 4)):
        x, z = (kit.between(-0.35, 0.35) * height * 0.6 for _ in range(2))
        tip = (x, kit.between(0.6, 0.85) * height, z)
        kit.rod((0, top * 0.9, 0), tip, radius * 0.08, stem, radius * 0.03)
        leaf_ball(kit, tip, height * kit.between(0.18, 0.3), kit.count(10, 26))


def _blades(kit: Kit, base: float, height: float) -> None:
    green = kit.plain((0.22, 0.36), (0.3, 0.7), (0.25, 0.6), 0.2)
    for _ in range(kit.count(10, 26)):
        angle, reach = kit.between(0, 2 * math.pi), (height - base) * kit.between(0.6, 1.0)
        out, width = kit.between(0.15, 0.7), height * kit.between(0.02, 0.05)
        direction = np.array([math.cos(angle), 0, math.sin(angle)])
        side = np.cross(direction, (0, 1, 0)) * width
        points = [
            direction * reach * out * t + np.array([0, base + reach * (t - 0.6 * out * t * t), 0])
            for t in np.linspace(0, 1, 5)
        ]
        for k in range(4):
            kit.add(mesh.quad(points[k] - side / 2, side, points[k + 1] - points[k], green))
