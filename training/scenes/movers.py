"""Things that move through a scene of their own: people, cars, bicycles, chairs, things on a table.

Where they go is found with the eyes of the camera: a point of level ground that it sees is a place
where something can stand, on a floor, a pavement or a table top alike. A way leads through that
point, follows the ground, and is refused where it would touch anything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.scenes.assets import Assets
from training.scenes.collision import Surfaces
from training.scenes.mesh import transformed
from training.scenes.palette import Palette
from training.scenes.pile import random_object
from training.scenes.scene import CameraPose, Scene, SceneBuilder
from training.scenes.trajectory import is_free_path

MAX_ROWS = 45000  # vertex rows of a model; they are moved anew for every frame
ATTEMPTS = 24
LEVEL = 0.9  # least upward part of the normal of ground
CLEAR_OF_CAMERA = 1.5  # times the scene's near limit


@dataclass(frozen=True)
class Manner:
    """How one kind of thing moves.

    ``speed`` in m/s; ``step`` (metres) is the highest edge it gets over; ``ahead`` says that it
    faces where it goes, else it turns slowly; ``hop`` (metres) is how high its steps lift it.
    """

    speed: tuple[float, float]
    step: float
    ahead: bool = True
    hop: float = 0.0


MANNERS = {
    "people": Manner((0.5, 2.0), 0.2, hop=0.03),
    "car": Manner((2.0, 12.0), 0.07),
    "bike": Manner((1.5, 6.0), 0.07),
    "chair": Manner((0.2, 1.2), 0.03, ahead=False),
    "plant": Manner((0.2, 1.2), 0.03, ahead=False),
    "clutter": Manner((0.2, 1.5), 0.03, ahead=False, hop=0.1),
    "small": Manner((0.05, 0.4), 0.005, ahead=False, hop=0.01),
}
CASTS = {
    "indoor": {"people": 0.5, "chair": 0.2, "plant": 0.08, "clutter": 0.22},
    "tabletop": {"small": 1.0},
    "outdoor": {"people": 0.45, "car": 0.3, "bike": 0.2, "clutter": 0.05},
    "outdoor/road": {"car": 0.7, "bike": 0.15, "people": 0.15},
}
DISTANCES = {
    "indoor": (1.0, 6.0),
    "tabletop": (0.25, 1.2),
    "outdoor": (4.0, 25.0),
    "outdoor/road": (6.0, 40.0),
}


@dataclass(frozen=True)
class Mover:
    """One moving object: vertex rows about its origin, places (n, 3) and yaws (n,) over time.

    ``radius`` and ``height`` (metres) are those of the upright cylinder around it.
    """

    rows: np.ndarray
    places: np.ndarray
    yaws: np.ndarray
    radius: float
    height: float

    def at(self, index: int) -> np.ndarray:
        """Its vertex rows in the world at one of the times."""
        return transformed(self.rows, self.places[index], float(self.yaws[index]))

    def distance(self, points: np.ndarray) -> np.ndarray:
        """Distances (n,) at each time between the cylinder and points (n, 3)."""
        aside = np.hypot(*(points - self.places)[:, [0, 2]].T) - self.radius
        above = points[:, 1] - self.places[:, 1]
        outside = np.maximum(above - self.height, -above)
        return np.hypot(np.maximum(aside, 0), np.maximum(outside, 0))


def find_movers(
    scene: Scene,
    assets: Assets,
    depth: np.ndarray,
    key: int,
    path: Sequence[CameraPose],
    rate: float,
    count: int,
    rng: np.random.Generator,
) -> list[Mover]:
    """Up to ``count`` objects that move where the camera looks.

    Args:
        scene: through which they move.
        assets: what they are taken from.
        depth: what the camera sees of the scene at the time ``key``, (H, W).
        key: the number of a pose.
        path: the camera's pose at each time.
        rate: times a second.
        count: how many are tried; where no way is found there are fewer.
        rng: draws all that is random.
    """
    near, far = _of_kind(DISTANCES, scene.kind)
    ground = ground_points(depth, path[key], near, far)
    if not len(ground):
        return []
    eyes = np.array([pose.eye for pose in path])
    surfaces = _around(Surfaces(scene.vertices), np.concatenate([ground, eyes]))
    builder = SceneBuilder(assets, rng)
    found: list[Mover] = []
    for _ in range(count):
        cast = _of_kind(CASTS, scene.kind)
        role = str(rng.choice(list(cast), p=list(cast.values())))
        rows = _object(role, builder)
        for attempt in range(ATTEMPTS):
            point = ground[rng.integers(len(ground))]
            heading = _heading(scene.kind, role, path[key], rng)
            speed = rng.uniform(*MANNERS[role].speed) * 0.95**attempt  # short ways are often free
            way = _Way(point, heading, speed, key, rate, len(path))
            mover = _propose(rows, role, way, surfaces, rng)
            if mover is None or not _keeps_clear(mover, eyes, scene, found):
                continue
            if _is_free(mover, scene, surfaces):
                found.append(mover)
                break
    return found


def ground_points(depth: np.ndarray, pose: CameraPose, near: float, far: float) -> np.ndarray:
    """World points (n, 3) of level surfaces that the camera sees from above, near … far metres."""
    height, width = depth.shape
    tan = pose.tan_half_fov_x
    x = ((np.arange(width) + 0.5) / width * 2 - 1) * tan
    y = (1 - (np.arange(height) + 0.5) / height * 2) * tan * height / width
    rays = np.stack([*np.meshgrid(x, y), -np.ones_like(depth)], -1)
    points = rays * depth[..., None] @ pose.rotation.T + pose.eye
    right, down = np.diff(points[:-1], axis=1), np.diff(points[:, :-1], axis=0)
    normal = np.cross(down, right)
    size = np.linalg.norm(normal, axis=-1)
    level = normal[..., 1] > LEVEL * np.maximum(size, 1e-12)
    seen = depth[:-1, :-1]
    # a level pair of pixels across an edge is no ground: its two sides lie far apart
    whole = np.linalg.norm(right, axis=-1) < 0.1 * seen
    return points[:-1, :-1][level & whole & (seen > near) & (seen < far)]


def ground_under(
    surfaces: Surfaces, places: np.ndarray, key: int, step: float
) -> np.ndarray | None:
    """Height (n,) of the ground under places (n, 3), or None where it ends or rises.

    The place number ``key`` lies on the ground; from one place to the next the ground changes by
    up to ``step`` metres and a fifth of the distance between them.
    """
    reach = step + 0.2 * float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum())
    near = surfaces.near(places.min(0) - (0, reach, 0), places.max(0) + (0, reach, 0))
    corners = near.corners.astype(np.float64)
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    area = _cross(b - a, c - a)
    upright = np.abs(area) > 1e-12
    a, b, c, area = a[upright], b[upright], c[upright], area[upright]
    heights = np.empty(len(places))
    for order in (range(key, len(places)), range(key, -1, -1)):
        level, previous = places[key, 1], places[key]
        for i in order:
            u = _cross(b - places[i], c - places[i]) / area
            v = _cross(c - places[i], a - places[i]) / area
            inside = (u >= -1e-9) & (v >= -1e-9) & (u + v <= 1 + 1e-9)
            y = (u * a[:, 1] + v * b[:, 1] + (1 - u - v) * c[:, 1])[inside]
            y = y[np.abs(y - level) <= step + 0.2 * math.dist(previous, places[i])]
            if not len(y):
                return None
            heights[i] = level = float(y.max())
            previous = places[i]
    return heights


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Twice the signed area of triangles seen from above."""
    return a[:, 0] * b[:, 2] - a[:, 2] * b[:, 0]


def _of_kind(table: dict, kind: str):
    return table.get(kind) or table[kind.partition("/")[0]]


def _around(surfaces: Surfaces, points: np.ndarray) -> Surfaces:
    """The part of the scene in which things that pass these points can be."""
    margin = 0.5 * float(np.ptp(points[:, [0, 2]], axis=0).max()) + 0.5
    return surfaces.near(points.min(0) - margin, points.max(0) + margin)


def _object(role: str, builder: SceneBuilder) -> np.ndarray:
    """Vertex rows of a random object that plays the role."""
    rng, assets = builder.rng, builder.assets
    if role == "small":
        return random_object(builder, Palette(assets, rng), assets.roles["small"])
    models = [m for i in assets.roles[role] if (m := assets.models[i]).count <= MAX_ROWS]
    model = models[rng.integers(len(models))]
    rows = assets.vertices[model.start : model.start + model.count]
    return transformed(rows, scale=rng.uniform(0.9, 1.1), tint=rng.uniform(0.75, 1.2, 3))


def _heading(kind: str, role: str, pose: CameraPose, rng: np.random.Generator) -> float:
    """Yaw of the way: along the road, mostly across the view of other cameras."""
    forward = -pose.rotation[:, 2]
    yaw = math.atan2(forward[0], forward[2])
    if kind == "outdoor/road" and role != "people":
        return yaw + math.pi * rng.integers(2) + rng.normal(0, 0.1)
    return yaw + rng.choice([-1, 1]) * math.pi / 2 + rng.normal(0, 0.7)


@dataclass(frozen=True)
class _Way:
    """Through ``point`` at time ``key`` of ``count``, there with a yaw of ``heading``."""

    point: np.ndarray
    heading: float
    speed: float
    key: int
    rate: float
    count: int

    @property
    def times(self) -> np.ndarray:
        """Seconds from the time at which it passes the point."""
        return (np.arange(self.count) - self.key) / self.rate

    def run(self, rng: np.random.Generator) -> np.ndarray:
        """Metres (count,) along the way: at an even speed; or it stops, or turns back."""
        run = self.speed * self.times
        ends, when = rng.random(), self.speed * rng.uniform(0, self.times[-1] + 1e-6)
        if ends < 0.2:
            return np.minimum(run, when)
        return when - np.abs(run - when) if ends < 0.4 else run

    def along(self, run: np.ndarray, bend: float) -> tuple[np.ndarray, np.ndarray]:
        """Places (count, 3) and yaws (count,) on an arc of ``bend`` radians a metre."""
        middle = self.heading + bend * run / 2
        chord = run * np.sinc(bend * run / (2 * math.pi))
        steps = np.stack([np.sin(middle), np.zeros_like(run), np.cos(middle)], 1)
        return self.point + chord[:, None] * steps, self.heading + bend * run


def _propose(
    rows: np.ndarray, role: str, way: _Way, surfaces: Surfaces, rng: np.random.Generator
) -> Mover | None:
    """An object that goes along the way, or None if no ground bears it there."""
    manner, times = MANNERS[role], way.times
    run = way.run(rng)
    back = np.gradient(run) < 0
    places, yaw = way.along(run, rng.normal(0, 0.15) / max(way.speed, 0.1))
    if role == "small" and rng.random() < 0.4:  # carried through the air
        places[:, 1] += rng.uniform(0.03, 0.25) + rng.normal(0, 0.1) * run
    else:
        levels = ground_under(surfaces, places, way.key, manner.step)
        if levels is None:
            return None
        beat = math.pi * rng.uniform(1.6, 2.2) * times + rng.uniform(0, math.pi)
        moves = np.abs(np.gradient(run)) > 0
        hop = manner.hop * (manner.ahead or rng.random() < 0.3)
        places[:, 1] = levels + hop * np.abs(np.sin(beat)) * moves
    if manner.ahead:
        yaws = yaw + math.pi * back * (role == "people")
    else:
        yaws = rng.uniform(0, 2 * math.pi) + rng.normal(0, 0.6) * times
    radius = float(np.hypot(*np.abs(rows[:, [0, 2]]).max(0)))
    return Mover(rows, places, yaws, radius, float(rows[:, 1].max()))


def _keeps_clear(mover: Mover, eyes: np.ndarray, scene: Scene, others: list[Mover]) -> bool:
    """Whether it stays away from the camera and from other movers."""
    if mover.distance(eyes).min() < CLEAR_OF_CAMERA * scene.near_limit:
        return False
    return all(
        (np.hypot(*(mover.places - o.places)[:, [0, 2]].T) > mover.radius + o.radius).all()
        for o in others
    )


def _is_free(mover: Mover, scene: Scene, surfaces: Surfaces) -> bool:
    """Whether nothing is in the way of its length, at two heights of its middle."""
    half = np.ptp(mover.rows[:, :3], axis=0) / 2
    radius = min(half[0], half[2], 0.28 * mover.height)
    ends = np.stack([np.sin(mover.yaws), 0 * mover.yaws, np.cos(mover.yaws)], 1)
    ends = ends[[0, -1]] * max(half[2] - radius, 0)
    way = np.concatenate([mover.places[:1] - ends[0], mover.places, mover.places[-1:] + ends[1]])
    return all(
        is_free_path(scene, way + (0, share * mover.height, 0), radius, surfaces)
        for share in (0.32, 0.7)
    )
