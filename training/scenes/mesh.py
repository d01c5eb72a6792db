"""Triangles: pure NumPy, no graphics library.

World frame: metres, right-handed, y up. A camera looks along its −z axis, x right, y up (OpenGL).
A vertex is one row of 13 float32; three consecutive rows are a triangle:

====== ==================================================================================
0–2    position x, y, z in metres
3–5    normal (unit; the renderer turns it towards the camera, so winding does not matter)
6–7    texture coordinates, v grows downwards as image rows do; they repeat
8      texture layer of :class:`training.scenes.assets.Assets`, −1 for none
9–11   linear albedo, multiplied with the texture
12     gloss in [0, 0.98]; a negative value makes a light source of radiance −gloss
====== ==================================================================================
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

VERTEX_SIZE = 13
UNIT_QUAD = np.array([(0, 0), (1, 0), (1, 1), (0, 0), (1, 1), (0, 1)], np.float64)


@dataclass(frozen=True)
class Material:
    """A surface: ``tile`` is metres per texture repeat, 0 stretches one image over a quad."""

    layer: int = -1
    tile: float = 1.0
    colour: tuple[float, float, float] = (1.0, 1.0, 1.0)
    gloss: float = 0.0


def vertices(position, normal, uv, material: Material) -> np.ndarray:
    """Join arrays (n, 3), (n, 3) and (n, 2) to float32 vertex rows (n, 13)."""
    rows = np.empty((len(position), VERTEX_SIZE), np.float32)
    rows[:, 0:3], rows[:, 3:6], rows[:, 6:8] = position, normal, uv
    rows[:, 8], rows[:, 9:12], rows[:, 12] = material.layer, material.colour, material.gloss
    return rows


def quad(origin, edge_u, edge_v, material: Material, uv_offset=(0.0, 0.0)) -> np.ndarray:
    """A parallelogram (6, 13); its normal is ``edge_u × edge_v``.

    Images stand upright when ``edge_v`` points up and ``edge_u`` to the viewer's right.
    ``uv_offset`` (metres along u and v) lets neighbouring quads share one continuous texture.
    """
    origin, edge_u, edge_v = (np.asarray(a, np.float64) for a in (origin, edge_u, edge_v))
    normal = np.cross(edge_u, edge_v)
    normal /= math.sqrt(normal @ normal) + 1e-12
    a, b = UNIT_QUAD[:, :1], UNIT_QUAD[:, 1:]
    if material.tile > 0:
        u = (a * math.sqrt(edge_u @ edge_u) + uv_offset[0]) / material.tile
        v = -(b * math.sqrt(edge_v @ edge_v) + uv_offset[1]) / material.tile
    else:
        u, v = a, 1 - b
    return vertices(origin + a * edge_u + b * edge_v, normal, np.hstack([u, v]), material)


def box(low, high, material: Material, yaw: float = 0.0, top: Material | None = None) -> np.ndarray:
    """An axis-aligned box (36, 13) between two corners, turned by ``yaw`` about its centre."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    (x0, y0, z0), (x1, y1, z1), (dx, dy, dz) = low, high, high - low
    top = top or material
    faces = np.concatenate(
        [
            quad((x0, y0, z1), (dx, 0, 0), (0, dy, 0), material),
            quad((x1, y0, z0), (-dx, 0, 0), (0, dy, 0), material),
            quad((x1, y0, z1), (0, 0, -dz), (0, dy, 0), material),
            quad((x0, y0, z0), (0, 0, dz), (0, dy, 0), material),
            quad((x0, y1, z1), (dx, 0, 0), (0, 0, -dz), top),
            quad((x0, y0, z0), (dx, 0, 0), (0, 0, dz), material),
        ]
    )
    if yaw:
        centre = np.array([(x0 + x1) / 2, 0, (z0 + z1) / 2], np.float32)
        faces[:, :3] -= centre
        faces = transformed(faces, centre, yaw)
    return faces


def lathe(profile, material: Material, segments: int = 16) -> np.ndarray:
    """A surface of revolution about the y axis; ``profile`` rows are (radius, height), bottom up.

    Smooth across the segments, flat along the profile, so that a bottle keeps its shoulders.
    """
    profile = np.asarray(profile, np.float64)
    angle = np.linspace(0, 2 * math.pi, segments + 1)
    ring = np.stack([np.cos(angle), np.zeros_like(angle), np.sin(angle)], 1)
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(profile, axis=0).T))])
    parts = []
    for (r0, h0), (r1, h1), l0, l1 in zip(
        profile[:-1], profile[1:], length[:-1], length[1:], strict=True
    ):
        slope = np.array([h1 - h0, r0 - r1]) / (math.hypot(h1 - h0, r0 - r1) + 1e-12)
        band = []
        for radius, height, run in ((r0, h0, l0), (r1, h1, l1)):
            for side in (0, 1):
                directions = ring[side : side + segments]
                position = directions * radius + (0, height, 0)
                normal = directions * slope[0] + (0, slope[1], 0)
                around = angle[side : side + segments] * max(r0, r1) / (material.tile or 1.0)
                if material.tile <= 0:
                    around = angle[side : side + segments] / (2 * math.pi)
                down = -run / material.tile if material.tile > 0 else 1 - run / length[-1]
                uv = np.stack([around, np.full(segments, down)], 1)
                band.append(vertices(position, normal, uv, material))
        low0, low1, high0, high1 = band
        parts.append(np.stack([low0, low1, high1, low0, high1, high0], 1).reshape(-1, VERTEX_SIZE))
    return np.concatenate(parts)


def cylinder(
    radius: float,
    height: float,
    material: Material,
    segments: int = 16,
    top_radius: float | None = None,
) -> np.ndarray:
    """A closed cylinder or truncated cone that stands on the origin."""
    upper = radius if top_radius is None else top_radius
    return lathe([(0, 0), (radius, 0), (upper, height), (0, height)], material, segments)


def sphere(radius: float, material: Material, segments: int = 16) -> np.ndarray:
    """A smooth sphere about the origin."""
    angle = np.linspace(-math.pi / 2, math.pi / 2, segments // 2 + 1)
    rows = lathe(radius * np.stack([np.cos(angle), np.sin(angle)], 1), material, segments)
    rows[:, 3:6] = rows[:, :3] / radius
    return rows


def heightfield(xs, zs, heights, material: Material) -> np.ndarray:
    """A smooth ground surface: ``heights`` (len(zs), len(xs)) metres over the grid of xs and zs."""
    xs, zs, heights = (np.asarray(a, np.float64) for a in (xs, zs, heights))
    x, z = np.meshgrid(xs, zs)
    normal = np.stack(
        [
            -np.gradient(heights, xs, axis=1),
            np.ones_like(heights),
            -np.gradient(heights, zs, axis=0),
        ],
        -1,
    )
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    grid = vertices(
        np.stack([x, heights, z], -1).reshape(-1, 3),
        normal.reshape(-1, 3),
        np.stack([x, z], -1).reshape(-1, 2) / max(material.tile, 1e-6),
        material,
    ).reshape(len(zs), len(xs), VERTEX_SIZE)
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    return np.stack([a, b, c, a, c, d], 2).reshape(-1, VERTEX_SIZE)


def yaw_matrix(yaw: float) -> np.ndarray:
    """Rotation (3, 3) about the y axis: yaw 0 faces +z, π/2 faces +x."""
    c, s = math.cos(yaw), math.sin(yaw)
    return np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]], np.float32)


def transformed(rows, position=(0, 0, 0), yaw: float = 0.0, scale=1.0, tint=None) -> np.ndarray:
    """A copy of vertex rows: scaled (also per axis), turned by yaw, moved; albedo times tint."""
    return rotated(rows, yaw_matrix(yaw), position, scale, tint)


def rotated(rows, rotation, position=(0, 0, 0), scale=1.0, tint=None) -> np.ndarray:
    """As :func:`transformed` with any rotation matrix (3, 3): objects that lie or lean."""
    rotation = np.asarray(rotation, np.float32)
    out = np.array(rows, np.float32)
    scale = np.broadcast_to(np.asarray(scale, np.float32), 3)
    out[:, :3] = (out[:, :3] * scale) @ rotation.T + np.asarray(position, np.float32)
    normal = out[:, 3:6] if np.ptp(scale) == 0 else out[:, 3:6] / scale
    out[:, 3:6] = normal @ rotation.T
    if tint is not None:
        out[:, 9:12] = np.clip(out[:, 9:12] * np.asarray(tint, np.float32), 0.0, 1.5)
    return out
