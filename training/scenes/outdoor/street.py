"""A street: kerbs, pavements, buildings on both sides, traffic, trees, lamps and people."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from training.scenes.mesh import Material, box, quad, transformed
from training.scenes.outdoor.ground import Path, Terrain
from training.scenes.outdoor.site import Site
from training.scenes.outdoor.vegetation import Grove
from training.scenes.parametric.shapes import linear

WHITE = Material(colour=linear((0.85, 0.85, 0.82)), gloss=0.05)
YELLOW = Material(colour=linear((0.86, 0.68, 0.15)), gloss=0.05)


@dataclass
class Corridor:
    """The measures that builders and cameras share: the line, half road width, pavement, kerb."""

    path: Path
    half: float
    pavement: float
    kerb: float
    traffic: int = 1  # 1: drives on the right, −1: on the left

    @property
    def edge(self) -> float:
        """Offset of the outer edge of the pavement."""
        return self.half + self.pavement


@dataclass(frozen=True)
class Lanes:
    """Lanes of each direction: how many, and metres across one."""

    count: int
    width: float

    def half(self, rng: np.random.Generator) -> float:
        """Half the width of the road, at times with room to park."""
        return self.count * self.width + (rng.uniform(0, 0.6) if rng.random() < 0.6 else 2.3)


def lay_out(site: Site, busy: bool = False) -> Corridor:
    """Build a street (`busy`: an avenue whose lanes are full) and return its measures."""
    rng = site.rng
    lanes = Lanes(int(rng.integers(1, 5)), rng.uniform(2.8, 3.6)) if busy else None
    bend = rng.uniform(0, 0.0006) if rng.random() < 0.65 else rng.uniform(0.001, 0.005)
    path = Path(rng, -100.0, 210.0, bend, rng.uniform(0, 0.02))
    street = Corridor(
        path, lanes.half(rng) if lanes else rng.uniform(2.6, 6.5), rng.uniform(1.2, 4.5),
        rng.uniform(0.06, 0.17),
        1 if rng.random() < 0.75 else -1,
    )  # fmt: skip

    def profile(x: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        distance, level = path.nearest(x, z)
        return level - 0.3, np.clip((distance - street.edge - 14) / 60, 0, 1)

    grass = site.palette.surface(
        "grass" if rng.random() < 0.6 else "ground", low=2, high=5, gloss=0.02
    )
    site.lay_ground(Terrain(rng, profile, rng.uniform(0, 9)), grass)
    _surface(site, street)
    density = rng.uniform(0.1 if busy else 0.45, 1.0)
    for side in (-1, 1):
        _house_row(site, street, side, density)
    if lanes:
        _queues(site, street, lanes)
    _parked_cars(site, street)
    if not lanes:
        _moving_cars(site, street)
    _planting(site, street)
    _pavement_life(site, street)
    return street


def _surface(site: Site, street: Corridor) -> None:
    """Carriageway, markings, kerbs, pavements and the strip between them and the houses."""
    rng, path, palette = site.rng, street.path, site.palette
    road = palette.surface("asphalt", "asphalt", "concrete", low=2, high=5, gloss=0.25)
    paving = palette.surface("tile", "concrete", "asphalt", "brick", low=1.0, high=2.5, gloss=0.15)
    stone = Material(colour=palette.grey(0.2, 0.5))
    site.add(path.ribbon(-street.half, street.half, road))
    for side in (-1, 1):
        inner, outer = side * street.half, side * street.edge
        low, high = sorted((inner + side * 0.15, outer))
        site.add(path.ribbon(low, high, paving, (street.kerb, street.kerb)))
        low, high = sorted((inner, inner + side * 0.15))
        site.add(path.ribbon(low, high, stone, (street.kerb + 0.005, street.kerb + 0.005)))
        site.add(path.ribbon(inner, inner, stone, (-0.05, street.kerb)))
        far = side * (street.edge + 16)
        lifts = (street.kerb - 0.02, -0.28) if side > 0 else (-0.28, street.kerb - 0.02)
        site.add(path.ribbon(min(outer, far), max(outer, far), site.ground, lifts))
    paint = WHITE if rng.random() < 0.8 else YELLOW
    if rng.random() < 0.75:
        dash = rng.uniform(1.5, 4)
        site.add(path.line(0.0, 0.14, paint, dash, dash * rng.uniform(1.0, 2.0)))
    if rng.random() < 0.4:
        for side in (-1, 1):
            site.add(path.line(side * (street.half - rng.uniform(0.3, 2.2)), 0.12, WHITE))
    for _ in range(int(rng.integers(0, 3))):
        _crossing(site, street, rng.uniform(-15, 70))


def _crossing(site: Site, street: Corridor, s: float) -> None:
    """A zebra crossing."""
    for offset in np.arange(-street.half + 0.4, street.half - 0.5, 1.0):
        corner = street.path.at(s, offset, 0.015)
        across = street.path.at(s, offset + 0.5, 0.015) - corner
        along = street.path.at(s + 3.2, offset, 0.015) - corner
        site.add(quad(corner, across, along, WHITE))


def _house_row(site: Site, street: Corridor, side: int, density: float) -> None:
    rng, path = site.rng, street.path
    setback = street.edge + (rng.uniform(0, 0.3) if rng.random() < 0.6 else rng.uniform(1, 11))
    tall = rng.random() < 0.5
    terrace = rng.random() < 0.35  # one depth and height for the whole row
    shared = rng.uniform(6, 13), rng.uniform(4, 16)
    s = path.s[0]
    while s < path.s[-1] - 8:
        width = rng.uniform(5, 22)
        if rng.random() < density:
            depth, height = shared if terrace else (rng.uniform(7, 15), rng.uniform(3.2, 9))
            if tall and not terrace and rng.random() < 0.6:
                height = rng.uniform(9, 28)
            gap = 0.0 if terrace else rng.uniform(0, 3)
            middle = s + width / 2
            x, _, z = path.at(middle, side * (setback + depth / 2 + rng.uniform(0, 0.8)))
            yaw = path.yaw(middle) - side * math.pi / 2
            level = path.at(middle)[1] + street.kerb - 0.05
            size = (width - gap, height, depth)
            shop = setback - street.edge < 1.5 and rng.random() < 0.6
            site.put_building(x, z, yaw, size, shop, y=level)
        s += width
    if setback - street.edge > 1.0 and rng.random() < 0.7:
        _front_fence(site, street, side)


def _front_fence(site: Site, street: Corridor, side: int) -> None:
    rng, offset = site.rng, side * (street.edge + 0.1)
    height = rng.uniform(0.6, 1.9)
    wall = site.palette.surface(
        "brick", "wood", "plaster", "concrete", "grass", low=1, high=2.5, gloss=0.02
    )
    start, end = (-100, 210) if rng.random() < 0.5 else sorted(rng.uniform(-60, 150, 2))
    for shift in (0.0, side * 0.18):
        site.add(street.path.ribbon(offset + shift, offset + shift, wall, (0, height), start, end))
    low, high = sorted((offset, offset + side * 0.18))
    site.add(street.path.ribbon(low, high, wall, (height, height), start, end))


def _parked_cars(site: Site, street: Corridor) -> None:
    rng, path = site.rng, street.path
    for side in (-1, 1):
        if rng.random() < 0.2:
            continue
        s, close = rng.uniform(-50, -25), rng.random() < 0.6
        while s < 130 and site.has_room(0.45 if s < 60 else 0.35):
            s += rng.uniform(5.2, 7.5) if close and rng.random() < 0.8 else rng.uniform(8, 30)
            place = path.at(s, side * (street.half - rng.uniform(1.05, 1.25)))
            turn = 0.0 if side == street.traffic or rng.random() < 0.2 else math.pi
            site.put_vehicle(place[0], place[2], path.yaw(s) + turn + rng.normal(0, 0.03), place[1])


def _moving_cars(site: Site, street: Corridor) -> None:
    rng, path = site.rng, street.path
    for _ in range(int(rng.integers(0, 7))):
        side = int(rng.choice([-1, 1]))
        s = rng.uniform(-30, 25) if rng.random() < 0.3 else rng.uniform(15, 120)
        place = path.at(s, side * street.half * 0.32)
        turn = 0.0 if side == street.traffic else math.pi
        if site.has_room(0.6):
            site.put_vehicle(
                place[0], place[2], path.yaw(s) + turn + rng.normal(0, 0.02), place[1], 0.6
            )


def _queues(site: Site, street: Corridor, lanes: Lanes) -> None:
    """Lines between the lanes and vehicles close behind each other; nearest first, for the budget."""
    rng, path = site.rng, street.path
    places = []
    for side in (-1, 1):
        for lane in range(lanes.count):
            if lane:
                site.add(path.line(side * lane * lanes.width, 0.13, WHITE, 3.0, rng.uniform(3, 8)))
            s, gap = rng.uniform(-50, -40), rng.choice([2.0, 6.0, 20.0])
            while s < 120:
                s += rng.uniform(5.5, 7.0) + rng.exponential(gap)
                places.append((s, side * (lane + 0.5) * lanes.width + rng.normal(0, 0.15)))
    for s, offset in sorted(places, key=lambda place: abs(place[0] - 10)):
        if not site.has_room(0.6):
            return
        turn = 0.0 if offset * street.traffic > 0 else math.pi
        x, y, z = path.at(s, offset)
        site.put_vehicle(x, z, path.yaw(s) + turn + rng.normal(0, 0.03), y, 0.2)


def _planting(site: Site, street: Corridor) -> None:
    """Rows of trees and lamps, trees in front gardens and behind the houses."""
    rng, path = site.rng, street.path
    grove = Grove(site.palette, int(rng.integers(1, 4)))
    for side in (-1, 1):
        if rng.random() < 0.6:
            height, step, kind = rng.uniform(4, 11), rng.uniform(6, 18), int(rng.integers(3))
            for s in np.arange(-50, 140, step):
                place = path.at(s + rng.normal(0, 0.4), side * (street.half + 0.8), street.kerb)
                if rng.random() < 0.85:
                    site.plant(
                        grove, place[0], place[2], height * rng.uniform(0.75, 1.25), place[1], kind
                    )
        lamps = site.named("street", "lamp post lamppost")
        if rng.random() < 0.6 and lamps:
            model, phase = site.choice(lamps), rng.uniform(0, 10)
            for s in np.arange(-60, 180, rng.uniform(14, 30)):
                place = path.at(s + phase, side * (street.half + 0.45))
                yaw = path.yaw(s + phase) - side * math.pi / 2
                site.put(model, place[0], place[2], yaw, place[1] + street.kerb, 0)
    for _ in range(int(rng.integers(0, 30))):
        s, offset = rng.uniform(-60, 180), street.edge + rng.uniform(1.5, 40)
        place = path.at(s, offset * rng.choice([-1, 1]))
        if site.is_free(place[0], place[2], 1.0, 1.0):
            site.plant(grove, place[0], place[2], rng.uniform(3, 13))


def _pavement_life(site: Site, street: Corridor) -> None:
    """People, bicycles, signs and street furniture on the pavements; now and then on the road."""
    rng, path, roles = site.rng, street.path, site.assets.roles
    for _ in range(int(rng.integers(4, 34))):
        side, s = int(rng.choice([-1, 1])), rng.triangular(-30, 15, 110)
        kind = rng.random()
        role = (
            "people"
            if kind < 0.5
            else "street"
            if kind < 0.82
            else "bike"
            if kind < 0.9
            else "bush"
        )
        offset = side * (street.half + rng.uniform(0.4, max(0.5, street.pavement - 0.3)))
        yaw = path.yaw(s) + (rng.choice([0, math.pi]) if role == "people" else -side * math.pi / 2)
        lift = street.kerb
        if role in ("people", "bike") and rng.random() < 0.15:
            offset, lift = rng.uniform(-0.9, 0.9) * street.half, 0.0
        place = path.at(s, offset)
        site.put(
            site.choice(roles[role]),
            place[0],
            place[2],
            yaw + rng.normal(0, 0.5),
            place[1] + lift,
            0,
        )
    signs = site.named("street", "traffic")
    for _ in range(int(rng.integers(0, 6))):
        side, s = int(rng.choice([-1, 1])), rng.uniform(-20, 90)
        place = path.at(s, side * (street.half + 0.35))
        facing = path.yaw(s) + (math.pi if side == street.traffic else 0)
        site.put(site.choice(signs), place[0], place[2], facing, place[1] + street.kerb, 0)
    if rng.random() < 0.15:  # a footbridge or a gateway across the street
        _overpass(site, path, rng.uniform(40, 130), street.edge + 1, 2.5)


def _overpass(site: Site, path: Path, s: float, reach: float, width: float) -> None:
    """A bridge across the road with its piers."""
    rng = site.rng
    deck = site.palette.surface("concrete", "metal", low=1.5, high=4, gloss=0.1)
    clear, thick = rng.uniform(4.6, 6.2), rng.uniform(0.5, 1.3)
    rows = [box((-reach, clear, -width / 2), (reach, clear + thick, width / 2), deck)]
    for z in (-width / 2, width / 2 - 0.1):
        rows.append(
            box(
                (-reach, clear + thick, z),
                (reach, clear + thick + 1.1, z + 0.1),
                site.palette.plain(),
            )
        )
    for side in (-1, 1):
        pier = side * (reach - 0.6)
        rows.append(box((pier - 0.5, -1, -width * 0.4), (pier + 0.5, clear, width * 0.4), deck))
        place = path.at(s, pier)
        site.occupy(place[0], place[2], 0.8, 0.8)
    site.add(transformed(np.concatenate(rows), path.at(s), path.yaw(s)))
