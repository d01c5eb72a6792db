"""Furniture in a room: along the walls, round tables, on the walls, and clutter on top."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.mesh import Material, box, quad
from training.scenes.palette import Palette
from training.scenes.room import UP, Room
from training.scenes.scene import SceneBuilder

MAX_TRIANGLES = 130_000
MARGIN = 0.13  # metres between a picture and a window or door: their frames are wider than they


class Furnisher:
    """Puts models into a room without letting their footprints overlap.

    ``typical`` are words in the names of models that this kind of room is full of: of a role that
    has such models, most are taken from them.
    """

    def __init__(
        self, room: Room, builder: SceneBuilder, palette: Palette, typical: tuple[str, ...] = ()
    ) -> None:
        self.room, self.builder, self.palette = room, builder, palette
        self.rng, self.assets = builder.rng, builder.assets
        self.typical = typical
        self._typical_of: dict[str, list[int]] = {}
        self._flat = set(self.assets.roles["table"]) | set(self.assets.roles["kitchen"])

    @property
    def is_full(self) -> bool:
        """Whether the scene has as many triangles as it should."""
        return self.builder.triangles > MAX_TRIANGLES

    def pick(self, role: str) -> int:
        """A model of a role, most often one that is typical of the room."""
        models = self.assets.roles[role]
        if self.typical and self.rng.random() < 0.6:
            if role not in self._typical_of:
                names = ((model, self.assets.models[model].name.lower()) for model in models)
                self._typical_of[role] = [m for m, n in names if any(w in n for w in self.typical)]
            models = self._typical_of[role] or models
        return self.builder.choice(models)

    def size(self, model: int) -> tuple[float, float, float]:
        """Width, height and depth of a model in metres."""
        return self.assets.models[model].size

    def tint(self, chance: float):
        """A plausible tint, or none."""
        return self.palette.tint() if self.rng.random() < chance else None

    def put(self, model: int, x: float, z: float, yaw: float, clutter=False) -> bool:
        """Place a model on free floor; returns whether there was room for it."""
        entry, (width, height, depth) = self.assets.models[model], self.size(model)
        c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
        half_x, half_z = (width * c + depth * s) / 2, (width * s + depth * c) / 2
        if (
            abs(x) + half_x > self.room.width / 2 - 0.01
            or abs(z) + half_z > self.room.depth / 2 - 0.01
            or entry.elevation + height > self.room.height - 0.02
            or self.is_full
            or not self.builder.is_free(x, z, half_x, half_z)
        ):
            return False
        self.builder.place(model, (x, entry.elevation, z), yaw, 1.0, self.tint(0.4))
        top = entry.elevation + height
        self.builder.occupy(x, z, half_x, half_z, entry.elevation, top)
        if clutter and (entry.drop > 0 or model in self._flat):
            surface = entry.elevation + (entry.drop if entry.drop > 0 else height)
            if 0.25 < surface < 1.5:
                count = int(self.rng.integers(0, 7))
                self.clutter((x, surface, z), width * 0.9, depth * 0.9, yaw, count)
        return True

    def clutter(self, centre, width: float, depth: float, yaw: float, count: int) -> None:
        """Small things on a surface; footprints may touch but keep apart, nothing overhangs."""
        taken: list[tuple[float, float, float]] = []
        c, s = math.cos(yaw), math.sin(yaw)
        for _ in range(count):
            model = self.pick("clutter")
            w, h, d = self.size(model)
            radius = max(w, d) / 2
            reach_x, reach_z = width / 2 - radius, depth / 2 - radius
            if h > 0.6 or min(reach_x, reach_z) < 0 or self.is_full:
                continue
            a, b = self.rng.uniform(-reach_x, reach_x), self.rng.uniform(-reach_z, reach_z)
            if any(math.hypot(a - i, b - j) < 0.9 * (radius + r) for i, j, r in taken):
                continue
            taken.append((a, b, radius))
            position = (centre[0] + a * c + b * s, centre[1], centre[2] - a * s + b * c)
            turn = self.rng.uniform(0, 2 * math.pi)
            self.builder.place(model, position, turn, 1.0, self.tint(0.3))

    def along_walls(self, roles: list[str], count: int) -> None:
        """Furniture with its back to a wall, low before windows."""
        for _ in range(count):
            wall = int(self.rng.integers(4))
            model = self.pick(roles[self.rng.integers(len(roles))])
            width, height, depth = self.size(model)
            length = self.room.length(wall)
            if width > length - 0.1:
                continue
            along = self.rng.uniform(width / 2, length - width / 2)
            span = (wall, along - width / 2, along + width / 2)
            if height > 1.1 and not self.room.is_clear(*span, self.room.windows):
                continue
            out = depth / 2 + self.rng.uniform(0.015, 0.08)
            point, yaw = self.room.at(wall, along, out)
            self.put(model, point[0], point[2], yaw, clutter=self.rng.random() < 0.7)

    def kitchen_line(self) -> None:
        """Units side by side along one wall, most with cupboards above."""
        wall, rng = int(self.rng.integers(4)), self.rng
        length, along = self.room.length(wall), 0.05
        hung = rng.random() < 0.7
        front, height = self.palette.plain(0.4), rng.uniform(0.5, 0.75)
        while along < length - 0.5:
            model = self.pick("kitchen")
            width, tall, depth = self.size(model)
            if width > 1.3 or depth > 0.9:
                along += 0.15
                continue
            if along + width > length:
                break
            middle = along + width / 2
            point, yaw = self.room.at(wall, middle, depth / 2 + 0.02)
            self.put(model, point[0], point[2], yaw, clutter=tall < 1.1)
            clear = self.room.is_clear(wall, along, along + width)
            if hung and tall < 1.2 and clear and rng.random() < 0.8:
                self._hang_cupboard(wall, middle, width, height, front)
            along += width + 0.01

    def _hang_cupboard(self, wall, middle, width, height, material) -> None:
        _, along, normal = self.room.axes(wall)
        centre, _ = self.room.at(wall, middle, 0.17, 1.45)
        half = np.abs(along) * (width / 2 - 0.002) + np.abs(normal) * 0.16
        self.builder.add(box(centre - half, centre + half + UP * height, material))
        knob, _ = self.room.at(wall, middle + width * 0.35, 0.345, 1.5)
        self.builder.add(box(knob - 0.012, knob + 0.012, Material(-1, 1, (0.3, 0.3, 0.3), 0.6)))

    def table_groups(self, count: int) -> None:
        """Tables with things on them and chairs or sofas around."""
        rng = self.rng
        for _ in range(count):
            table = self.pick("table")
            width, height, depth = self.size(table)
            yaw = float(rng.choice([0, math.pi / 2, math.pi])) + rng.normal(0, 0.08)
            x = rng.uniform(-0.5, 0.5) * self.room.width
            z = rng.uniform(-0.5, 0.5) * self.room.depth
            if not self.put(table, x, z, yaw, clutter=True):
                continue
            chair = self.pick("chair" if height > 0.55 else "sofa")
            tint = self.tint(0.4)
            for k in range(int(rng.integers(0, 5))):
                side = yaw + k * math.pi / 2
                reach = (width if k % 2 else depth) / 2 + self.size(chair)[2] * rng.uniform(
                    0.2, 0.8
                )
                slide = rng.uniform(-0.25, 0.25)
                cx = x + math.sin(side) * reach + math.cos(side) * slide
                cz = z + math.cos(side) * reach - math.sin(side) * slide
                self._seat(chair, cx, cz, side + math.pi + rng.normal(0, 0.25), tint)

    def _seat(self, model: int, x: float, z: float, yaw: float, tint) -> None:
        """A chair, which may reach under its table but not into a wall or another chair."""
        half = max(self.size(model)[0], self.size(model)[2]) / 2
        inside = abs(x) + half < self.room.width / 2 and abs(z) + half < self.room.depth / 2
        apart = all(math.hypot(x - a, z - b) > half * 1.6 for a, b in self._seats())
        if inside and apart and not self.is_full:
            self.builder.place(model, (x, 0, z), yaw, 1.0, tint)
            self.builder.occupy(x, z, half * 0.7, half * 0.7, 0.0, self.size(model)[1])

    def _seats(self) -> list[tuple[float, float]]:
        return [(o[0], o[1]) for o in self.builder.obstacles if o[2] == o[3]]

    def scatter(self, roles: list[str], count: int) -> None:
        """Free-standing things anywhere on the floor."""
        for _ in range(count):
            model = self.pick(roles[self.rng.integers(len(roles))])
            x = self.rng.uniform(-0.5, 0.5) * self.room.width
            z = self.rng.uniform(-0.5, 0.5) * self.room.depth
            turn = self.rng.uniform(0, 2 * math.pi)
            self.put(model, x, z, turn, clutter=self.rng.random() < 0.4)

    def cartons(self, count: int) -> None:
        """Boxes and crates of any size."""
        rng = self.rng
        for _ in range(count):
            width, height, depth = rng.uniform(0.15, 0.7, 3)
            x = rng.uniform(-0.5, 0.5) * (self.room.width - 0.9)
            z = rng.uniform(-0.5, 0.5) * (self.room.depth - 0.9)
            half = 0.6 * max(width, depth)
            if self.builder.is_free(x, z, half, half):
                skin = self.palette.surface("cardboard", "misc", "wood", low=0.3, high=1.5)
                low, high = (
                    (x - width / 2, 0, z - depth / 2),
                    (x + width / 2, height, z + depth / 2),
                )
                self.builder.add(box(low, high, skin, rng.uniform(0, 1.5)))
                self.builder.occupy(x, z, half, half, 0.0, height)

    def rug(self) -> None:
        """A carpet in the middle of the room, its pattern once over it."""
        rng, room = self.rng, self.room
        half = rng.uniform(0.15, 0.32, 2) * (room.width, room.depth)
        x, z = rng.uniform(-0.15, 0.15, 2) * (room.width, room.depth)
        skin = self.palette.surface("carpet", low=0.5, high=2, gloss=0.02)
        pattern = Material(skin.layer, 0.0 if rng.random() < 0.6 else skin.tile, skin.colour)
        low, high = (x - half[0], 0.0, z - half[1]), (x + half[0], 0.012, z + half[1])
        turn = rng.normal(0, 0.08) if rng.random() < 0.5 else 0.0
        self.builder.add(box(low, high, skin, turn, top=pattern))

    def pictures(self, count: int) -> None:
        """Framed pictures and posters on the walls, a shelf below some."""
        rng, room = self.rng, self.room
        for _ in range(count):
            wall = int(rng.integers(4))
            width, height = rng.uniform(0.2, 1.2), rng.uniform(0.2, 1.0)
            start = rng.uniform(0, max(0.01, room.length(wall) - width))
            y = rng.uniform(0.9, max(1.0, room.height - height - 0.2))
            clear = room.is_clear(wall, start - MARGIN, start + width + MARGIN)
            if y + height > room.height or not clear:
                continue
            _, along, normal = room.axes(wall)
            border = rng.uniform(0.0, 0.05)
            frame = Material(-1, 1, self.palette.colour(0.02, 0.7), 0.3)
            a, _ = room.at(wall, start - border, 0.0, y - border)
            b, _ = room.at(wall, start + width + border, 0.02, y + height + border)
            self.builder.add(box(np.minimum(a, b), np.maximum(a, b), frame))
            picture = Material(
                self.palette.layer("picture"), 0.0, gloss=float(rng.choice([0, 0.6]))
            )
            corner, _ = room.at(wall, start, 0.022, y)
            self.builder.add(quad(corner, along * width, UP * height, picture))
            if rng.random() < 0.3:
                self._wall_shelf(wall, start, width, y - 0.2)

    def _wall_shelf(self, wall: int, start: float, width: float, y: float) -> None:
        a, _ = self.room.at(wall, start, 0.0, y)
        b, yaw = self.room.at(wall, start + width, 0.22, y + 0.03)
        low, high = np.minimum(a, b), np.maximum(a, b)
        self.builder.add(box(low, high, self.palette.surface("wood", low=0.5, high=1.0)))
        middle = (low + high) / 2
        self.clutter(
            (middle[0], high[1], middle[2]), width, 0.22, yaw, int(self.rng.integers(0, 5))
        )
