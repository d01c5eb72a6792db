"""Parametric people: figures of capsules in plausible clothes, standing, walking or waiting."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit, linear

# sRGB of skin from light to dark, and of hair.
SKIN = (
    (0.95, 0.80, 0.70),
    (0.87, 0.68, 0.55),
    (0.76, 0.56, 0.42),
    (0.58, 0.40, 0.28),
    (0.36, 0.23, 0.16),
)
HAIR = (
    (0.05, 0.04, 0.03),
    (0.16, 0.10, 0.06),
    (0.35, 0.22, 0.12),
    (0.68, 0.52, 0.30),
    (0.55, 0.54, 0.53),
)


def adult(kit: Kit) -> None:
    _person(kit, kit.between(1.55, 1.92), 7.5)


def child(kit: Kit) -> None:
    _person(kit, kit.between(0.95, 1.45), 6.0)


def _clothes(kit: Kit) -> tuple[Material, Material]:
    """(top, trousers or skirt)."""
    top = (
        kit.fabric()
        if kit.chance(0.7)
        else kit.plain(saturation=(0.3, 0.9), value=(0.25, 0.9), gloss=0.0)
    )
    kind = kit.rng.random()
    if kind < 0.45:
        bottom = kit.plain((0.58, 0.64), (0.25, 0.6), (0.15, 0.5), 0.0)  # jeans
    elif kind < 0.8:
        bottom = kit.plain(saturation=(0, 0.25), value=(0.05, 0.3), gloss=0.0)
    else:
        bottom = kit.plain((0.05, 0.15), (0.1, 0.5), (0.3, 0.8), 0.0)
    return top, bottom


def _person(kit: Kit, height: float, heads: float) -> None:
    """A figure `height` metres tall whose head is 1/`heads` of that."""
    skin = Material(colour=linear(np.array(kit.pick(SKIN)) * kit.between(0.92, 1.05)), gloss=0.1)
    top, bottom = _clothes(kit)
    head, build = height / heads, kit.between(0.85, 1.3)
    hip, shoulder = height * 0.51, height - head * 1.28
    stride = kit.between(0.15, 0.45) if kit.chance(0.55) else 0.0
    half_hip, half_shoulder = height * 0.055 * build, height * 0.115 * (0.7 + 0.3 * build)
    shoe = kit.plain(saturation=(0, 0.3), value=(0.04, 0.9))
    skirt = kit.chance(0.14)
    for side in (-1, 1):
        _leg(
            kit, side, half_hip, hip, height, build, side * stride, skin if skirt else bottom, shoe
        )
        _arm(kit, side, half_shoulder, shoulder, height, build, -side * stride, top, skin)
    if skirt:
        hem = hip * kit.between(0.25, 0.6)
        kit.turned([(height * 0.14, hem), (height * 0.085 * build, hip * 1.08)], (0, 0, 0), bottom)
    waist = height * 0.078 * build
    torso = [(waist * 1.08, hip * 0.93), (waist, hip * 1.15), (half_shoulder * 0.82, shoulder * 0.95), (half_shoulder * 0.5, shoulder * 1.02), (0.04, shoulder * 1.03)]  # fmt: skip
    start = len(kit.parts)
    kit.turned(torso, (0, 0, 0), top)
    if kit.chance(0.3):  # coat or long shirt
        kit.turned(
            [(waist * 1.25, hip * kit.between(0.6, 0.85)), (waist * 1.05, hip * 1.15)],
            (0, 0, 0),
            top,
        )
    for rows in kit.parts[start:]:  # a chest is wider than deep
        rows[:, 2] *= 0.68
    _head(kit, shoulder, height, head, skin)
    if kit.chance(0.2):
        bag = kit.fabric()
        kit.ball((0.3 * build, 0.42, 0.18), (0, shoulder - 0.45, -height * 0.1), bag, 0.4)


def _leg(kit, side, half_hip, hip, height, build, swing, cloth, shoe) -> None:  # noqa: PLR0913
    thigh = height * 0.048 * build
    top = np.array([side * half_hip, hip, 0.0])
    knee = top + (0, -hip * 0.48, math.sin(swing) * hip * 0.48)
    foot = knee + (side * 0.01, 0.04 - knee[1], math.sin(swing) * hip * 0.3)
    kit.rod(top, knee, thigh, cloth, thigh * 0.75)
    kit.ball((thigh * 1.5,) * 3, tuple(knee - (0, thigh * 0.75, 0)), cloth)
    kit.rod(knee, foot, thigh * 0.75, cloth, thigh * 0.6)
    kit.ball(
        (height * 0.055, height * 0.05, height * 0.15),
        (foot[0], 0, foot[2] + height * 0.035),
        shoe,
        0.6,
    )


def _arm(kit, side, half_shoulder, shoulder, height, build, swing, cloth, skin) -> None:  # noqa: PLR0913
    thick = height * 0.027 * build
    start = np.array([side * half_shoulder, shoulder * 0.985, 0.0])
    bend = kit.between(0.0, 0.5) if kit.chance(0.7) else kit.between(0.8, 1.8)
    elbow = start + (side * height * 0.025, -height * 0.17, math.sin(swing) * height * 0.12)
    hand = elbow + height * 0.15 * np.array([0.0, -math.cos(bend), math.sin(bend)])
    sleeve = skin if kit.chance(0.4) else cloth
    kit.ball((thick * 2.6,) * 3, tuple(start - (0, thick * 1.3, 0)), cloth)
    kit.rod(start, elbow, thick * 1.2, cloth, thick)
    kit.ball((thick * 2,) * 3, tuple(elbow - (0, thick, 0)), cloth)
    kit.rod(elbow, hand, thick, sleeve, thick * 0.8)
    kit.ball((thick * 2.2, thick * 2.8, thick * 2.4), tuple(hand - (0, thick * 2, 0)), skin)


def _head(kit: Kit, shoulder: float, height: float, head: float, skin: Material) -> None:
    kit.rod((0, shoulder, 0), (0, height - head * 0.8, 0), head * 0.24, skin)
    kit.ball((head * 0.68, head, head * 0.8), (0, height - head, 0.02), skin, 0.95)
    kit.ball((head * 0.12, head * 0.16, head * 0.14), (0, height - head * 0.6, head * 0.42), skin)
    hair = Material(colour=linear(kit.pick(HAIR)), gloss=0.2)
    if kit.chance(0.2):  # a cap or hat
        cloth = kit.fabric()
        kit.ball((head * 0.8, head * 0.45, head * 0.95), (0, height - head * 0.35, 0.0), cloth, 0.9)
        kit.ball(
            (head * 0.6, head * 0.06, head * 0.5), (0, height - head * 0.3, head * 0.45), cloth
        )
        return
    kit.ball(
        (head * 0.76, head * 0.62, head * 0.84), (0, height - head * 0.56, -head * 0.07), hair, 0.95
    )
    if kit.chance(0.4):  # long hair
        kit.ball(
            (head * 0.72, head * 1.1, head * 0.4),
            (0, height - head * 1.25, -head * 0.22),
            hair,
            0.8,
        )
