"""The ground of outdoor scenes: rolling terrain, and a road's centre line to build along."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from training.scenes import mesh
from training.scenes.mesh import Material

EXTENT = 320.0  # metres from the origin to the edge of the terrain

Profile = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


class Terrain:
    """Hills over a given profile; heights by bilinear interpolation of the mesh."""

    def __init__(
        self, rng: np.random.Generator, profile: Profile, relief: float = 6.0, cells: int = 84
    ) -> None:
        """`profile(x, z)` gives the level and, in [0, 1], how much of the hills to add to it."""
        line = np.linspace(-1, 1, cells)
        self.axis = np.sign(line) * np.abs(line) ** 1.9 * EXTENT
        x, z = np.meshgrid(self.axis, self.axis)
        hills = np.zeros_like(x)
        for octave in range(5):
            fx, fz = rng.normal(0, 0.006 * 2**octave, 2)
            phase, weight = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 1) / 1.7**octave
            hills += np.sin(x * fx + z * fz + phase) * weight
        level, share = profile(x, z)
        self.heights = level + (hills + 0.5) * share * relief

    def height(self, x: float, z: float) -> float:
        """Ground level in metres at one place."""
        i, fx = self._cell(x)
        j, fz = self._cell(z)
        h = self.heights
        near = h[j, i] * (1 - fx) + h[j, i + 1] * fx
        far = h[j + 1, i] * (1 - fx) + h[j + 1, i + 1] * fx
        return float(near * (1 - fz) + far * fz)

    def _cell(self, value: float) -> tuple[int, float]:
        index = int(np.clip(np.searchsorted(self.axis, value) - 1, 0, len(self.axis) - 2))
        low, high = self.axis[index], self.axis[index + 1]
        return index, min(max((value - low) / (high - low), 0.0), 1.0)

    def rows(self, material: Material) -> np.ndarray:
        return mesh.heightfield(self.axis, self.axis, self.heights, material)


class Path:
    """The centre line of a road, sampled every 2 m; it passes the origin towards −z at s = 0.

    Positions along it are arc lengths s in metres, sideways offsets are to the right of +s.
    """

    STEP = 2.0

    def __init__(
        self, rng: np.random.Generator, start: float, end: float, bend: float, slope: float
    ) -> None:
        """`bend` is the largest curvature (1/m), `slope` the largest gradient."""
        self.s = np.arange(start, end + self.STEP, self.STEP)
        wave = rng.uniform(90, 260, 3)
        phase = rng.uniform(0, 2 * math.pi, 3)
        curvature = bend * np.sin(self.s / wave[0] * 2 * math.pi + phase[0])
        gradient = slope * 0.7 * np.sin(self.s / wave[1] + phase[1])
        gradient += slope * 0.3 * np.sin(self.s / wave[2] * 3 + phase[2])
        zero = int(np.argmin(np.abs(self.s)))
        self.heading = self._integral(curvature, zero)  # 0 is −z, positive turns right (+x)
        self.x = self._integral(np.sin(self.heading), zero)
        self.z = -self._integral(np.cos(self.heading), zero)
        self.y = self._integral(gradient, zero)

    def _integral(self, values: np.ndarray, zero: int) -> np.ndarray:
        total = np.cumsum(values) * self.STEP
        return total - total[zero]

    def at(self, s: float, offset: float = 0.0, lift: float = 0.0) -> np.ndarray:
        """The point (3,) at arc length s, `offset` metres to the right, `lift` above."""
        x, y, z, heading = (np.interp(s, self.s, a) for a in (self.x, self.y, self.z, self.heading))
        return np.array([x + math.cos(heading) * offset, y + lift, z + math.sin(heading) * offset])

    def yaw(self, s: float) -> float:
        """Yaw of a model that faces along +s (models face +z at yaw 0)."""
        return math.pi - float(np.interp(s, self.s, self.heading))

    def camera_yaw(self, s: float) -> float:
        """Yaw of a camera that looks along +s (cameras look along −z at yaw 0)."""
        return -float(np.interp(s, self.s, self.heading))

    def nearest(self, x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance to the line and its level at the nearest sample, for arrays of places."""
        flat_x, flat_z = np.ravel(x), np.ravel(z)
        square = (flat_x[:, None] - self.x) ** 2 + (flat_z[:, None] - self.z) ** 2
        best = square.argmin(1)
        distance = np.sqrt(square[np.arange(len(best)), best])
        return distance.reshape(np.shape(x)), self.y[best].reshape(np.shape(x))

    def ribbon(
        self, inner: float, outer: float, material: Material, lifts=(0.0, 0.0), start=None, end=None
    ) -> np.ndarray:
        """A strip along the line between two offsets (inner < outer), with a lift at each edge."""
        first = 0 if start is None else int(np.searchsorted(self.s, start))
        last = len(self.s) if end is None else int(np.searchsorted(self.s, end)) + 1
        part = slice(first, max(last, first + 2))
        sin, cos = np.sin(self.heading[part]), np.cos(self.heading[part])
        edges = [
            np.stack([self.x[part] + cos * o, self.y[part] + lift, self.z[part] + sin * o], 1)
            for o, lift in ((inner, lifts[0]), (outer, lifts[1]))
        ]
        across = edges[1] - edges[0]
        along = np.stack([sin, np.gradient(self.y[part], self.STEP), -cos], 1)
        normal = np.cross(across, along)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        tile, width = material.tile or 1.0, np.linalg.norm(across[0])
        grid = [
            mesh.vertices(
                edge,
                normal,
                np.stack([np.full(len(edge), u / tile), -self.s[part] / tile], 1),
                material,
            )
            for edge, u in ((edges[0], 0.0), (edges[1], width))
        ]
        a, b, c, d = grid[0][:-1], grid[1][:-1], grid[1][1:], grid[0][1:]
        return np.stack([a, b, c, a, c, d], 1).reshape(-1, mesh.VERTEX_SIZE)

    def line(
        self, offset: float, width: float, material: Material, dash: float = 0.0, gap: float = 0.0
    ) -> np.ndarray:
        """A painted line; `dash` and `gap` in metres, 0 for a solid line."""
        lift = 0.015
        if dash <= 0:
            return self.ribbon(offset - width / 2, offset + width / 2, material, (lift, lift))
        parts = []
        for s in np.arange(self.s[0], self.s[-1] - dash, dash + gap):
            corner = self.at(s, offset - width / 2, lift)
            side = self.at(s, offset + width / 2, lift) - corner
            forward = self.at(s + dash, offset - width / 2, lift) - corner
            parts.append(mesh.quad(corner, side, forward, material))
        return np.concatenate(parts)
