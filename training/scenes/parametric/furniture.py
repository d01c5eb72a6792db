"""Parametric furniture: tables, seats, beds and what else stands along walls, with the sizes that such things have."""

from __future__ import annotations

import math

from training.scenes.parametric.shapes import Kit
from training.scenes.parametric.storage import drawers


def dining_table(kit: Kit) -> None:
    width, depth, height = kit.between(0.8, 2.0), kit.between(0.7, 1.0), kit.between(0.71, 0.78)
    top, frame = kit.board(), kit.board()
    thick = kit.between(0.02, 0.05)
    if kit.chance(0.25):  # round, on a column
        radius = kit.between(0.4, 0.65)
        kit.turned([(0, 0), (0.3, 0), (0.05, 0.05), (0.05, height - thick)], (0, 0, 0), frame)
        edge = [(0, height - thick), (radius, height - thick), (radius, height), (0, height)]
        kit.turned(edge, (0, 0, 0), top, 24)
    else:
        kit.legs(width, depth, height - thick, frame, kit.between(0.04, 0.09))
        kit.block((width, thick, depth), (0, height - thick, 0), top)
        if kit.chance(0.6):
            kit.block((width - 0.12, 0.08, depth - 0.12), (0, height - thick - 0.08, 0), frame)
    kit.drop = height


def coffee_table(kit: Kit) -> None:
    width, depth, height = kit.between(0.5, 1.3), kit.between(0.4, 0.75), kit.between(0.32, 0.5)
    top, frame = kit.board(), kit.metal() if kit.chance(0.4) else kit.board()
    kit.legs(width, depth, height, frame, kit.between(0.03, 0.06))
    kit.block((width, 0.03, depth), (0, height - 0.03, 0), kit.glass() if kit.chance(0.15) else top)
    if kit.chance(0.5):
        kit.block((width - 0.06, 0.02, depth - 0.06), (0, height * 0.35, 0), top)
    kit.drop = height


def desk(kit: Kit) -> None:
    width, depth, height = kit.between(0.9, 1.8), kit.between(0.5, 0.8), kit.between(0.7, 0.76)
    board, frame = kit.board(), kit.metal() if kit.chance(0.5) else kit.board()
    kit.block((width, 0.03, depth), (0, height - 0.03, 0), board)
    if kit.chance(0.5):
        kit.legs(width, depth, height - 0.03, frame, kit.between(0.03, 0.06))
    else:
        for side in (-1, 1):
            kit.block((0.03, height - 0.03, depth - 0.04), (side * (width / 2 - 0.02), 0, 0), board)
        kit.block((width - 0.06, 0.4, 0.02), (0, height - 0.45, -depth / 2 + 0.05), board)
    if kit.chance(0.6):
        side = kit.pick((-1, 1)) * (width / 2 - 0.24)
        drawers(kit, 0.4, height - 0.08, depth - 0.06, side, board, kit.count(2, 4))
    kit.drop = height


def chair(kit: Kit) -> None:
    width, depth = kit.between(0.38, 0.5), kit.between(0.38, 0.48)
    seat, back = kit.between(0.42, 0.48), kit.between(0.35, 0.6)
    frame, pad = kit.board(), kit.fabric() if kit.chance(0.6) else kit.plastic()
    kit.legs(width, depth, seat, frame, kit.between(0.025, 0.045))
    kit.ball((width, 0.07, depth), (0, seat - 0.02, 0), pad, 0.2)
    for side in (-1, 1):
        foot = (side * (width / 2 - 0.03), seat, -depth / 2 + 0.03)
        kit.rod(foot, (foot[0], seat + back, foot[2] - 0.08), 0.016, frame)
    if kit.chance(0.5):
        kit.ball((width, back * 0.7, 0.05), (0, seat + back * 0.3, -depth / 2 - 0.05), pad, 0.25)
    else:
        for k in range(kit.count(2, 5)):
            level = seat + back * (0.35 + 0.14 * k)
            kit.block((width - 0.04, 0.05, 0.015), (0, level, -depth / 2 - 0.03), frame)
    if kit.chance(0.25):
        for side in (-1, 1):
            kit.block((0.04, 0.03, depth * 0.8), (side * width / 2, seat + 0.2, 0), frame)
            kit.rod(
                (side * width / 2, seat, depth * 0.3), (side * width / 2, seat + 0.2, depth * 0.3),
                0.015, frame,
            )  # fmt: skip


def office_chair(kit: Kit) -> None:
    seat, metal, pad = kit.between(0.42, 0.52), kit.metal(), kit.fabric()
    if kit.chance(0.5):
        pad = kit.plain(saturation=(0, 0.2), value=(0.05, 0.25), gloss=0.05)
    for k in range(5):
        angle = 2 * math.pi * k / 5
        end = (0.3 * math.cos(angle), 0.06, 0.3 * math.sin(angle))
        kit.rod((0, 0.1, 0), end, 0.02, metal)
        kit.ball((0.06, 0.06, 0.06), (end[0], 0, end[2]), metal)
    kit.rod((0, 0.08, 0), (0, seat, 0), 0.03, metal)
    kit.ball((0.5, 0.1, 0.48), (0, seat - 0.03, 0), pad, 0.35)
    high = kit.between(0.4, 0.7)
    kit.ball((0.46, high, 0.1), (0, seat + 0.12, -0.26), pad, 0.35)
    kit.block((0.06, 0.3, 0.03), (0, seat, -0.28), metal)
    if kit.chance(0.6):
        for side in (-1, 1):
            kit.block((0.06, 0.03, 0.26), (side * 0.27, seat + 0.2, 0), metal)
            kit.block((0.03, 0.2, 0.05), (side * 0.27, seat, -0.05), metal)


def stool(kit: Kit) -> None:
    height, radius = kit.between(0.42, 0.8), kit.between(0.15, 0.2)
    frame, pad = kit.board(), kit.fabric() if kit.chance(0.4) else kit.board()
    kit.legs(2 * radius, 2 * radius, height - 0.03, frame, 0.035)
    kit.turned(
        [(0, height - 0.04), (radius, height - 0.04), (radius, height), (0, height)], (0, 0, 0), pad
    )


def sofa(kit: Kit) -> None:
    seats = kit.count(2, 3)
    _upholstered(kit, seats * kit.between(0.62, 0.8), seats)


def armchair(kit: Kit) -> None:
    _upholstered(kit, kit.between(0.55, 0.7), 1)


def _upholstered(kit: Kit, inner: float, seats: int) -> None:
    cloth = kit.leather() if kit.chance(0.35) else kit.fabric()
    cushion = cloth if kit.chance(0.6) else kit.fabric()
    depth, seat, back = kit.between(0.8, 0.98), kit.between(0.38, 0.46), kit.between(0.72, 0.95)
    arm, arm_height = kit.between(0.1, 0.24), kit.between(0.52, 0.68)
    soft = kit.between(0.12, 0.35)
    width = inner + 2 * arm
    kit.block((width - 0.08, 0.08, depth - 0.1), (0, 0, 0), kit.board())
    kit.block((width, seat - 0.2, depth), (0, 0.07, 0), cloth)
    kit.ball((width, back - 0.1, 0.24), (0, 0.1, -depth / 2 + 0.12), cloth, soft)
    for side in (-1, 1):
        kit.ball((arm, arm_height - 0.08, depth), (side * (width - arm) / 2, 0.08, 0), cloth, soft)
    step = inner / seats
    for k in range(seats):
        x = (k - (seats - 1) / 2) * step
        kit.ball((step, 0.18, depth - 0.24), (x, seat - 0.15, 0.1), cushion, 0.3)
        kit.ball((step, back - seat + 0.05, 0.18), (x, seat, -depth / 2 + 0.28), cushion, 0.4)
    for _ in range(kit.count(0, 2)):
        x = kit.between(-0.4, 0.4) * inner
        kit.ball((0.4, 0.36, 0.14), (x, seat + 0.02, -depth / 2 + 0.42), kit.fabric(), 0.45)


def bed(kit: Kit) -> None:
    width, length = kit.pick((0.9, 1.2, 1.4, 1.6, 1.8)), kit.between(1.95, 2.15)
    frame, sheet, cover = kit.board(), kit.fabric(), kit.fabric()
    base = kit.between(0.2, 0.35)
    kit.block((width + 0.06, base, length + 0.06), (0, 0.06, 0), frame)
    for sx in (-1, 1):
        for sz in (-1, 1):
            kit.block((0.06, 0.1, 0.06), (sx * width / 2, 0, sz * length / 2), frame)
    kit.ball((width, 0.22, length), (0, base, 0), sheet, 0.15)
    kit.ball((width + 0.08, 0.2, length * 0.68), (0, base + 0.06, length * 0.17), cover, 0.2)
    kit.block((width + 0.08, kit.between(0.7, 1.2), 0.06), (0, 0, -length / 2 - 0.04), frame)
    pillows = 2 if width > 1.1 else 1
    for k in range(pillows):
        x = (k - (pillows - 1) / 2) * width / 2
        kit.ball((0.62, 0.15, 0.4), (x, base + 0.18, -length / 2 + 0.28), kit.fabric(), 0.5)


def piano(kit: Kit) -> None:
    body = kit.plain(saturation=(0, 0.3), value=(0.03, 0.25), gloss=0.7)
    kit.block((1.48, 1.2, 0.3), (0, 0, -0.15), body)
    kit.block((1.48, 0.12, 0.3), (0, 0.6, 0.15), body)
    kit.block((1.3, 0.02, 0.15), (0, 0.72, 0.2), kit.ceramic())
    for side in (-1, 1):
        kit.block((0.08, 0.62, 0.1), (side * 0.68, 0, 0.24), body)


def radiator(kit: Kit) -> None:
    width, height = kit.between(0.5, 1.4), kit.between(0.45, 0.7)
    white = kit.plain(saturation=(0, 0.05), value=(0.8, 0.95), gloss=0.4)
    kit.block((width, height, 0.06), (0, 0.08, 0), white)
    for k in range(int(width / 0.07)):
        kit.block((0.03, height - 0.04, 0.03), (-width / 2 + 0.05 + 0.07 * k, 0.1, 0.04), white)
    for side in (-1, 1):
        kit.block((0.03, 0.1, 0.05), (side * width * 0.4, 0, 0), white)
