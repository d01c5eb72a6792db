"""What every outdoor scene shares while it is built: ground, plants, models, a triangle budget."""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.assets import Assets
from training.scenes.mesh import Material
from training.scenes.outdoor.buildings import building, footprint
from training.scenes.outdoor.ground import Terrain
from training.scenes.outdoor.vegetation import Grove
from training.scenes.palette import Palette
from training.scenes.parametric.vehicles import car_paint
from training.scenes.scene import SceneBuilder

MAX_TRIANGLES = 220_000


class Site(SceneBuilder):
    """A scene builder that knows the ground level and how much may still be added."""

    def __init__(self, assets: Assets, rng: np.random.Generator) -> None:
        super().__init__(assets, rng)
        self.palette = Palette(assets, rng)
        self.terrain: Terrain | None = None
        self.ground = Material()
        # Foliage: a camera must stay out of it, other things may stand below it.
        self.crowns: list[tuple[float, ...]] = []
        self._used, self._counted = 0, 0

    def has_room(self, share: float = 1.0) -> bool:
        """Whether less than `share` of the triangle budget is used."""
        while self._counted < len(self.parts):
            self._used += len(self.parts[self._counted])
            self._counted += 1
        return self._used < 3 * MAX_TRIANGLES * share

    def level(self, x: float, z: float) -> float:
        """Height of the terrain in metres."""
        return self.terrain.height(x, z) if self.terrain else 0.0

    def lay_ground(self, terrain: Terrain, material: Material) -> None:
        self.terrain, self.ground = terrain, material
        self.add(terrain.rows(material))

    def put(
        self, model: int, x: float, z: float, yaw: float, y: float | None = None, margin=0.05
    ) -> bool:
        """Place a model where its footprint is free and room is left; say whether it was."""
        entry = self.assets.models[model]
        half_x, half_z = footprint(entry.size[0], entry.size[2], yaw)
        if not self.has_room() or not self.is_free(x, z, half_x, half_z, margin):
            return False
        base = (self.level(x, z) if y is None else y) + entry.elevation
        self.place(model, (x, base, z), yaw, tint=self._tint(entry))
        self.occupy(x, z, half_x, half_z, base, base + entry.size[1])
        return True

    def _tint(self, entry) -> tuple | None:
        """Variety without odd colours: vehicles keep the paint that they have."""
        if entry.category == "Vehicles" or self.rng.random() < 0.5:
            return None
        return self.palette.tint(0.04)

    def put_vehicle(self, x: float, z: float, yaw: float, y: float, margin: float = 0.3) -> bool:
        """Place a vehicle that faces along `yaw`, whichever way its model is longer."""
        model = self.choice(self.assets.roles["car"])
        entry = self.assets.models[model]
        if entry.size[0] > entry.size[2]:
            yaw += math.pi / 2
        if entry.licence == "procedural" and entry.name == "car" and self.rng.random() < 0.6:
            return self._put_repainted(model, x, z, yaw, y, margin)
        return self.put(model, x, z, yaw, y, margin)

    def _put_repainted(self, model: int, x, z, yaw, y, margin) -> bool:
        """A parametric car in another paint: the rows of its most common colour change theirs."""
        entry = self.assets.models[model]
        half_x, half_z = footprint(entry.size[0], entry.size[2], yaw)
        if not self.has_room() or not self.is_free(x, z, half_x, half_z, margin):
            return False
        rows = mesh.transformed(
            self.assets.vertices[entry.start : entry.start + entry.count], (x, y, z), yaw
        )
        colours, inverse = np.unique(rows[:, 9:13], axis=0, return_inverse=True)
        area = np.zeros(len(colours))
        edges = rows.reshape(-1, 3, rows.shape[1])[:, :, :3]
        cross = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0])
        np.add.at(area, inverse.ravel()[::3], np.linalg.norm(cross, axis=1))
        paint = inverse.ravel() == int(area.argmax())
        rows[paint, 9:12] = car_paint(self.rng)
        self.add(rows)
        self.occupy(x, z, half_x, half_z, y, y + entry.size[1])
        return True

    def plant(
        self, grove: Grove, x: float, z: float, height: float, y: float | None = None, kind=None
    ) -> bool:
        """Plant a tree; its trunk becomes an obstacle."""
        if not self.has_room():
            return False
        base = self.level(x, z) - 0.05 if y is None else y
        number = (
            int(self.rng.integers(len(grove.kinds))) if kind is None else kind % len(grove.kinds)
        )
        self.add(grove.planted(self.rng, (x, base, z), height, number))
        species = grove.kinds[number]
        if species.cards:
            reach = 0.8 * species.spread * height
            low = base + (species.bare_trunk - 0.1) * height
            self.crowns.append((x, z, reach, reach, low, base + height))
        trunk = 0.1 + 0.03 * height
        self.occupy(x, z, trunk, trunk, base, base + 0.4 * height)
        return True

    def put_building(
        self,
        x: float,
        z: float,
        yaw: float,
        size: tuple[float, float, float],
        shop=False,
        gable=None,
        y=None,
    ) -> bool:
        """A house of (width, height, depth) whose front faces `yaw`."""
        width, height, depth = size
        half_x, half_z = footprint(width, depth, yaw)
        if not self.has_room():
            return False
        base = self.level(x, z) if y is None else y
        rows = building(self.palette, width, depth, height, shop, gable)
        self.add(mesh.transformed(rows, (x, base, z), yaw))
        self.occupy(x, z, half_x, half_z, base - 3, base + height + 4)
        return True

    def named(self, role: str, words: str) -> list[int]:
        """Models of a role whose name holds any of the words (separated by spaces)."""
        return [
            i
            for i in self.assets.roles[role]
            if any(word in self.assets.models[i].name.lower() for word in words.split())
        ]
