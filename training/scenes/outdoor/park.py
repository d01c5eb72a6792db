"""Open places: parks with paths and trees, yards between houses."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.mesh import box, quad
from training.scenes.outdoor.ground import Terrain
from training.scenes.outdoor.site import Site
from training.scenes.outdoor.vegetation import Grove


def lay_out(site: Site, yard: bool) -> None:
    """Build a park (or a yard: smaller, paved at times, houses near) around the origin."""
    rng = site.rng
    bumps = rng.uniform(0.0, 0.12)

    def profile(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        small = bumps * np.sin(x * 0.5 + 1) * np.cos(z * 0.43)
        return small, np.clip((np.hypot(x, z) - 8) / 60, 0, 1)

    surfaces = (
        ("grass",) if rng.random() < 0.6 else ("ground", "asphalt", "tile") if yard else ("ground",)
    )
    ground = site.palette.surface(*surfaces, low=2, high=5, gloss=0.05)
    site.lay_ground(Terrain(rng, profile, rng.uniform(0, 9)), ground)
    if rng.random() < 0.7:
        _path(site)
    _houses(site, yard)
    if rng.random() < (0.7 if yard else 0.35):
        _fence(site)
    _trees(site, yard)
    _things(site, yard)


def _path(site: Site) -> None:
    """A way across that follows the ground."""
    rng = site.rng
    paving = site.palette.surface("ground", "tile", "asphalt", "brick", low=1, high=3, gloss=0.1)
    width, heading, sway = rng.uniform(1.0, 3.5), rng.uniform(0, math.pi), rng.uniform(0, 4)
    forward = np.array([math.sin(heading), math.cos(heading)])
    side = np.array([forward[1], -forward[0]])
    steps = np.arange(-60, 62, 2.0)
    centre = steps[:, None] * forward + (sway * np.sin(steps / 15))[:, None] * side
    edges = [centre - side * width / 2, centre + side * width / 2]
    lifted = [np.array([[x, site.level(x, z) + 0.05, z] for x, z in edge]) for edge in edges]
    for a, b, c in zip(lifted[0], lifted[1], lifted[0][1:]):
        site.add(quad(a, b - a, c - a, paving))


def _houses(site: Site, yard: bool) -> None:
    rng = site.rng
    for _ in range(int(rng.integers(2, 7) if yard else rng.integers(0, 6))):
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(11 if yard else 24, 80)
        x, z = distance * math.cos(angle), distance * math.sin(angle)
        size = (rng.uniform(6, 18), rng.uniform(3, 13), rng.uniform(6, 13))
        if site.is_free(x, z, 9, 9):
            facing = math.atan2(-x, -z) + rng.choice([0, 0, math.pi / 2]) + rng.normal(0, 0.2)
            site.put_building(x, z, facing, size)


def _fence(site: Site) -> None:
    """A straight fence or wall on one side, following the ground."""
    rng = site.rng
    panel = site.palette.surface("wood", "brick", "concrete", "metal", low=1, high=2.5, gloss=0.02)
    height, angle, distance = rng.uniform(0.7, 2.1), rng.uniform(0, 2 * math.pi), rng.uniform(5, 16)
    out = np.array([math.cos(angle), math.sin(angle)])
    along = np.array([-out[1], out[0]])
    open_rails = rng.random() < 0.35
    for k in range(-14, 14):
        x, z = out * distance + along * (k * 2.5)
        if not site.is_free(x, z, 1.3, 1.3):
            continue
        base, turn = site.level(x, z), math.atan2(-along[1], along[0])
        levels = ((0.35, 0.47), (height - 0.12, height)) if open_rails else ((-0.3, height),)
        for low, high in levels:
            site.add(
                box(
                    (x - 1.25, base + low, z - 0.04), (x + 1.25, base + high, z + 0.04), panel, turn
                )
            )
        site.add(
            box(
                (x - 0.06, base - 0.3, z - 0.06),
                (x + 0.06, base + height + 0.05, z + 0.06),
                panel,
                turn,
            )
        )


def _trees(site: Site, yard: bool) -> None:
    rng = site.rng
    grove = Grove(site.palette, int(rng.integers(1, 5)))
    far = Grove(site.palette, int(rng.integers(1, 3)), far=True)
    for _ in range(int(rng.integers(2, 12) if yard else rng.integers(5, 45))):
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(3, 60) * rng.choice([1, 0.5])
        x, z = distance * math.cos(angle), distance * math.sin(angle)
        if site.is_free(x, z, 0.6, 0.6):
            site.plant(grove, x, z, rng.uniform(2.5, 13))
    if rng.random() < 0.6:  # a backdrop of trees
        for _ in range(int(rng.integers(20, 80))):
            angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(45, 140)
            x, z = distance * math.cos(angle), distance * math.sin(angle)
            if site.is_free(x, z, 1.0, 1.0):
                site.plant(far, x, z, rng.uniform(6, 17))


def _things(site: Site, yard: bool) -> None:
    """Bushes, people, benches, vehicles and whatever else may stand about, near and far."""
    rng, roles = site.rng, site.assets.roles
    weights = {"bush": 0.36, "street": 0.24, "people": 0.2, "bike": 0.06, "freestanding": 0.06}
    weights |= {"car": 0.12 if yard else 0.03, "plant": 0.05}
    names = list(weights)
    shares = np.array([weights[n] for n in names])
    for _ in range(int(rng.integers(8, 70))):
        role = names[rng.choice(len(names), p=shares / shares.sum())]
        angle, distance = rng.uniform(0, 2 * math.pi), rng.uniform(2.0, 34) * rng.choice([1, 0.45])
        x, z = distance * math.cos(angle), distance * math.sin(angle)
        yaw = rng.uniform(0, 2 * math.pi)
        if role == "car":
            site.put_vehicle(x, z, yaw, site.level(x, z))
        else:
            site.put(site.choice(roles[role]), x, z, yaw)
