"""The shell of a room: walls with openings, windows, doors with what lies behind, skirting."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from training.scenes.mesh import Material, box, quad, transformed
from training.scenes.palette import Palette
from training.scenes.scene import SceneBuilder

UP = np.array([0.0, 1.0, 0.0])
WINDOW_REVEAL, DOOR_REVEAL = 0.2, 0.12


@dataclass(frozen=True)
class Opening:
    """A rectangle of a wall: ``start`` along it and ``sill`` above the floor, in metres."""

    wall: int
    start: float
    width: float
    sill: float
    height: float
    model: int
    is_open: bool = False

    @property
    def end(self) -> float:
        """Where it ends along the wall."""
        return self.start + self.width


@dataclass
class Room:
    """An axis-aligned room about the origin, walls numbered 0 −z, 1 +x, 2 +z, 3 −x."""

    width: float
    depth: float
    height: float
    floor: Material
    ceiling: Material
    walls: list[Material]
    trim: Material
    windows: list[Opening] = field(default_factory=list)
    doors: list[Opening] = field(default_factory=list)

    def length(self, wall: int) -> float:
        """Length of a wall in metres."""
        return self.depth if wall % 2 else self.width

    def axes(self, wall: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Left lower corner, direction along, and inward normal of a wall as one faces it."""
        hx, hz = self.width / 2, self.depth / 2
        corner = [(-hx, 0, -hz), (hx, 0, -hz), (hx, 0, hz), (-hx, 0, hz)][wall]
        along = [(1, 0, 0), (0, 0, 1), (-1, 0, 0), (0, 0, -1)][wall]
        along = np.array(along, np.float64)
        return np.array(corner, np.float64), along, np.cross(along, UP)

    def at(self, wall: int, along: float, out: float = 0.0, y: float = 0.0):
        """Point in front of a wall, and the yaw of an object there that faces the room."""
        corner, direction, normal = self.axes(wall)
        point = corner + direction * along + normal * out + UP * y
        return point, math.atan2(normal[0], normal[2])

    def is_clear(self, wall: int, start: float, end: float, openings=None) -> bool:
        """Whether no opening (of both kinds by default) overlaps a stretch of a wall."""
        openings = self.windows + self.doors if openings is None else openings
        return not any(o.wall == wall and start < o.end and end > o.start for o in openings)


def add_openings(room: Room, builder: SceneBuilder, windows: int, doors: int) -> None:
    """Choose windows and doors where they fit; a third of the doors stand open."""
    rng, assets = builder.rng, builder.assets
    for kind, count in (("window", windows), ("door", doors)):
        for _ in range(count):
            wall, model = int(rng.integers(4)), builder.choice(assets.roles[kind])
            size, length = assets.models[model].size, room.length(wall)
            if kind == "window":
                width = min(size[0] * rng.uniform(0.8, 1.2), length - 0.4)
                height = min(size[1], room.height - 0.5)
                highest = max(0.35, min(1.1, room.height - height - 0.15))
                sill = rng.uniform(0.3, highest)
            else:
                width, height, sill = size[0], min(size[1], room.height - 0.1), 0.0
            if width < 0.5 or width > length - 0.3:
                continue
            start = rng.uniform(0.1, length - width - 0.1)
            if not room.is_clear(wall, start - 0.1, start + width + 0.1):
                continue
            is_open = kind == "door" and rng.random() < 0.35
            opening = Opening(wall, start, width, sill, height, model, is_open)
            (room.windows if kind == "window" else room.doors).append(opening)


def build_shell(room: Room, builder: SceneBuilder, palette: Palette) -> list:
    """Add walls, floor, ceiling, skirting, windows and doors; returns fill lights of open doors."""
    hx, hz = room.width / 2, room.depth / 2
    for wall in range(4):
        _add_wall(room, builder, wall)
    builder.add(quad((-hx, 0, hz), (room.width, 0, 0), (0, 0, -room.depth), room.floor))
    builder.add(quad((-hx, room.height, -hz), (room.width, 0, 0), (0, 0, room.depth), room.ceiling))
    if builder.rng.random() < 0.75:
        _add_skirting(room, builder, builder.rng.uniform(0.05, 0.16))
    for window in room.windows:
        _add_window(room, builder, window)
    lights = []
    for door in room.doors:
        if door.is_open:
            lights.append(_add_corridor(room, builder, palette, door))
        else:
            _add_door(room, builder, door)
        point, _ = room.at(door.wall, door.start + door.width / 2, 0.3)
        builder.occupy(point[0], point[2], 0.45, 0.45, 0.0, 0.0)  # keep the way free
    return lights


def _add_wall(room: Room, builder: SceneBuilder, wall: int) -> None:
    """One wall as a grid of quads around its openings, with one continuous texture.

    A second face behind it, larger all round, is the other side of the wall. It also closes the
    hairline cracks that rasterisers leave where quads of different size share an edge.
    """
    corner, along, normal = room.axes(wall)
    holes = [o for o in room.windows + room.doors if o.wall == wall and (o.sill > 0 or o.is_open)]
    for back in (0.0, DOOR_REVEAL):
        xs = {-back, room.length(wall) + back, *(x for o in holes for x in (o.start, o.end))}
        ys = {-back, room.height + back, *(y for o in holes for y in (o.sill, o.sill + o.height))}
        for x0, x1 in pairwise(sorted(xs)):
            for y0, y1 in pairwise(sorted(ys)):
                x, y = (x0 + x1) / 2, (y0 + y1) / 2
                if any(o.start < x < o.end and o.sill < y < o.sill + o.height for o in holes):
                    continue
                origin = corner + along * x0 + UP * y0 - normal * back
                rows = quad(origin, along * (x1 - x0), UP * (y1 - y0), room.walls[wall], (x0, y0))
                builder.add(rows)


def _add_skirting(room: Room, builder: SceneBuilder, height: float) -> None:
    for wall in range(4):
        _, along, normal = room.axes(wall)
        x = 0.0
        doors = sorted((d for d in room.doors if d.wall == wall), key=lambda d: d.start)
        for start, end in [(d.start, d.end) for d in doors] + [(room.length(wall), 0)]:
            if start - x > 0.01:
                point, _ = room.at(wall, x, 0.012)
                run = along * (start - x)
                builder.add(quad(point, run, UP * height, room.trim))
                builder.add(quad(point + UP * height, run, -normal * 0.012, room.trim))
            x = end


def _frame(builder, point, along, normal, width, height, depth, material, with_sill) -> None:
    """The inner faces of an opening whose lower middle is ``point``."""
    left, back = point - along * width / 2, -normal * depth
    builder.add(quad(left + back, -back, UP * height, material))
    builder.add(quad(left + along * width, back, UP * height, material))
    builder.add(quad(left + UP * height + back, along * width, -back, material))
    if with_sill:
        builder.add(quad(left, along * width, back, material))


def _add_window(room: Room, builder: SceneBuilder, window: Opening) -> None:
    rng, assets = builder.rng, builder.assets
    _, along, normal = room.axes(window.wall)
    point, yaw = room.at(window.wall, window.start + window.width / 2, 0.0, window.sill)
    model = assets.models[window.model]
    scale = (window.width / model.size[0], window.height / model.size[1], 1.0)
    builder.place(window.model, point - normal * 0.06, yaw, scale)
    _frame(
        builder, point, along, normal, window.width, window.height, WINDOW_REVEAL, room.trim, True
    )
    if rng.random() < 0.35 and assets.roles["curtain"]:
        curtain = builder.choice(assets.roles["curtain"])
        size = assets.models[curtain].size
        top = min(window.sill + window.height + 0.15, room.height - 0.02)
        stretch = max(0.3, window.width * rng.uniform(1.0, 1.3) / size[0])
        base = room.at(window.wall, window.start + window.width / 2, 0.12, max(0.0, top - size[1]))
        builder.place(curtain, base[0], yaw, (stretch, min(1.0, top / size[1]), 1.0))


def _add_door(room: Room, builder: SceneBuilder, door: Opening) -> None:
    point, yaw = room.at(door.wall, door.start + door.width / 2, 0.02)
    height = builder.assets.models[door.model].size[1]
    builder.place(door.model, point, yaw, (1.0, min(1.0, (room.height - 0.02) / height), 1.0))


def _add_corridor(room: Room, builder: SceneBuilder, palette: Palette, door: Opening):
    """What an open door shows: floor from the wall on, walls, ceiling, some furniture."""
    rng = builder.rng
    _, along, normal = room.axes(door.wall)
    middle, yaw = room.at(door.wall, door.start + door.width / 2)
    length, side, height = rng.uniform(1.5, 5), rng.uniform(0.3, 1.5), room.height
    paint, width = palette.paint(), door.width + 2 * side
    back = -normal * (length - DOOR_REVEAL)
    left = middle - along * width / 2 - normal * DOOR_REVEAL
    right = left + along * width
    floor_start = middle - along * width / 2  # no gap at the threshold
    builder.add(quad(floor_start, along * width, -normal * length, room.floor))
    below = floor_start + normal * 0.3 - UP * 0.01  # nor a crack where the two floors meet
    builder.add(quad(below, along * width, -normal * (length + 0.3), room.floor))
    builder.add(quad(left + back + UP * height, along * width, -back, room.ceiling))
    builder.add(quad(left + back, along * width, UP * height, paint))
    builder.add(quad(left, back, UP * height, paint))
    builder.add(quad(right + back, -back, UP * height, paint))
    _frame(builder, middle, along, normal, door.width, door.height, DOOR_REVEAL, room.trim, False)
    if rng.random() < 0.6:
        model = builder.choice(builder.assets.roles["against_wall"])
        size = builder.assets.models[model].size
        if size[0] < width and size[2] < length - 0.8 and size[1] < height:
            place = middle - normal * (length - size[2] / 2 - 0.02)
            builder.place(model, place, yaw)
    if rng.random() < 0.4:
        _add_leaf(builder, palette, middle, along, normal, door)
    lamp = middle - normal * length * 0.6 + UP * height * 0.8
    return lamp, np.array([1.0, 0.9, 0.75]) * rng.uniform(0.2, 1.2)


def _add_leaf(builder, palette, middle, along, normal, door: Opening) -> None:
    """The leaf of an open door, swung into the corridor."""
    leaf = box((0, 0.01, -0.02), (door.width, door.height - 0.01, 0.02), palette.plain())
    angle = builder.rng.uniform(0.9, 1.6)
    yaw = math.atan2(normal[0], normal[2])
    hinge = middle - along * door.width / 2 - normal * (DOOR_REVEAL + 0.02)
    builder.add(transformed(leaf, hinge, yaw + angle))
