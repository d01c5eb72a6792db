"""A scene: its triangles, light and sky, where cameras may stand; and the builder that collects it.

World frame as in :mod:`training.scenes.mesh`: metres, right-handed, y up, cameras look along −z.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from training.scenes.assets import Assets
from training.scenes.mesh import VERTEX_SIZE, transformed


@dataclass
class Lighting:
    """Radiance of the lights in linear RGB. A light whose value is zero costs nothing.

    ``ambient`` (6, 3): light that reaches a surface facing +x, −x, +y, −y, +z, −z.
    ``sun_box``: centre and half size of the region that casts sun shadows. The lamp shines down
    from ``lamp_position``; ``fill_lights`` (at most 8: position, power) cast no shadow.
    """

    ambient: np.ndarray
    sun_direction: np.ndarray = field(default_factory=lambda: np.array([0.0, 1.0, 0.0]))
    sun_radiance: np.ndarray = field(default_factory=lambda: np.zeros(3))
    sun_box: tuple[Sequence[float], float] = ((0.0, 0.0, 0.0), 10.0)
    lamp_position: np.ndarray = field(default_factory=lambda: np.array([0.0, 2.5, 0.0]))
    lamp_power: np.ndarray = field(default_factory=lambda: np.zeros(3))
    fill_lights: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    ao_radius: float = 0.5


@dataclass
class Sky:
    """What lies behind everything: a panorama of the assets by index, or a procedural sky (None).

    ``rotation`` in turns, ``clouds`` in [0, 1], ``fog_density`` per metre.
    """

    panorama: int | None = None
    gain: float = 1.0
    rotation: float = 0.0
    zenith: Sequence[float] = (0.45, 0.65, 1.0)
    horizon: Sequence[float] = (0.8, 0.9, 1.0)
    clouds: float = 0.4
    fog_colour: Sequence[float] = (0.8, 0.9, 1.0)
    fog_density: float = 0.0


@dataclass(frozen=True)
class CameraPose:
    """A camera: ``eye`` (3,) in metres, ``rotation`` (3, 3) camera to world (OpenGL axes)."""

    eye: np.ndarray
    rotation: np.ndarray
    tan_half_fov_x: float


@dataclass
class Scene:
    """Everything that the renderer and the camera need to know of one place.

    ``obstacles`` (n, 6): x, z, half_x, half_z, bottom, top of boxes around solid objects.
    ``near_limit``: a view whose nearest 3 % lie closer than this (metres) is rejected.
    """

    vertices: np.ndarray
    kind: str
    seed: int
    lighting: Lighting
    sky: Sky
    camera_sampler: Callable[[np.random.Generator], CameraPose]
    obstacles: np.ndarray = field(default_factory=lambda: np.zeros((0, 6)))
    near_limit: float = 0.3

    def sample_camera(self, rng: np.random.Generator) -> CameraPose:
        """Draw a camera where a person, robot or vehicle would hold one in this scene."""
        return self.camera_sampler(rng)

    def is_inside_object(self, point, margin: float = 0.0) -> bool:
        """Whether a point (3,) lies within ``margin`` metres of the box around a solid object."""
        x, y, z = point
        boxes = self.obstacles
        return bool(
            np.any(
                (np.abs(x - boxes[:, 0]) < boxes[:, 2] + margin)
                & (np.abs(z - boxes[:, 1]) < boxes[:, 3] + margin)
                & (y > boxes[:, 4] - margin)
                & (y < boxes[:, 5] + margin)
            )
        )


class SceneBuilder:
    """Collects the vertices of one scene and remembers which floor area is taken."""

    def __init__(self, assets: Assets, rng: np.random.Generator) -> None:
        self.assets, self.rng = assets, rng
        self.parts: list[np.ndarray] = []
        self.triangles = 0
        self.obstacles: list[tuple[float, ...]] = []

    def add(self, rows: np.ndarray) -> None:
        """Add finished vertex rows (n, 13)."""
        self.parts.append(rows)
        self.triangles += len(rows) // 3

    def place(self, model: int, position, yaw: float = 0.0, scale=1.0, tint=None) -> None:
        """Add a model of the assets with the middle of its base at ``position``."""
        entry = self.assets.models[model]
        rows = self.assets.vertices[entry.start : entry.start + entry.count]
        self.add(transformed(rows, position, yaw, scale, tint))

    def occupy(
        self, x, z, half_x, half_z, bottom: float = -math.inf, top: float = math.inf
    ) -> None:
        """Mark floor area as taken; bottom and top (metres) are for the camera's collision test."""
        self.obstacles.append((x, z, half_x, half_z, bottom, top))

    def is_free(self, x, z, half_x, half_z, margin: float = 0.03) -> bool:
        """Whether a footprint touches nothing that was marked as taken."""
        return all(
            abs(x - a) >= half_x + c + margin or abs(z - b) >= half_z + d + margin
            for a, b, c, d, _, _ in self.obstacles
        )

    def choice(self, items: Sequence[int]) -> int:
        """Draw one item of a list of texture layers or models."""
        return int(items[self.rng.integers(len(items))])

    def build(self) -> np.ndarray:
        """All vertex rows, float32 (n, 13)."""
        return np.concatenate(self.parts) if self.parts else np.zeros((0, VERTEX_SIZE), np.float32)
