"""The kit that parametric models are built with: materials drawn at random, and curved primitives.

A :class:`Kit` collects the vertex rows of one model. Models stand on y = 0 and face +z; they may be
built anywhere on the floor, since the finished model is moved to the centre of its footprint.
"""

from __future__ import annotations

import math

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material
from training.scenes.textures.noise import colour as random_srgb

Vector = tuple[float, float, float]
UP = np.array([0.0, 1.0, 0.0])


def linear(srgb) -> tuple[float, float, float]:
    """sRGB in [0, 1] to linear albedo, by the 2.2 power that the renderer uses for textures."""
    return tuple(float(c) ** 2.2 for c in srgb)


def surface(points: np.ndarray, material: Material, smooth: bool = True) -> np.ndarray:
    """A grid of points (rows, columns, 3) as triangles; normals are smooth or one a face."""
    points = np.asarray(points, np.float64)
    rows, columns = points.shape[:2]
    across = np.linalg.norm(np.diff(points, axis=1), axis=-1).mean(0)
    down = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean(1)
    tile = material.tile or 1.0
    u = np.concatenate([[0], np.cumsum(across)]) / tile
    v = np.concatenate([[0], np.cumsum(down)]) / tile
    uv = np.stack(np.meshgrid(u, v), -1)
    normal = np.cross(np.gradient(points, axis=1), np.gradient(points, axis=0))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    flat = [a.reshape(rows * columns, -1) for a in (points, normal, uv)]
    grid = mesh.vertices(*flat, material).reshape(rows, columns, mesh.VERTEX_SIZE)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    return cleaned(np.stack([a, b, c, a, c, d], 2).reshape(-1, mesh.VERTEX_SIZE), not smooth)


def cleaned(rows: np.ndarray, flat: bool = False) -> np.ndarray:
    """Drop triangles without area; give face normals where `flat` or where a normal is missing."""
    triangles = rows.reshape(-1, 3, rows.shape[1])
    edges = triangles[:, 1:, :3] - triangles[:, :1, :3]
    normal = np.cross(edges[:, 0], edges[:, 1])
    length = np.linalg.norm(normal, axis=1)
    keep = length > 1e-9
    triangles, normal = triangles[keep], normal[keep] / length[keep, None]
    short = np.linalg.norm(triangles[..., 3:6], axis=-1) < 0.5
    replace = np.ones_like(short) if flat else short
    triangles[..., 3:6] = np.where(replace[..., None], normal[:, None], triangles[..., 3:6])
    return triangles.reshape(-1, rows.shape[1])


def pillow(
    size: Vector, material: Material, roundness: float = 0.35, segments: int = 12
) -> np.ndarray:
    """A superellipsoid that stands on the origin: cushion (0.35), pebble (1), nearly a box (0.1)."""
    latitude = np.linspace(-math.pi / 2, math.pi / 2, segments // 2 + 1)[:, None]
    longitude = np.linspace(0, 2 * math.pi, segments + 1)[None]

    def power(x: np.ndarray) -> np.ndarray:
        return np.sign(x) * np.abs(x) ** roundness

    ring = power(np.cos(latitude))
    points = np.stack(
        [
            ring * power(np.cos(longitude)) * size[0] / 2,
            (power(np.sin(latitude)) + 1) * size[1] / 2 + 0 * longitude,
            ring * power(np.sin(longitude)) * size[2] / 2,
        ],
        -1,
    )
    return surface(points, material)


def tube(
    start,
    end,
    radius: float,
    material: Material,
    end_radius: float | None = None,
    segments: int = 8,
) -> np.ndarray:
    """A closed cylinder or cone between two points."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = end - start
    length = float(np.linalg.norm(axis)) + 1e-9
    rows = mesh.cylinder(radius, length, material, segments, end_radius)
    return cleaned(mesh.rotated(rows, frame(axis), start))


def frame(direction) -> np.ndarray:
    """A rotation (3, 3) that turns +y to `direction`."""
    y = np.asarray(direction, np.float64) / (np.linalg.norm(direction) + 1e-9)
    x = np.cross(y, (0.0, 0.0, 1.0) if abs(y[2]) < 0.9 else (1.0, 0.0, 0.0))
    x /= np.linalg.norm(x)
    return np.stack([x, y, np.cross(x, y)], 1)


def extrude(outline, depth: float, material: Material, side: Material | None = None) -> np.ndarray:
    """A convex polygon (n, 2) of (x, y), counter-clockwise, made solid from z = −depth/2 to depth/2."""
    outline = np.asarray(outline, np.float64)
    parts, half = [], depth / 2
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, 0)):
        if math.hypot(x1 - x0, y1 - y0) > 1e-6:
            parts.append(
                mesh.quad((x0, y0, half), (0, 0, -depth), (x1 - x0, y1 - y0, 0), side or material)
            )
    for z, sign in ((half, 1.0), (-half, -1.0)):
        fan = [
            corner
            for k in range(1, len(outline) - 1)
            for corner in (outline[0], *outline[k : k + 2])
        ]
        position = np.column_stack([np.array(fan), np.full(len(fan), z)])
        normal = np.tile([0.0, 0.0, sign], (len(fan), 1))
        uv = position[:, :2] * (1, -1) / (material.tile or 1.0)
        parts.append(mesh.vertices(position, normal, uv, material))
    return cleaned(np.concatenate(parts))


class Kit:
    """Random materials from the assets' textures, and the rows of the model being built.

    Attributes to set by the model: `drop`, the height of its top where things may stand (−1: none),
    and `elevation`, the height at which it usually hangs.
    """

    def __init__(self, surfaces: dict[str, list[int]], rng: np.random.Generator) -> None:
        self.surfaces, self.rng = surfaces, rng
        self.parts: list[np.ndarray] = []
        self.drop, self.elevation = -1.0, 0.0

    # -- chance ----------------------------------------------------------------------------------

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def count(self, low: int, high: int) -> int:
        """An integer from low to high, both included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def pick(self, items):
        return items[int(self.rng.integers(len(items)))]

    # -- materials -------------------------------------------------------------------------------

    def plain(self, hue=(0.0, 1.0), saturation=(0.0, 1.0), value=(0.0, 1.0), gloss=0.2) -> Material:
        """One random colour from ranges of hue, saturation and value (sRGB)."""
        return Material(
            colour=linear(random_srgb(self.rng, hue, saturation, value)), gloss=gloss, tile=1.0
        )

    def textured(self, name: str, tile: float = 1.0, gloss: float = 0.05) -> Material:
        """A random texture of a surface category, slightly tinted."""
        tone = self.between(0.8, 1.1) * (1 + 0.04 * self.rng.standard_normal(3))
        return Material(self.pick(self.surfaces[name]), tile, tuple(map(float, tone)), gloss)

    def wood(self) -> Material:
        return self.textured("wood", self.between(0.6, 1.2), self.between(0.05, 0.4))

    def fabric(self) -> Material:
        if self.chance(0.5):
            hue = self.pick(((0.05, 0.13), (0.52, 0.66), (0.0, 1.0)))
            return self.plain(hue, (0, 0.45), (0.15, 0.85), gloss=0.0)
        return self.textured("fabric", self.between(0.25, 0.6), 0.0)

    def leather(self) -> Material:
        return self.plain((0.02, 0.1), (0.1, 0.7), (0.08, 0.8), self.between(0.2, 0.5))

    def lacquer(self) -> Material:
        """Painted furniture: mostly white, greys and black, at times a colour."""
        gloss = self.between(0.1, 0.6)
        if self.chance(0.45):
            return self.plain(saturation=(0, 0.05), value=(0.8, 0.97), gloss=gloss)
        if self.chance(0.5):
            return self.plain(saturation=(0, 0.12), value=(0.08, 0.7), gloss=gloss)
        return self.plain(saturation=(0.1, 0.45), value=(0.3, 0.85), gloss=gloss)

    def board(self) -> Material:
        """What cupboards are made of: wood or lacquer."""
        return self.wood() if self.chance(0.55) else self.lacquer()

    def metal(self) -> Material:
        if self.chance(0.3):
            return self.plain(saturation=(0, 0.1), value=(0.05, 0.2), gloss=self.between(0.2, 0.6))
        return self.plain((0.08, 0.6), (0, 0.08), (0.45, 0.85), self.between(0.5, 0.95))

    def plastic(self) -> Material:
        if self.chance(0.5):
            return self.plain(saturation=(0, 0.15), value=(0.1, 0.95), gloss=self.between(0.1, 0.6))
        return self.plain(saturation=(0.4, 0.95), value=(0.3, 0.95), gloss=self.between(0.1, 0.6))

    def ceramic(self) -> Material:
        if self.chance(0.55):
            return self.plain((0.08, 0.15), (0, 0.08), (0.85, 0.97), self.between(0.4, 0.9))
        return self.plain(saturation=(0.05, 0.7), value=(0.2, 0.9), gloss=self.between(0.2, 0.9))

    def glass(self) -> Material:
        """Opaque, since depth has one value a pixel: dark and mirroring."""
        return self.plain((0.5, 0.62), (0.1, 0.35), (0.1, 0.4), 0.95)

    def picture(self) -> Material:
        return Material(self.pick(self.surfaces["picture"]), 0.0, gloss=self.between(0, 0.6))

    # -- parts -----------------------------------------------------------------------------------

    def add(self, rows: np.ndarray, position: Vector = (0, 0, 0), yaw: float = 0.0) -> None:
        """Add rows, moved and turned about the y axis."""
        if yaw or any(position):
            rows = mesh.transformed(rows, position, yaw)
        self.parts.append(rows)

    def block(self, size: Vector, position: Vector, material: Material, yaw: float = 0.0) -> None:
        """A box of `size` whose bottom's middle is at `position`; its texture starts anywhere."""
        w, h, d = size
        rows = mesh.box((-w / 2, 0, -d / 2), (w / 2, h, d / 2), material)
        if material.tile > 0:
            rows[:, 6:8] += self.rng.random(2).astype(np.float32)
        self.add(rows, position, yaw)

    def rod(
        self, start: Vector, end: Vector, radius: float, material: Material, end_radius=None
    ) -> None:
        self.add(tube(start, end, radius, material, end_radius))

    def ball(
        self, size: Vector, position: Vector, material: Material, roundness: float = 1.0
    ) -> None:
        """A superellipsoid that stands on `position`."""
        self.add(pillow(size, material, roundness), position)

    def turned(self, profile, position: Vector, material: Material, segments: int = 14) -> None:
        """A surface of revolution from (radius, height) rows, standing on `position`."""
        self.add(cleaned(mesh.lathe(profile, material, segments)), position)

    def legs(
        self, width: float, depth: float, height: float, material: Material, thick: float
    ) -> None:
        """Four legs, round or square, upright or splayed."""
        splay = self.between(0, 0.06) if self.chance(0.4) else 0.0
        round_legs = self.chance(0.5)
        for sx in (-1, 1):
            for sz in (-1, 1):
                x, z = sx * (width / 2 - thick), sz * (depth / 2 - thick)
                if round_legs or splay:
                    foot = (x + sx * splay * height, 0.0, z + sz * splay * height)
                    self.rod(foot, (x, height, z), thick * 0.6, material, thick * 0.8)
                else:
                    self.block((thick, height, thick), (x, 0, z), material)

    def rows(self) -> np.ndarray:
        """The finished model, its footprint centred on the origin and its lowest point on y = 0."""
        rows = np.concatenate(self.parts).astype(np.float32)
        low, high = rows[:, :3].min(0), rows[:, :3].max(0)
        rows[:, :3] -= (low + high) / 2 * (1, 0, 1) + low * (0, 1, 0)
        rows[:, 3:6] /= np.linalg.norm(rows[:, 3:6], axis=1, keepdims=True)
        return rows
