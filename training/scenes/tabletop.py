"""Close-range scenes: tables with objects, bins from above, shelves from near, desk close-ups."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training.scenes.aisles import rack
from training.scenes.camera import looking_at, random_tan
from training.scenes.furnish import Furnisher
from training.scenes.indoor import light_and_sky, raise_walls, random_room
from training.scenes.mesh import box, cylinder, transformed
from training.scenes.palette import Palette
from training.scenes.pile import Pile
from training.scenes.room import Room
from training.scenes.scene import CameraPose, Scene, SceneBuilder

if TYPE_CHECKING:
    from training.scenes.assets import Assets

KINDS = {"table": 0.42, "bin": 0.2, "shelf": 0.2, "macro": 0.18}


def tabletop(assets: Assets, seed: int, kind: str | None = None) -> Scene:
    """Build one close-range scene in a room; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    builder, palette = SceneBuilder(assets, rng), Palette(assets, rng)
    room = random_room("living", palette)
    fills = raise_walls(room, builder, palette)
    models = assets.roles["small"]
    if kind == "shelf":
        aim = _shelf(room, builder, palette, models)
    else:
        aim = _table(kind, room, builder, palette, models)
    furnisher = Furnisher(room, builder, palette)
    furnisher.along_walls(["against_wall"], int(rng.integers(0, 12)))
    furnisher.scatter(["chair", "freestanding", "plant"], int(rng.integers(0, 6)))
    furnisher.pictures(int(rng.integers(0, 5)))
    lighting, sky = light_and_sky("living", room, builder, palette, fills)
    lighting.ao_radius = rng.uniform(0.06, 0.2)
    scene = Scene(
        builder.build(),
        f"tabletop/{kind}",
        seed,
        lighting,
        sky,
        lambda r: _camera(kind, scene, room, aim, r),
        np.array(builder.obstacles).reshape(-1, 6),
        near_limit={"macro": 0.1, "shelf": 0.15}.get(kind, 0.18),
    )
    return scene


def _table(kind: str, room: Room, builder: SceneBuilder, palette: Palette, models) -> tuple:
    """A table with things on it; returns the box (low, high) at which cameras aim."""
    rng = builder.rng
    width, depth = rng.uniform(0.7, 1.8), rng.uniform(0.5, 1.0)
    height = float(
        rng.choice([rng.uniform(0.4, 0.5), rng.uniform(0.7, 0.78), rng.uniform(0.85, 1)])
    )
    if rng.random() < 0.5:
        wall = int(rng.integers(4))
        width = min(width, room.length(wall) - 0.4)
        reach = room.length(wall) / 2 - width / 2 - 0.1
        along = room.length(wall) / 2 + rng.uniform(-reach, reach)
        (x, _, z), yaw = room.at(wall, along, depth / 2 + 0.03)
    else:
        yaw = rng.uniform(0, math.pi)
        span = np.array([room.width, room.depth]) / 2 - 0.75 * max(width, depth)
        x, z = rng.uniform(-1, 1, 2) * np.maximum(span, 0)
    builder.add(transformed(_table_rows(width, depth, height, builder, palette), (x, 0, z), yaw))
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    half_x, half_z = (width * c + depth * s) / 2, (width * s + depth * c) / 2
    builder.occupy(x, z, half_x, half_z, 0.0, height)
    if kind == "bin":
        rows, low, high = _bin(builder, palette, min(width, depth), models)
        middle = rng.uniform(-0.5, 0.5) * (width - (high - low)[0])
        rows = transformed(rows, (middle, 0, 0), rng.normal(0, 0.1))
        low, high = low + (middle, 0, 0), high + (middle, 0, 0)
    else:
        pile = Pile(width, depth, builder, palette)
        near = kind == "macro"
        pile.scatter(models, int(rng.integers(6, 30)), stack=rng.random() < 0.15)
        if near and rng.random() < 0.5:
            pile.scatter(models, int(rng.integers(5, 15)), stack=True)
        rows = np.concatenate(pile.parts) if pile.parts else np.zeros((0, 13), np.float32)
        low, high = (
            np.array([-width / 2, 0, -depth / 2]) * 0.8,
            np.array([width / 2, 0.15, depth / 2]) * 0.8,
        )
    builder.add(transformed(rows, (x, height, z), yaw))
    return low, high, np.array([x, height, z]), yaw


def _table_rows(width, depth, height, builder: SceneBuilder, palette: Palette) -> np.ndarray:
    """A top, at times with a cloth or mat, on four legs or a pedestal."""
    rng = builder.rng
    top = palette.surface("wood", low=0.5, high=1.6) if rng.random() < 0.6 else palette.plain(0.4)
    kind = rng.random()
    if kind < 0.1:
        top = palette.surface("fabric", low=0.2, high=0.8, gloss=0.02)
    elif kind < 0.2:
        top = palette.surface("tile", "metal", "concrete", "misc", low=0.3, high=1.2)
    thick, leg = rng.uniform(0.015, 0.05), rng.uniform(0.02, 0.045)
    y = height - thick
    parts = [box((-width / 2, y, -depth / 2), (width / 2, height, depth / 2), top)]
    legs = palette.plain(0.3) if rng.random() < 0.5 else top
    if rng.random() < 0.8:
        for sx in (-1, 1):
            for sz in (-1, 1):
                cx, cz = sx * (width / 2 - 0.05), sz * (depth / 2 - 0.05)
                parts.append(box((cx - leg, 0, cz - leg), (cx + leg, y, cz + leg), legs))
    else:
        parts.append(cylinder(0.04, y, legs, 12))
        parts.append(cylinder(min(width, depth) * 0.3, 0.03, legs, 20))
    if rng.random() < 0.15:
        a, b = rng.uniform(0.15, 0.35), rng.uniform(0.1, 0.25)
        mat = palette.surface("fabric", "carpet", low=0.1, high=0.4, gloss=0.02)
        parts.append(box((-a, height, -b), (a, height + 0.002, b), mat))
    return np.concatenate(parts)


def _bin(builder: SceneBuilder, palette: Palette, room: float, models):
    """An open container with a heap in it: rows on y = 0 and the box (low, high) of its inside."""
    rng = builder.rng
    depth = min(rng.uniform(0.22, 0.5), room - 0.02)
    width = min(depth * rng.uniform(1.0, 1.6), 0.75)
    height, thick = rng.uniform(0.06, 0.3), rng.uniform(0.003, 0.02)
    kind = rng.random()
    if kind < 0.55:
        skin = palette.plain(0.3)
    else:
        skin = palette.surface("cardboard", "wood", "metal", low=0.3, high=1.0)
    hx, hz = width / 2, depth / 2
    sides = [
        ((-hx, 0, -hz), (hx, thick, hz)),
        ((-hx, 0, -hz), (-hx + thick, height, hz)),
        ((hx - thick, 0, -hz), (hx, height, hz)),
        ((-hx, 0, -hz), (hx, height, -hz + thick)),
        ((-hx, 0, hz - thick), (hx, height, hz)),
    ]
    parts = [box(low, high, skin) for low, high in sides]
    pile = Pile(width - 2 * thick - 0.01, depth - 2 * thick - 0.01, builder, palette)
    kinds = [builder.choice(models) for _ in range(int(rng.integers(2, 14)))]
    limit = height + rng.uniform(-0.02, 0.12)
    pile.scatter(kinds, int(rng.integers(8, 45)), max(limit, 0.05), tilt=0.18, stack=True)
    parts += [transformed(rows, (0, thick, 0)) for rows in pile.parts]
    return np.concatenate(parts), np.array([-hx, 0, -hz]) * 0.8, np.array([hx, height, hz]) * 0.8


def _shelf(room: Room, builder: SceneBuilder, palette: Palette, models) -> tuple:
    """A filled rack against a wall; returns the box at which cameras aim."""
    rng = builder.rng
    wall = int(rng.integers(4))
    width = min(rng.uniform(0.6, 1.8), room.length(wall) - 0.3)
    height, depth = min(rng.uniform(0.8, 2.2), room.height - 0.2), rng.uniform(0.22, 0.5)
    boards = max(2, round(height / rng.uniform(0.22, 0.42)))
    rows = rack(builder, palette, width, height, depth, boards, models, dividers=rng.random() < 0.4)
    reach = room.length(wall) / 2 - width / 2 - 0.05
    along = room.length(wall) / 2 + rng.uniform(-reach, reach)
    (x, _, z), yaw = room.at(wall, along, depth / 2 + 0.02)
    builder.add(transformed(rows, (x, 0, z), yaw))
    c, s = abs(math.cos(yaw)), abs(math.sin(yaw))
    builder.occupy(x, z, (width * c + depth * s) / 2, (width * s + depth * c) / 2, 0.0, height)
    low, high = np.array([-width / 2, 0.2, 0.0]), np.array([width / 2, height - 0.1, depth / 2])
    return low * (0.8, 1, 1), high * (0.8, 1, 1), np.array([x, 0.0, z]), yaw


def _camera(kind: str, scene: Scene, room: Room, aim: tuple, rng) -> CameraPose:
    """A camera near the things, inside the room and outside the furniture."""
    low, high, origin, yaw = aim
    turn = np.array(
        [[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]]
    )
    for _ in range(60):
        target = origin + turn @ rng.uniform(low, high)
        if kind == "bin":
            distance, rise = rng.uniform(0.4, 1.1), math.radians(rng.uniform(48, 89))
            swing = rng.uniform(0, 2 * math.pi)
        elif kind == "shelf":
            distance, rise = rng.uniform(0.3, 1.3), math.radians(rng.normal(5, 14))
            swing = yaw + rng.normal(0, 0.45)
        else:
            distance = rng.uniform(0.18, 0.6) if kind == "macro" else rng.uniform(0.35, 1.4)
            rise = math.radians(rng.uniform(12, 80))
            swing = rng.uniform(0, 2 * math.pi)
        direction = np.array([
            math.sin(swing) * math.cos(rise), math.sin(rise), math.cos(swing) * math.cos(rise)
        ])  # fmt: skip
        eye = target + distance * direction
        inside = np.abs(eye[[0, 2]]) < np.array([room.width, room.depth]) / 2 - 0.05
        if inside.all() and eye[1] < room.height - 0.1 and not scene.is_inside_object(eye, 0.03):
            break
    rotation = looking_at(eye, target, rng.normal(0, 0.08))
    return CameraPose(eye, rotation, random_tan(rng))
