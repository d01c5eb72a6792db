"""How cameras are held, and which views are worth keeping."""

from __future__ import annotations

import math

import numpy as np

MIN_LOG_DEPTH_SPREAD = 0.15  # below it a view is a single wall: nothing to learn from
NEAR_QUANTILE = 0.03
MIN_PLANE_RESIDUAL = 0.02  # of the mean disparity


def orientation(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Camera-to-world rotation (3, 3); yaw 0 looks along −z, positive pitch looks up."""
    cy, sy, cp, sp = math.cos(yaw), math.sin(yaw), math.cos(pitch), math.sin(pitch)
    cr, sr = math.cos(roll), math.sin(roll)
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def looking_at(eye, target, roll: float = 0.0) -> np.ndarray:
    """Camera-to-world rotation (3, 3) that puts ``target`` in the middle of the image."""
    x, y, z = np.asarray(target, np.float64) - np.asarray(eye, np.float64)
    return orientation(math.atan2(-x, -z), math.atan2(y, math.hypot(x, z)), roll)


def random_tan(rng: np.random.Generator) -> float:
    """Tangent of half the horizontal field of view: mostly 48–75°, at times 35–100°."""
    degrees = rng.uniform(48, 75) if rng.random() < 0.75 else rng.uniform(35, 100)
    return math.tan(math.radians(degrees / 2))


def random_height(rng: np.random.Generator, ceiling: float = math.inf) -> float:
    """Height of a camera above the floor: held by a person, or carried by a small robot."""
    kind = rng.random()
    if kind < 0.65:
        height = rng.normal(1.35, 0.3)
    elif kind < 0.85:
        height = rng.uniform(0.2, 0.7)
    else:
        height = rng.uniform(0.7, 2.1)
    return float(np.clip(height, 0.2, min(2.1, ceiling - 0.2)))


def is_useful(depth: np.ndarray, near_limit: float, min_visible: float = 0.05) -> bool:
    """Whether a view (planar z in metres, 0 = sky) is worth a training image.

    Refused: nearly nothing but sky; something right before the lens (the nearest 3 % closer than
    ``near_limit``); one flat surface (standard deviation of log z below 0.15, or a disparity that
    is linear over the image, as that of a bare floor).
    """
    seen = depth[depth > 0]
    if seen.size < min_visible * depth.size:
        return False
    if np.quantile(seen, NEAR_QUANTILE) < near_limit:
        return False
    return float(np.log(seen).std()) >= MIN_LOG_DEPTH_SPREAD and not _is_plane(depth)


def _is_plane(depth: np.ndarray) -> bool:
    """Whether one plane explains nearly the whole view: 1/z is linear in pixels on a plane."""
    v, u = np.nonzero(depth[::8, ::8] > 0)
    disparity = 1 / depth[::8, ::8][v, u]
    design = np.stack([u, v, np.ones_like(u)], 1) / 32.0
    rest = disparity - design @ np.linalg.lstsq(design, disparity, rcond=None)[0]
    return float(np.sqrt((rest**2).mean())) < MIN_PLANE_RESIDUAL * float(disparity.mean())
