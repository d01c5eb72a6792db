"""Smooth paths of a moving camera that touch nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.scenes.camera import orientation
from training.scenes.collision import Surfaces
from training.scenes.scene import CameraPose, Scene


@dataclass(frozen=True)
class Motion:
    """How a camera is carried: metres a second, sway in metres, turn and nod in radians.

    ``clearance`` is the least distance to any surface; ``forward`` keeps the heading (vehicles).
    """

    speed: tuple[float, float]
    sway: float
    turn: float
    clearance: float
    forward: bool = False


MOTIONS = {
    "indoor": Motion((0.15, 0.6), 0.015, 0.35, 0.15),
    "tabletop": Motion((0.04, 0.15), 0.006, 0.15, 0.06),
    "outdoor": Motion((0.5, 1.8), 0.02, 0.25, 0.3),
    "outdoor/road": Motion((4.0, 9.0), 0.006, 0.06, 0.4, True),
}
ATTEMPTS = 60


def motion_for(scene_kind: str) -> Motion:
    """The motion that suits a kind of scene, such as ``indoor/office``."""
    return MOTIONS.get(scene_kind) or MOTIONS[scene_kind.partition("/")[0]]


def camera_path(
    scene: Scene, start: CameraPose, frames: int, rate: float, rng: np.random.Generator
) -> list[CameraPose] | None:
    """Poses of ``frames`` frames at ``rate`` a second from ``start`` on, or None if all ways end.

    The camera drifts along a gentle curve at nearly constant height, sways as a hand or a vehicle
    does, and looks around. Between frames, too, it keeps its clearance to every surface and stays
    outside the boxes of objects.
    """
    motion = motion_for(scene.kind)
    surfaces = Surfaces(scene.vertices)
    for attempt in range(ATTEMPTS):
        shrink = 0.97**attempt  # a shorter way is more often free
        poses = _propose(start, frames, rate, motion, shrink, rng)
        if is_free_path(scene, [pose.eye for pose in poses], motion.clearance, surfaces):
            return poses
    return None


def _propose(start: CameraPose, frames: int, rate: float, motion: Motion, shrink: float, rng):
    """A candidate path; sums of slow sines keep speed and turning smooth at every frame."""
    t = np.arange(frames) / rate
    speed = rng.uniform(*motion.speed) * shrink
    forward = -start.rotation[:, 2] * (1, 0, 1)
    forward = forward / max(np.linalg.norm(forward), 1e-6)
    heading = math.atan2(-forward[0], -forward[2])
    if not motion.forward:
        heading += rng.normal(0, 0.9)
    bend = rng.normal(0, 0.02 if motion.forward else 0.2)
    headings = heading + bend * t
    steps = np.stack([-np.sin(headings), np.zeros_like(t), -np.cos(headings)], 1) * speed / rate
    track = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, 0)[:-1]])
    sway = np.stack([_wave(t, motion.sway, 0.6, 1.5, rng) for _ in range(3)], 1)
    turn = bend * t * motion.forward + _wave(t, motion.turn, 0.08, 0.25, rng)
    nod, roll = _wave(t, motion.turn * 0.3, 0.1, 0.5, rng), _wave(t, 0.02, 0.2, 0.8, rng)
    poses = []
    for i in range(frames):
        rotation = start.rotation @ orientation(0.0, nod[i], roll[i])
        rotation = orientation(turn[i]) @ rotation
        poses.append(CameraPose(start.eye + track[i] + sway[i], rotation, start.tan_half_fov_x))
    return poses


def _wave(t: np.ndarray, size: float, low: float, high: float, rng) -> np.ndarray:
    """A random sum of two slow sines (``low`` … ``high`` hertz) that starts at zero."""
    out = np.zeros_like(t)
    for _ in range(2):
        frequency, phase = rng.uniform(low, high), rng.uniform(0, 2 * math.pi)
        wave = np.sin(2 * math.pi * frequency * t + phase) - math.sin(phase)
        out += rng.uniform(0.2, 0.6) * size * wave
    return out


def is_free_path(scene: Scene, points, clearance: float, surfaces: Surfaces | None = None) -> bool:
    """Whether a camera can go along ``points`` (n, 3), keeping ``clearance`` metres to surfaces.

    Points are put in between until their distance is below the clearance, so that no wall, however
    thin, fits between two of them.
    """
    points = np.asarray(points, np.float64)
    dense = [points[:1]]
    for a, b in zip(points[:-1], points[1:], strict=True):
        parts = math.ceil(np.linalg.norm(b - a) / clearance) or 1
        dense.append(a + (b - a) * (np.arange(1, parts + 1) / parts)[:, None])
    path = np.concatenate(dense)
    if any(scene.is_inside_object(point, clearance / 2) for point in path):
        return False
    surfaces = surfaces or Surfaces(scene.vertices)
    nearby = surfaces.near(path.min(0) - clearance, path.max(0) + clearance)
    return all(nearby.clearance(point, clearance) == math.inf for point in path)
