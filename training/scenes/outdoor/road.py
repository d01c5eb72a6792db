"""Roads to drive along: country roads and motorways, straight and winding, seen far ahead."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.mesh import Material, box, quad, transformed
from training.scenes.outdoor.ground import Path, Terrain
from training.scenes.outdoor.site import Site
from training.scenes.outdoor.street import WHITE, YELLOW, Corridor, _overpass
from training.scenes.outdoor.vegetation import Grove
from training.scenes.parametric.shapes import linear, tube


def lay_out(site: Site) -> Corridor:
    """Build a road with its surroundings and return its measures; cameras look along +s."""
    rng = site.rng
    motorway = rng.random() < 0.45
    lanes = int(rng.integers(2, 4)) if motorway else 1
    lane = rng.uniform(3.2, 3.75) if motorway else rng.uniform(2.6, 3.5)
    median = rng.uniform(0.5, 3.5) if motorway else 0.0
    shoulder = rng.uniform(1.0, 2.8) if motorway else rng.uniform(0.2, 1.0)
    bend = 0.0 if rng.random() < 0.25 else rng.uniform(0.0003, 0.0025 if motorway else 0.006)
    path = Path(rng, -70.0, 316.0, bend, rng.uniform(0, 0.03 if motorway else 0.05))
    half = median / 2 + lanes * lane + shoulder
    road = Corridor(path, half, 0.0, 0.0, 1 if rng.random() < 0.75 else -1)
    _surroundings(site, road)
    _surface(site, road, lanes, lane, median, shoulder)
    _furniture(site, road, motorway, median)
    _traffic(site, road, lanes, lane, median)
    _vegetation(site, road)
    return road


def _surroundings(site: Site, road: Corridor) -> None:
    """Fields or grass over hills, and the verge that joins them to the road."""
    rng, path = site.rng, road.path
    ditch = rng.uniform(0.1, 1.2)

    def profile(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, level = path.nearest(x, z)
        # Cells grow with distance: hills begin where no coarse cell can cut into the road.
        return level - 0.5 - ditch, np.clip((distance - road.half - 12) / 70, 0, 1)

    kind = "grass" if rng.random() < 0.75 else "ground"
    ground = site.palette.surface(kind, low=2, high=6, gloss=0.02)
    site.lay_ground(Terrain(rng, profile, rng.uniform(1, 22)), ground)
    for side in (-1, 1):
        inner, outer = side * road.half, side * (road.half + 7)
        lifts = (-0.03, -0.45 - ditch) if side > 0 else (-0.45 - ditch, -0.03)
        site.add(path.ribbon(min(inner, outer), max(inner, outer), ground, lifts))


def _surface(
    site: Site, road: Corridor, lanes: int, lane: float, median: float, shoulder: float
) -> None:
    rng, path = site.rng, road.path
    site.add(
        path.ribbon(
            -road.half,
            road.half,
            site.palette.surface("asphalt", "concrete", low=2, high=5, gloss=0.25),
        )
    )
    middle = YELLOW if rng.random() < 0.25 else WHITE
    dash = rng.uniform(2, 6)
    if median:
        for side in (-1, 1):
            site.add(path.line(side * (median / 2 + 0.15), 0.16, middle))
            for k in range(1, lanes):
                site.add(
                    path.line(
                        side * (median / 2 + k * lane),
                        0.14,
                        WHITE,
                        dash,
                        dash * rng.uniform(1.5, 2.5),
                    )
                )
        if median > 1.2 and rng.random() < 0.7:
            grass = site.palette.surface("grass", low=2, high=4, gloss=0.02)
            site.add(path.ribbon(-median / 2 + 0.3, median / 2 - 0.3, grass, (0.03, 0.03)))
    elif rng.random() < 0.85:
        solid = rng.random() < 0.3
        site.add(path.line(0.0, 0.13, middle, 0 if solid else dash, dash * rng.uniform(1, 2.5)))
        if rng.random() < 0.2:
            site.add(path.line(0.28, 0.13, middle))
    if rng.random() < 0.85:
        for side in (-1, 1):
            site.add(path.line(side * (road.half - shoulder + 0.1), 0.14, WHITE))


def _furniture(site: Site, road: Corridor, motorway: bool, median: float) -> None:
    """Guard rails, delineators, poles, signs, gantries, bridges and noise barriers."""
    rng, path = site.rng, road.path
    steel = Material(colour=linear((0.62, 0.64, 0.66)), gloss=0.6)
    for side in (-1, 1):
        if rng.random() < (0.7 if motorway else 0.3):
            guard_rail(site, path, side * (road.half + 0.3), steel)
        elif rng.random() < 0.6:
            _delineators(site, path, side * (road.half + 0.4))
        if rng.random() < (0.2 if motorway else 0.05):
            wall = site.palette.surface("concrete", "wood", "metal", low=1.5, high=4, gloss=0.05)
            start, end = sorted(rng.uniform(-60, 300, 2))
            offset = side * (road.half + rng.uniform(2, 5))
            site.add(path.ribbon(offset, offset, wall, (-2, rng.uniform(2, 5)), start, end))
        if rng.random() < 0.3:
            _poles(site, path, side * (road.half + rng.uniform(2, 8)))
    if median:
        if rng.random() < 0.5:
            guard_rail(site, path, 0.0, steel)
        else:
            concrete = site.palette.surface("concrete", low=2, high=4, gloss=0.05)
            for low, high in ((-0.3, -0.1), (0.3, 0.1)):
                site.add(path.ribbon(low, high, concrete, (0, 0.85)))
            site.add(path.ribbon(-0.1, 0.1, concrete, (0.85, 0.85)))
    for _ in range(int(rng.integers(0, 3)) if motorway else rng.random() < 0.12):
        if rng.random() < 0.5:
            _gantry(site, road, rng.uniform(25, 220))
        else:
            _overpass(
                site, path, rng.uniform(50, 260), road.half + rng.uniform(2, 8), rng.uniform(4, 11)
            )
    signs, lamps = site.named("street", "traffic sign"), site.named("street", "lamp post")
    for _ in range(int(rng.integers(0, 7))):
        side, s = int(rng.choice([-1, 1])), rng.uniform(5, 160)
        place = path.at(s, side * (road.half + 1.0))
        facing = path.yaw(s) + (math.pi if side == road.traffic else 0)
        site.put(site.choice(signs), place[0], place[2], facing, place[1], 0)
    if rng.random() < 0.25:
        model, step = site.choice(lamps), rng.uniform(25, 45)
        for s in np.arange(-40, 300, step):
            for side in (-1, 1):
                place = path.at(s, side * (road.half + 0.9))
                site.put(model, place[0], place[2], path.yaw(s) - side * math.pi / 2, place[1], 0)


def guard_rail(site: Site, path: Path, offset: float, steel: Material) -> None:
    """A beam on posts; it may start and end along the way."""
    rng = site.rng
    start, end = (path.s[0], path.s[-1]) if rng.random() < 0.6 else sorted(rng.uniform(-60, 310, 2))
    if end - start < 20:
        return
    height = rng.uniform(0.62, 0.78)
    for low, high, shift in ((-0.3, -0.2, 0.0), (-0.2, -0.1, 0.04), (-0.1, 0.0, 0.0)):
        lean = (height + low, height + high)
        site.add(path.ribbon(offset + shift, offset + shift + 0.02, steel, lean, start, end))
    post = box((-0.05, -0.6, -0.06), (0.05, height - 0.05, 0.06), steel)
    for s in np.arange(start, min(end, 170), 4.0):
        site.add(transformed(post, path.at(s, offset), path.yaw(s)))


def _delineators(site: Site, path: Path, offset: float) -> None:
    white, dark = (
        Material(colour=linear((0.93, 0.93, 0.93))),
        Material(colour=linear((0.06, 0.06, 0.06))),
    )
    rows = np.concatenate(
        [
            box((-0.06, -0.2, -0.03), (0.06, 0.75, 0.03), white),
            box((-0.065, 0.75, -0.035), (0.065, 1.0, 0.035), dark),
        ]
    )
    step = site.rng.choice([12.5, 25.0, 50.0])
    for s in np.arange(-50, 250, step):
        site.add(transformed(rows, path.at(s, offset), path.yaw(s)))


def _poles(site: Site, path: Path, offset: float) -> None:
    """Telegraph or power poles with their wires."""
    rng, height = site.rng, site.rng.uniform(6, 10)
    wood = site.palette.surface("bark", "concrete", low=1, high=2, gloss=0.02)
    dark = Material(colour=(0.02, 0.02, 0.02))
    pole = tube((0, -2, 0), (0, height, 0), 0.14, wood, 0.1)
    arm = box((-1.0, height - 0.6, -0.06), (1.0, height - 0.45, 0.06), wood)
    rows = np.concatenate([pole, arm])
    step = rng.uniform(28, 50)
    places = np.arange(-60, 300, step)
    for s, after in zip(places, places[1:]):
        site.add(transformed(rows, path.at(s, offset), path.yaw(s)))
        for reach in (-0.9, 0.9):
            start, end = (
                path.at(s, offset + reach, height - 0.4),
                path.at(after, offset + reach, height - 0.4),
            )
            middle = (start + end) / 2 - (0, 0.9, 0)
            for a, b in ((start, middle), (middle, end)):
                site.add(quad(a, b - a, (0, 0.04, 0), dark))


def _gantry(site: Site, road: Corridor, s: float) -> None:
    """A sign bridge over one or both carriageways."""
    rng, path = site.rng, road.path
    steel = site.palette.plain(0.4)
    height, reach = rng.uniform(5.6, 7.0), road.half + 1.2
    rows = [box((-reach, height, -0.2), (reach, height + 0.5, 0.2), steel)]
    for side in (-1, 1):
        rows.append(
            box((side * reach - 0.2, -1, -0.2), (side * reach + 0.2, height + 0.5, 0.2), steel)
        )
    blue = Material(
        colour=linear(((0.05, 0.2, 0.55), (0.02, 0.35, 0.2))[int(rng.integers(2))]), gloss=0.2
    )
    for side in (-1, 1):
        if rng.random() < 0.75:
            wide, tall = rng.uniform(2.5, 4.5), rng.uniform(1.6, 3.0)
            x = side * rng.uniform(0.3, 0.6) * reach
            z = 0.25 if side != road.traffic else -0.25
            rows.append(
                box(
                    (x - wide / 2, height - 0.6, z - 0.03),
                    (x + wide / 2, height - 0.6 + tall, z + 0.03),
                    blue,
                )
            )
    site.add(transformed(np.concatenate(rows), path.at(s), path.yaw(s)))


def _traffic(site: Site, road: Corridor, lanes: int, lane: float, median: float) -> None:
    """Vehicles in every lane: in front, oncoming, and some behind."""
    rng, path = site.rng, road.path
    for side in (-1, 1):
        turn = 0.0 if side == road.traffic else math.pi
        for k in range(lanes):
            offset = side * (median / 2 + (k + 0.5) * lane)
            s, mean = rng.uniform(-60, 20), rng.uniform(12, 90)
            while s < 240 and site.has_room(0.5):
                s += 7 + rng.exponential(mean)
                if abs(s) < 5:
                    continue
                place = path.at(s, offset + rng.normal(0, 0.15))
                site.put_vehicle(
                    place[0], place[2], path.yaw(s) + turn + rng.normal(0, 0.01), place[1], 0.2
                )
    if rng.random() < 0.2:
        people = site.assets.roles["people"] + site.assets.roles["bike"]
        for _ in range(int(rng.integers(1, 4))):
            place = path.at(rng.uniform(6, 50), rng.choice([-1, 1]) * (road.half + 0.5))
            site.put(site.choice(people), place[0], place[2], rng.uniform(0, 6.28), place[1], 0)


def _vegetation(site: Site, road: Corridor) -> None:
    """Forest, avenues, scattered trees and bushes, and some houses."""
    rng, path = site.rng, road.path
    near = Grove(site.palette, int(rng.integers(1, 4)))
    far = Grove(site.palette, int(rng.integers(1, 4)), far=True)
    for _ in range(int(rng.integers(0, 9))):
        place = path.at(
            rng.uniform(10, 260), rng.choice([-1, 1]) * (road.half + rng.uniform(14, 90))
        )
        size = (rng.uniform(7, 20), rng.uniform(3, 9), rng.uniform(7, 14))
        if site.is_free(place[0], place[2], 12, 12) and not _on_road(road, place, 16):
            site.put_building(place[0], place[2], rng.uniform(0, 6.28), size)
    for side in (-1, 1):
        style = rng.choice(["forest", "avenue", "scattered", "open"], p=[0.3, 0.15, 0.35, 0.2])
        count = {"forest": 110, "avenue": 0, "scattered": 40, "open": 10}[style]
        border = road.half + rng.uniform(3.5, 9)
        if style == "avenue":
            height = rng.uniform(6, 13)
            for s in np.arange(-40, 230, rng.uniform(8, 18)):
                place = path.at(s, side * (road.half + 2.5))
                site.plant(
                    near if s < 60 else far,
                    place[0],
                    place[2],
                    height * rng.uniform(0.8, 1.2),
                    kind=side + 1,
                )
        low, high = (5, 15) if style == "forest" else (3, 12)
        for _ in range(count):
            s, out = (
                rng.uniform(-40, 310),
                border + rng.exponential(14 if style == "forest" else 30),
            )
            place = path.at(s, side * out)
            if not _on_road(road, place, 2.5):
                grove = near if abs(s) < 70 and out < 40 else far
                site.plant(grove, place[0], place[2], rng.uniform(low, high))
        for _ in range(int(rng.integers(0, 22))):
            place = path.at(rng.uniform(-10, 120), side * (road.half + rng.uniform(1.5, 14)))
            if not _on_road(road, place, 1.0):
                model = site.choice(site.assets.roles["bush"])
                site.put(model, place[0], place[2], rng.uniform(0, 6.28), margin=0)


def _on_road(road: Corridor, place: np.ndarray, margin: float) -> bool:
    """Whether a place beside one stretch of the road lies on another (the line bends)."""
    distance, _ = road.path.nearest(np.array([place[0]]), np.array([place[2]]))
    return bool(distance[0] < road.half + margin)
