"""Light in a room: windows, sun, lamps, and what the surfaces send back of it."""

from __future__ import annotations

import numpy as np

from training.scenes.mesh import Material, box
from training.scenes.palette import Palette
from training.scenes.room import Room
from training.scenes.scene import Lighting, SceneBuilder


def room_lighting(
    kind: str, room: Room, builder: SceneBuilder, palette: Palette, daylight, fills
) -> Lighting:
    """Sky light through windows, sun, a lamp, and what the surfaces send back of it all.

    ``daylight`` (3,) is the radiance of the sky, None at night; ``fills`` are lights set before.
    """
    rng, fills = builder.rng, list(fills)
    if daylight is not None:
        for window in room.windows:
            middle = window.start + window.width / 2
            point, _ = room.at(window.wall, middle, 0.25, window.sill + window.height * 0.55)
            area = window.width * window.height
            fills.append((point, daylight * area * rng.uniform(0.5, 1.1)))
    warm = np.array([1.0, rng.uniform(0.7, 0.95), rng.uniform(0.4, 0.95)])
    is_on = daylight is None or not room.windows or rng.random() < 0.5
    lamp_position = _add_lamp(room, builder, is_on)
    strength = rng.uniform(1.5, 4.5) * (room.height / 2.5) ** 2
    if kind == "store":
        strength *= 1.5
    lamp = warm * (strength if is_on else 0.0)
    if kind in ("office", "corridor", "store") and (kind == "store" or rng.random() < 0.5):
        fills += _ceiling_panels(room, builder, warm, int(rng.integers(1, 6)))
    direction, sun = np.array([0.0, 1.0, 0.0]), np.zeros(3)
    if daylight is not None and room.windows and rng.random() < 0.6:
        window = room.windows[rng.integers(len(room.windows))]
        _, along, normal = room.axes(window.wall)
        direction = -normal + along * rng.uniform(-0.8, 0.8) + (0, rng.uniform(0.35, 1.1), 0)
        sun = np.array([1.0, 0.93, 0.82]) * rng.uniform(3, 9)
    ambient = _ambient(room, palette, fills, lamp, sun, rng)
    box_ = ((0.0, room.height / 2, 0.0), max(room.width, room.depth) * 0.9)
    return Lighting(
        ambient, direction, sun, box_, lamp_position, lamp, fills[-8:], rng.uniform(0.3, 0.8)
    )


def _ambient(room, palette, fills, lamp, sun, rng) -> np.ndarray:
    """Indirect light (6, 3): half a bounce off the walls, tinted by them."""
    wall, floor = palette.reflectance(room.walls[0]), palette.reflectance(room.floor)
    spread = 20.0 / max(20.0, room.width * room.depth)  # one lamp lights a hall less than a room
    total = 0.22 * sum(float(np.mean(power)) for _, power in fills)
    total = max((total + 0.16 * lamp.mean()) * spread**0.5 + 0.03 * sun.mean(), 0.12)
    total *= rng.uniform(0.5, 1.3)
    base = total * 0.75 * (0.55 * wall + 0.2 + 0.2 * floor)
    ambient = np.stack([base * rng.uniform(0.75, 1.25) for _ in range(6)])
    ambient[2] = total * (0.5 * wall + 0.4)
    ambient[3] = total * (0.6 * wall + 0.4 * floor) * 0.9
    return ambient


def _add_lamp(room: Room, builder: SceneBuilder, is_on: bool) -> np.ndarray:
    """A pendant or a panel at the ceiling; returns where its light comes from."""
    rng, assets = builder.rng, builder.assets
    x, z = rng.uniform(-0.4, 0.4) * room.width, rng.uniform(-0.4, 0.4) * room.depth
    kind = rng.random()
    if kind < 0.5 and assets.roles["ceiling_lamp"]:
        model = builder.choice(assets.roles["ceiling_lamp"])
        bottom = room.height - assets.models[model].size[1]
        builder.place(model, (x, bottom, z))
        return np.array([x, bottom - 0.1, z])
    if kind < 0.75:
        a = rng.uniform(0.1, 0.6)
        b = a * float(rng.choice([1.0, 0.3]))
        panel = Material(-1, 1, (1, 1, 1), -6.0 if is_on else 0.2)
        low, high = (x - a, room.height - 0.05, z - b), (x + a, room.height - 0.001, z + b)
        builder.add(box(low, high, panel))
    return np.array([x, room.height - 0.12, z])


def _ceiling_panels(room: Room, builder: SceneBuilder, warm, count: int) -> list:
    """Square luminaires in a row along the longer side."""
    rng, lights = builder.rng, []
    panel = Material(-1, 1, (1, 1, 1), -5.0)
    for k in range(count):
        run = (k + 0.5) / count - 0.5
        x, z = (run, 0.0) if room.width > room.depth else (0.0, run)
        x, z = x * room.width, z * room.depth
        y = room.height
        builder.add(box((x - 0.3, y - 0.02, z - 0.3), (x + 0.3, y - 0.001, z + 0.3), panel))
        lights.append((np.array([x, y - 0.25, z]), warm * rng.uniform(0.5, 1.5)))
    return lights
