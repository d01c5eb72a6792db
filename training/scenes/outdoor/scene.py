"""Outdoor scenes: streets, roads to drive along, parks and yards, by day and at dusk."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from training.scenes.assets import Assets
from training.scenes.camera import orientation
from training.scenes.outdoor import park, road, street
from training.scenes.outdoor.daylight import daylight
from training.scenes.outdoor.site import Site
from training.scenes.outdoor.street import Corridor
from training.scenes.scene import CameraPose, Scene

# Kinds of place and how often each is drawn.
KINDS: dict[str, float] = {
    "street": 0.36,
    "road": 0.36,
    "park": 0.17,
    "yard": 0.11,
    "traffic": 0.0,  # among cars that stand close: only where it is asked for
}
CLEARANCE = 0.45  # metres between a camera and the box around any object
TRIES = 80

Place = Callable[[np.random.Generator], tuple[np.ndarray, float]]  # → eye, yaw


def outdoor(assets: Assets, seed: int, kind: str | None = None) -> Scene:
    """Build one outdoor scene; the same seed and assets give the same bytes.

    Args:
        assets: textures and models of either tier.
        seed: any non-negative integer.
        kind: one of :data:`KINDS`; None draws one.

    Raises:
        ValueError: an unknown kind.
    """
    rng = np.random.default_rng([seed, 0x0D])
    drawn = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    kind = kind or drawn
    if kind not in KINDS:
        raise ValueError(f"unknown outdoor kind '{kind}': choose one of {', '.join(KINDS)}")
    site = Site(assets, rng)
    ahead, shadow_half = (0.0, 0.0, 0.0), 40.0
    if kind in PLACES:
        busy = kind == "traffic"
        corridor = road.lay_out(site) if kind == "road" else street.lay_out(site, busy)
        ahead = tuple(corridor.path.at(18.0))
        shadow_half = 48.0
        place = PLACES[kind](corridor)
    else:
        park.lay_out(site, yard=kind == "yard")
        place = _open_place(site)
    ground = site.palette.reflectance(site.ground)
    lighting, sky = daylight(assets, rng, ground, ahead, shadow_half)
    obstacles = np.array(site.obstacles + site.crowns, np.float64).reshape(-1, 6)
    scene = Scene(
        vertices=site.build(),
        kind=f"outdoor/{kind}",
        seed=seed,
        lighting=lighting,
        sky=sky,
        camera_sampler=lambda camera_rng: _free_pose(scene, place, camera_rng),
        obstacles=obstacles,
        near_limit=1.2 if kind == "traffic" else 0.45,
    )
    return scene


def _free_pose(scene: Scene, place: Place, rng: np.random.Generator) -> CameraPose:
    """Draw places until one is clear of every object; then a pitch, a roll and a lens.

    Raises:
        RuntimeError: the scene leaves no room for a camera.
    """
    for _ in range(TRIES):
        eye, yaw = place(rng)
        if not scene.is_inside_object(eye, CLEARANCE):
            break
    else:
        raise RuntimeError(f"no free camera place in scene {scene.kind} of seed {scene.seed}")
    driving = scene.kind == "outdoor/road"
    pitch = float(np.clip(rng.normal(-0.04, 0.05 if driving else 0.1), -0.5, 0.3))
    roll = float(rng.normal(0, 0.012 if driving else 0.025))
    field_of_view = rng.uniform(45, 80) if rng.random() < 0.6 else rng.uniform(75, 105)
    rotation = orientation(yaw, pitch, roll)
    return CameraPose(eye, rotation, math.tan(math.radians(field_of_view / 2)))


def _street_place(corridor: Corridor) -> Place:
    """A car's camera, a walker, a low robot or a camera on a pole, somewhere in a street."""

    def place(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        s, kind = rng.uniform(-20, 40), rng.random()
        turn = 0.0 if rng.random() < 0.8 else math.pi
        if kind < 0.45:
            lane = corridor.traffic * (1 if turn == 0 else -1)
            offset, height = lane * rng.uniform(0.1, 0.55) * corridor.half, rng.uniform(1.15, 1.8)
            yaw = rng.normal(0, 0.12)
        elif kind < 0.8:
            offset, height, yaw = (
                _on_pavement(corridor, rng),
                rng.uniform(1.3, 1.85),
                rng.normal(0, 0.55),
            )
        elif kind < 0.95:
            offset = (
                _on_pavement(corridor, rng)
                if rng.random() < 0.6
                else rng.uniform(-0.8, 0.8) * corridor.half
            )
            height, yaw = rng.uniform(0.3, 1.2), rng.normal(0, 0.45)
        else:
            offset, height, yaw = (
                _on_pavement(corridor, rng),
                rng.uniform(2.5, 6.0),
                rng.normal(0, 0.3),
            )
        lift = corridor.kerb if abs(offset) > corridor.half else 0.0
        return corridor.path.at(s, offset, height + lift), corridor.path.camera_yaw(s) + turn + yaw

    return place


def _on_pavement(corridor: Corridor, rng: np.random.Generator) -> float:
    return rng.choice([-1, 1]) * (
        corridor.half + rng.uniform(0.3, max(0.4, corridor.pavement - 0.35))
    )


def _road_place(corridor: Corridor) -> Place:
    """A camera behind a windscreen, at times one beside the road."""

    def place(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        s = rng.uniform(-30, 40)
        if rng.random() < 0.88:
            offset = corridor.traffic * rng.uniform(0.15, 0.75) * corridor.half
            height = rng.uniform(1.15, 1.8) if rng.random() < 0.8 else rng.uniform(1.8, 2.8)
            yaw = rng.normal(0, 0.07)
        else:
            offset = rng.choice([-1, 1]) * (corridor.half + rng.uniform(0.6, 2.0))
            height, yaw = rng.uniform(0.8, 1.8), rng.normal(0, 0.4)
        return corridor.path.at(s, offset, height), corridor.path.camera_yaw(s) + yaw

    return place


def _traffic_place(corridor: Corridor) -> Place:
    """One of the cameras around a car, or a robot's, on the road between other vehicles."""

    def place(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        s, offset = rng.uniform(-20, 40), corridor.traffic * rng.uniform(0.05, 0.95) * corridor.half
        height = rng.uniform(1.2, 2.1) if rng.random() < 0.75 else rng.uniform(0.4, 3.0)
        yaw = rng.normal(0, 0.15) if rng.random() < 0.4 else rng.uniform(0, 2 * math.pi)
        return corridor.path.at(s, offset, height), corridor.path.camera_yaw(s) + yaw

    return place


# Kinds along a road, and where their cameras are.
PLACES: dict[str, Callable[[Corridor], Place]] = {
    "street": _street_place,
    "road": _road_place,
    "traffic": _traffic_place,
}


def _open_place(site: Site) -> Place:
    """A walker or a low robot anywhere near the middle, looking anywhere."""

    def place(rng: np.random.Generator) -> tuple[np.ndarray, float]:
        x, z = rng.uniform(-9, 9, 2)
        height = rng.uniform(1.2, 1.9) if rng.random() < 0.65 else rng.uniform(0.3, 1.2)
        return np.array([x, site.level(x, z) + height, z]), rng.uniform(0, 2 * math.pi)

    return place
