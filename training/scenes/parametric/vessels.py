"""Parametric bottles, cans, mugs, bowls, pots, vases and glasses."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.parametric.plants import leaf_ball
from training.scenes.parametric.shapes import Kit


def bottle(kit: Kit) -> None:
    radius, height = kit.between(0.03, 0.045), kit.between(0.18, 0.33)
    body = kit.plain((0.05, 0.5), (0, 0.8), (0.1, 0.6), 0.9) if kit.chance(0.6) else kit.plastic()
    neck, shoulder = radius * kit.between(0.25, 0.5), height * kit.between(0.5, 0.75)
    profile = [
        (0, 0),
        (radius, 0.0),
        (radius, shoulder),
        (neck, height * 0.85),
        (neck, height),
        (0, height),
    ]
    kit.turned(profile, (0, 0, 0), body)
    kit.turned(
        [(neck * 1.15, height * 0.93), (neck * 1.15, height), (0, height)],
        (0, 0.002, 0),
        kit.plastic(),
    )
    if kit.chance(0.7):
        kit.turned(
            [(radius + 0.001, shoulder * 0.25), (radius + 0.001, shoulder * 0.85)],
            (0, 0, 0),
            kit.picture(),
        )


def can(kit: Kit) -> None:
    radius, height = kit.between(0.03, 0.05), kit.between(0.07, 0.16)
    metal = kit.plain(saturation=(0, 0.05), value=(0.5, 0.8), gloss=0.9)
    kit.turned([(0, 0), (radius * 0.9, 0), (radius, 0.006), (radius, height - 0.006), (radius * 0.9, height), (0, height - 0.003)], (0, 0, 0), metal)  # fmt: skip
    kit.turned(
        [(radius + 0.0008, 0.008), (radius + 0.0008, height - 0.008)], (0, 0, 0), kit.picture()
    )


def mug(kit: Kit) -> None:
    radius, height, clay = kit.between(0.035, 0.048), kit.between(0.075, 0.12), kit.ceramic()
    top = radius * kit.between(0.95, 1.25)
    inside = kit.plain((0.03, 0.1), (0, 0.8), (0.1, 0.9), 0.5)
    kit.turned(
        [(0, 0), (radius, 0), (top, height), (top - 0.004, height), (radius - 0.006, 0.02)],
        (0, 0, 0),
        clay,
    )
    kit.turned([(0, height * 0.75), (radius * 0.95, height * 0.75)], (0, 0, 0), inside)
    centre = np.array([radius, height / 2, 0])
    arc = [
        centre + (0.03 * math.cos(a), 0.35 * height * math.sin(a), 0)
        for a in np.linspace(-1.5, 1.5, 6)
    ]
    for start, end in zip(arc, arc[1:]):
        kit.rod(start, end, 0.006, clay)


def bowl(kit: Kit) -> None:
    """A bowl, plate or dish; a bowl may hold fruit."""
    radius, height, clay = kit.between(0.07, 0.16), kit.between(0.02, 0.11), kit.ceramic()
    outside = [(radius * 0.45, 0), (radius * 0.85, height * 0.5), (radius, height)]
    inside = [(radius - 0.006, height), (radius * 0.8, height * 0.5), (0, 0.012)]
    kit.turned([(0, 0), *outside, *inside], (0, 0, 0), clay, 18)
    if height > 0.05 and kit.chance(0.5):
        for _ in range(kit.count(2, 6)):
            size = kit.between(0.05, 0.08)
            angle, r = kit.between(0, 6.28), kit.between(0, radius * 0.5)
            fruit = kit.plain((-0.03, 0.3), (0.5, 0.9), (0.4, 0.9), 0.3)
            kit.ball(
                (size, size, size), (r * math.cos(angle), height * 0.4, r * math.sin(angle)), fruit
            )


def pot(kit: Kit) -> None:
    """A saucepan, or a jug without the handle."""
    radius, height, metal = kit.between(0.07, 0.13), kit.between(0.07, 0.18), kit.metal()
    kit.turned(
        [(0, 0), (radius, 0), (radius, height), (radius - 0.004, height), (radius - 0.006, 0.01)],
        (0, 0, 0),
        metal,
    )
    if kit.chance(0.6):
        kit.turned(
            [(radius + 0.003, height), (radius * 0.5, height + 0.02), (0, height + 0.025)],
            (0, 0, 0),
            metal,
        )
        kit.ball((0.03, 0.03, 0.03), (0, height + 0.02, 0), kit.plastic())
    kit.rod(
        (radius, height * 0.8, 0),
        (radius + kit.between(0.05, 0.18), height * 0.85, 0),
        0.01,
        kit.plastic(),
    )


def vase(kit: Kit) -> None:
    height, clay = kit.between(0.12, 0.35), kit.ceramic()
    radii = [kit.between(0.25, 1.0) * height * 0.3 for _ in range(5)]
    profile = [(0, 0)] + [(r, height * k / 4) for k, r in enumerate(radii)]
    kit.turned(profile, (0, 0, 0), clay, 18)
    if kit.chance(0.5) and height < 0.2:
        leaf_ball(kit, (0, height + 0.04, 0), 0.08, 14)


def glass(kit: Kit) -> None:
    height, radius = kit.between(0.09, 0.2), kit.between(0.028, 0.042)
    pane = kit.plain((0.5, 0.6), (0, 0.15), (0.45, 0.8), 0.95)
    if kit.chance(0.5):
        stem = height * 0.45
        kit.turned([(0, 0), (radius, 0), (0.004, 0.006), (0.004, stem), (radius, height * 0.7), (radius * 0.8, height)], (0, 0, 0), pane)  # fmt: skip
    else:
        kit.turned(
            [(0, 0), (radius * 0.85, 0), (radius, height), (radius * 0.95, height)], (0, 0, 0), pane
        )
