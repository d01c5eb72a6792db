"""Parametric storage: drawers, wardrobes, cabinets, book shelves, racks."""

from __future__ import annotations

from training.scenes.mesh import Material
from training.scenes.parametric.shapes import Kit


def drawers(
    kit: Kit, width: float, height: float, depth: float, x: float, board: Material, rows: int
) -> None:
    """A block with drawer fronts and handles facing +z."""
    front, handle = kit.board() if kit.chance(0.4) else board, kit.metal()
    kit.block((width, height, depth), (x, 0, 0), board)
    step = height / rows
    for row in range(rows):
        kit.block((width - 0.02, step - 0.015, 0.016), (x, row * step + 0.008, depth / 2), front)
        kit.block((0.12, 0.012, 0.025), (x, (row + 0.62) * step, depth / 2 + 0.018), handle)


def nightstand(kit: Kit) -> None:
    height = kit.between(0.4, 0.65)
    drawers(
        kit,
        kit.between(0.35, 0.55),
        height,
        kit.between(0.3, 0.45),
        0,
        kit.board(),
        kit.count(1, 3),
    )
    kit.drop = height


def dresser(kit: Kit) -> None:
    height, width = kit.between(0.7, 1.2), kit.between(0.7, 1.5)
    board, columns = kit.board(), 1 if width < 0.95 else 2
    depth, rows = kit.between(0.38, 0.52), kit.count(3, 5)
    for column in range(columns):
        x = (column - (columns - 1) / 2) * width / columns
        drawers(kit, width / columns, height, depth, x, board, rows)
    kit.drop = height


def wardrobe(kit: Kit) -> None:
    width, height, depth = kit.between(0.8, 2.0), kit.between(1.8, 2.25), kit.between(0.5, 0.65)
    body, front, handle = kit.board(), kit.board(), kit.metal()
    kit.block((width, height, depth), (0, 0, 0), body)
    doors = max(1, round(width / kit.between(0.45, 0.6)))
    step = width / doors
    for k in range(doors):
        x = (k - (doors - 1) / 2) * step
        panel = kit.glass() if kit.chance(0.08) else front
        kit.block((step - 0.01, height - 0.08, 0.018), (x, 0.05, depth / 2), panel)
        hinge = x + (step / 2 - 0.05) * (1 if k % 2 == 0 else -1)
        kit.block((0.015, 0.2, 0.03), (hinge, height * 0.48, depth / 2 + 0.02), handle)


def cabinet(kit: Kit) -> None:
    """Sideboards and cupboards with doors."""
    width, height, depth = kit.between(0.6, 1.9), kit.between(0.6, 1.4), kit.between(0.32, 0.5)
    body, front, handle = kit.board(), kit.board(), kit.metal()
    lift = kit.between(0.04, 0.18)
    kit.legs(width, depth, lift, kit.board(), 0.05)
    kit.block((width, height - lift, depth), (0, lift, 0), body)
    doors = max(2, round(width / 0.5))
    for k in range(doors):
        x = (k - (doors - 1) / 2) * width / doors
        kit.block(
            (width / doors - 0.012, height - lift - 0.04, 0.016), (x, lift + 0.02, depth / 2), front
        )
        kit.ball(
            (0.03, 0.03, 0.03), (x + 0.3 * width / doors, height * 0.6, depth / 2 + 0.02), handle
        )
    kit.drop = height


def tv_unit(kit: Kit) -> None:
    width, height = kit.between(1.0, 1.9), kit.between(0.35, 0.55)
    drawers(kit, width, height, 0.4, 0, kit.board(), 2)
    screen = kit.between(0.8, 1.35)
    black = kit.plain(saturation=(0, 0.1), value=(0.02, 0.12), gloss=0.7)
    kit.block((0.35, 0.03, 0.2), (0, height, 0), black)
    kit.block((0.05, 0.1, 0.05), (0, height, 0), black)
    kit.block((screen, screen * 0.57, 0.05), (0, height + 0.08, 0), black)


def bookshelf(kit: Kit) -> None:
    width, height, depth = kit.between(0.5, 1.2), kit.between(0.8, 2.2), kit.between(0.25, 0.36)
    board = kit.board()
    shelves = max(2, round(height / kit.between(0.3, 0.4)))
    for side in (-1, 1):
        kit.block((0.025, height, depth), (side * (width / 2 - 0.0125), 0, 0), board)
    if kit.chance(0.8):
        kit.block((width, height, 0.012), (0, 0, -depth / 2 + 0.006), board)
    for k in range(shelves + 1):
        kit.block((width, 0.022, depth), (0, k * (height - 0.022) / shelves, 0), board)
    for k in range(shelves):
        floor, room = k * height / shelves + 0.022, height / shelves - 0.04
        if kit.chance(0.85):
            books(kit, -width / 2 + 0.03, width / 2 - 0.03, floor, room, depth)


def books(kit: Kit, left: float, right: float, floor: float, room: float, depth: float) -> None:
    """Fill part of a shelf with upright books and at times a box."""
    x, end = left, left + (right - left) * kit.between(0.3, 1.0)
    tall = kit.between(0.6, 0.95) * room
    while x < end:
        if kit.chance(0.06):
            size = min(0.25, right - x)
            if size > 0.08:
                kit.block(
                    (size - 0.02, room * 0.7, depth * 0.8), (x + size / 2, floor, 0), kit.board()
                )
            x += size
            continue
        thick = kit.between(0.015, 0.05)
        high = min(room, tall * kit.between(0.75, 1.1))
        cover = kit.plain(saturation=(0.05, 0.8), value=(0.12, 0.85), gloss=0.15)
        kit.block(
            (thick, high, depth * kit.between(0.55, 0.8)), (x + thick / 2, floor, 0.03), cover
        )
        x += thick + 0.001


def rack(kit: Kit) -> None:
    """Open metal or wooden shelving with boxes, as in stores and garages."""
    width, height, depth = kit.between(0.8, 1.6), kit.between(1.4, 2.2), kit.between(0.35, 0.6)
    frame, shelves = kit.metal() if kit.chance(0.7) else kit.wood(), kit.count(3, 5)
    kit.legs(width, depth, height, frame, 0.04)
    for k in range(shelves):
        level = 0.1 + k * (height - 0.2) / (shelves - 1)
        kit.block((width, 0.025, depth), (0, level, 0), frame)
        x = -width / 2 + 0.05
        while x < width / 2 - 0.25 and k < shelves - 1:
            size = kit.between(0.18, 0.45)
            if kit.chance(0.75) and x + size < width / 2:
                material = kit.textured("cardboard", 0.0) if kit.chance(0.6) else kit.plastic()
                high = kit.between(0.12, (height - 0.2) / (shelves - 1) - 0.06)
                kit.block(
                    (size, high, depth * kit.between(0.5, 0.9)),
                    (x + size / 2, level + 0.025, 0),
                    material,
                )
            x += size + 0.04
