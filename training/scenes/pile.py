"""Objects that lie, lean and pile up on a surface, dropped one by one onto a height map."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.camera import orientation
from training.scenes.mesh import Material, box, cylinder, rotated, sphere, transformed
from training.scenes.palette import Palette
from training.scenes.scene import SceneBuilder

CELL = 0.006  # metres
SAMPLES = 900  # points of a surface that stand for an object
MAX_OBJECT_TRIANGLES = 4000


class Pile:
    """A rectangle of ``width`` × ``depth`` metres about the origin on which objects rest."""

    def __init__(self, width: float, depth: float, builder: SceneBuilder, palette: Palette) -> None:
        self.width, self.depth = width, depth
        self.builder, self.palette, self.rng = builder, palette, builder.rng
        self.heights = np.zeros((math.ceil(depth / CELL), math.ceil(width / CELL)))
        self.parts: list[np.ndarray] = []

    def drop(self, rows: np.ndarray, x: float, z: float, limit: float = math.inf) -> bool:
        """Let an object fall straight down at (x, z); False where it would reach outside.

        It rests where nine tenths of its underside are clear: one touching corner would leave it
        hovering, so it sinks in a little, as soft and shifted things do.
        """
        points = _surface_points(rows, self.rng)
        column = np.floor((points[:, 0] + x + self.width / 2) / CELL).astype(int)
        line = np.floor((points[:, 2] + z + self.depth / 2) / CELL).astype(int)
        inside = (column >= 0) & (line >= 0)
        inside &= (column < self.heights.shape[1]) & (line < self.heights.shape[0])
        if not inside.all():
            return False
        cells, index = np.unique(line * self.heights.shape[1] + column, return_inverse=True)
        low, high = np.full(len(cells), np.inf), np.full(len(cells), -np.inf)
        np.minimum.at(low, index, points[:, 1])
        np.maximum.at(high, index, points[:, 1])
        below = self.heights.ravel()[cells]
        floor = -rows[:, 1].min()  # nothing sinks into the surface itself
        y = max(float(np.quantile(below - low, 0.93)), floor) if below.any() else floor
        if y + high.max() > limit:
            return False
        flat = self.heights.reshape(-1)
        flat[cells] = np.maximum(below, high + y)
        self.parts.append(transformed(rows, (x, y, z)))
        return True

    def scatter(self, models: list[int], count: int, limit=math.inf, tilt=0.0, stack=False) -> None:
        """Drop objects at random places; without ``stack``, mostly where nothing lies yet."""
        for _ in range(count):
            rows = self._pose(random_object(self.builder, self.palette, models), tilt)
            reach = np.abs(rows[:, [0, 2]]).max(0)
            room = np.array([self.width, self.depth]) / 2 - reach
            if (room <= 0).any():
                continue
            tries = [self.rng.uniform(-room, room) for _ in range(1 if stack else 8)]
            x, z = min(tries, key=lambda place: self._height_below(place, reach))
            if not stack and self._height_below((x, z), reach) > 0 and self.rng.random() < 0.9:
                continue
            self.drop(rows, x, z, limit)

    def _height_below(self, place, reach) -> float:
        column = int((place[0] + self.width / 2 - reach[0]) / CELL)
        line = int((place[1] + self.depth / 2 - reach[1]) / CELL)
        span = np.ceil(2 * reach / CELL).astype(int)
        window = self.heights[max(line, 0) : line + span[1], max(column, 0) : column + span[0]]
        return float(window.max()) if window.size else 0.0

    def _pose(self, rows: np.ndarray, tilt: float) -> np.ndarray:
        """Upright, or on a side or end; a little out of true in a heap."""
        rng = self.rng
        pitch, roll = 0.0, 0.0
        if rng.random() < (0.75 if tilt else 0.22):
            pitch = float(rng.choice([-1, 1])) * math.pi / 2 * (rng.random() < 0.6)
            roll = float(rng.choice([-1, 1])) * math.pi / 2 * (pitch == 0)
        lean = rng.normal(0, tilt, 2) if tilt else (0.0, 0.0)
        rotation = orientation(0.0, pitch + lean[0], roll + lean[1])
        turned = rotated(rows, rotation)
        middle = (turned[:, :3].max(0) + turned[:, :3].min(0)) / 2
        turned[:, [0, 2]] -= middle[[0, 2]]
        return transformed(turned, yaw=rng.uniform(0, 2 * math.pi))


def random_object(builder: SceneBuilder, palette: Palette, models: list[int]) -> np.ndarray:
    """A small model or a printed packet, tin, ball or block (n, 13) about the origin."""
    rng, assets = builder.rng, builder.assets
    if rng.random() < 0.68:
        for _ in range(6):
            model = assets.models[builder.choice(models)]
            if model.count <= 3 * MAX_OBJECT_TRIANGLES:
                rows = assets.vertices[model.start : model.start + model.count]
                tint = palette.tint() if rng.random() < 0.4 else None
                return transformed(rows, scale=rng.uniform(0.8, 1.2), tint=tint)
    kind = rng.random()
    if rng.random() < 0.5:
        skin = Material(palette.layer("picture", "misc", "cardboard"), 0.0, palette.tint(), 0.25)
    else:
        skin = palette.plain(0.35)
    if kind < 0.62:
        half = rng.uniform((0.02, 0.02, 0.015), (0.12, 0.11, 0.07))
        return box((-half[0], 0, -half[2]), (half[0], 2 * half[1], half[2]), skin)
    if kind < 0.9:
        radius, height = rng.uniform(0.012, 0.06), rng.uniform(0.03, 0.22)
        return cylinder(
            radius, height, skin, 20, radius * rng.choice([1.0, 1.0, rng.uniform(0.4, 1)])
        )
    radius = rng.uniform(0.02, 0.08)
    return transformed(sphere(radius, skin, 20), (0, radius, 0))


def _surface_points(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Points (n, 3) spread evenly over the triangles, and all of their corners."""
    corners = rows[:, :3].reshape(-1, 3, 3).astype(np.float64)
    edge_a, edge_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    area = np.linalg.norm(np.cross(edge_a, edge_b), axis=1)
    chosen = np.searchsorted(np.cumsum(area), rng.random(SAMPLES) * area.sum())
    chosen = np.minimum(chosen, len(area) - 1)
    a, b = rng.random((2, SAMPLES, 1))
    fold = a + b > 1
    a, b = np.where(fold, 1 - a, a), np.where(fold, 1 - b, b)
    inner = corners[chosen, 0] + a * edge_a[chosen] + b * edge_b[chosen]
    return np.concatenate([inner, rows[:, :3]])
