"""Indoor scenes: living rooms, offices, kitchens, bathrooms, corridors, shops, and mixtures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from training.scenes.aisles import fill_aisles
from training.scenes.camera import looking_at, orientation, random_height, random_tan
from training.scenes.furnish import Furnisher
from training.scenes.mesh import Material, box, quad
from training.scenes.palette import Palette
from training.scenes.room import Room, add_openings, build_shell
from training.scenes.room_light import room_lighting
from training.scenes.scene import CameraPose, Scene, SceneBuilder, Sky

if TYPE_CHECKING:
    from training.scenes.assets import Assets

KINDS = {
    "living": 0.27, "office": 0.19, "kitchen": 0.14, "mixed": 0.18,
    "corridor": 0.08, "bath": 0.05, "store": 0.09,
    "closeup": 0.0,  # a piece of furniture that fills the view: only where it is asked for
}  # fmt: skip
CLOSEUP_ROOMS = ("living", "office", "kitchen", "mixed")
WALL_ROLES = {
    "living": ["against_wall"], "office": ["against_wall"], "kitchen": ["kitchen"],
    "mixed": ["against_wall", "freestanding"], "corridor": ["against_wall"],
    "bath": ["bath", "bath", "against_wall"], "store": ["against_wall", "freestanding"],
}  # fmt: skip
TYPICAL = {
    "office": ("desk", "office", "monitor", "computer", "laptop", "screen", "keyboard", "printer",
               "phone", "filing", "cabinet", "bookshelf", "shelves", "rack"),
    "living": ("sofa", "couch", "armchair", "coffee", "television", "tv ", "bookcase", "bookshelf",
               "dining", "piano", "fireplace", "vase", "books", "plant", "lamp"),
}  # fmt: skip


def indoor(assets: Assets, seed: int, kind: str | None = None) -> Scene:
    """Build one furnished room; the same seed gives the same scene."""
    rng = np.random.default_rng(seed)
    kind = kind or str(rng.choice(list(KINDS), p=list(KINDS.values())))
    style = str(rng.choice(CLOSEUP_ROOMS)) if kind == "closeup" else kind
    camera = _close_camera if kind == "closeup" else _camera
    builder, palette = SceneBuilder(assets, rng), Palette(assets, rng)
    room = random_room(style, palette)
    fills = raise_walls(room, builder, palette)
    _furnish(style, room, builder, palette)
    lighting, sky = light_and_sky(style, room, builder, palette, fills)
    scene = Scene(
        builder.build(),
        f"indoor/{kind}",
        seed,
        lighting,
        sky,
        lambda r: camera(scene, room, r),
        np.array(builder.obstacles).reshape(-1, 6),
        near_limit=0.3,
    )
    return scene


def raise_walls(room: Room, builder: SceneBuilder, palette: Palette) -> list:
    """Walls with windows and doors, and what lies outside; returns the lights behind open doors."""
    rng = builder.rng
    windows = int(rng.choice([0, 1, 2, 3], p=[0.15, 0.4, 0.3, 0.15]))
    add_openings(room, builder, windows, int(rng.integers(1, 3)))
    lights = build_shell(room, builder, palette)
    _outside(room, builder, palette)
    return lights


def light_and_sky(kind, room: Room, builder: SceneBuilder, palette: Palette, fills):
    """Lighting and sky of a room by day (three of four) or at night."""
    rng, assets = builder.rng, builder.assets
    is_day = bool(rng.random() < 0.75)
    colour = np.array([0.75, 0.88, 1.05]) * rng.uniform(0.7, 1.2)
    if not is_day:
        colour = np.array([0.02, 0.03, 0.05])
    lighting = room_lighting(kind, room, builder, palette, colour if is_day else None, fills)
    panorama = None
    if assets.skies and rng.random() < 0.6:
        panorama = builder.choice(assets.outdoor_skies or range(len(assets.skies)))
    gain = rng.uniform(1, 5) if is_day else 0.02
    turn, clouds = rng.random(), rng.random()
    return lighting, Sky(panorama, gain, turn, colour * 1.2, colour * 2.2, clouds)


def random_room(kind: str, palette: Palette) -> Room:
    """Size and surfaces of the shell, without openings."""
    rng = palette.rng
    width, depth = rng.uniform(2.4, 7.5, 2)
    height = rng.uniform(2.3, 3.3)
    if kind == "corridor":
        width, depth = rng.uniform(1.4, 2.6), rng.uniform(5, 16)
    elif kind == "bath":
        width, depth = rng.uniform(1.8, 3.5, 2)
    elif kind == "store":
        width, depth, height = rng.uniform(6, 16), rng.uniform(8, 24), rng.uniform(2.8, 6.5)
    base = palette.paint() if rng.random() < 0.68 else _wall_pattern(kind, palette)
    walls = [base] * 4
    if rng.random() < 0.35:
        other = (
            palette.paint() if rng.random() < 0.5 else palette.surface("plaster", "wood", "brick")
        )
        walls[int(rng.integers(4))] = other
    ceiling = Material(palette.layer("paint"), rng.uniform(1, 3), palette.grey(0.6, 0.95), 0.0)
    if rng.random() < 0.15:
        ceiling = palette.surface("plaster", "tile", "concrete", low=0.5, high=1.5, gloss=0.1)
    trim_colour = palette.grey() if rng.random() < 0.6 else palette.colour(0.05, 0.5)
    trim = Material(-1, 1, trim_colour, 0.3)
    return Room(width, depth, height, palette.floor(), ceiling, walls, trim)


def _wall_pattern(kind: str, palette: Palette) -> Material:
    if kind in ("bath", "kitchen"):
        return palette.surface("tile", low=0.4, high=1.5)
    if kind in ("store", "corridor"):
        return palette.surface("concrete", "plaster", "brick", "metal", low=1.0, high=3.0)
    return palette.surface("plaster", "fabric", "wood", "brick", low=0.6, high=2.5)


def _furnish(kind: str, room: Room, builder: SceneBuilder, palette: Palette) -> None:
    rng = builder.rng
    furnisher = Furnisher(room, builder, palette, TYPICAL.get(kind, ()))
    if kind not in ("bath", "store") and rng.random() < 0.4:
        furnisher.rug()
    if kind == "kitchen":
        furnisher.kitchen_line()
    if kind == "store":
        fill_aisles(furnisher)
    if kind == "corridor":
        furnisher.along_walls(WALL_ROLES[kind], int(rng.integers(0, 6)))
    else:
        furnisher.along_walls(WALL_ROLES[kind], int(rng.integers(8, 30)))
        furnisher.table_groups(int(rng.integers(0, 2) if kind == "bath" else rng.integers(2, 8)))
    furnisher.scatter(["freestanding", "freestanding", "plant"], int(rng.integers(2, 18)))
    furnisher.cartons(int(rng.integers(0, 6)))
    if rng.random() < 0.2 and kind != "bath":
        for _ in range(int(rng.integers(1, 3))):
            furnisher.scatter(["people"], 1)
    furnisher.pictures(int(rng.integers(0, 8)))


def _outside(room: Room, builder: SceneBuilder, palette: Palette) -> None:
    """Ground and a few houses before the windows, so that they show something at a distance."""
    rng = builder.rng
    if not room.windows or rng.random() < 0.35:
        return
    ground = -rng.uniform(0.3, 12.0)
    skin = palette.surface("grass", "asphalt", "ground", low=2, high=5, gloss=0.05)
    builder.add(quad((-120, ground, 120), (240, 0, 0), (0, 0, -240), skin))
    for _ in range(int(rng.integers(1, 5))):
        window = room.windows[rng.integers(len(room.windows))]
        point, _ = room.at(window.wall, window.start, -rng.uniform(12, 60))
        x, z = point[[0, 2]] + rng.normal(0, 8, 2)
        half, height = rng.uniform(3, 9), rng.uniform(3, 18)
        gap = max(abs(x) - room.width / 2, abs(z) - room.depth / 2)
        if gap > half + 4:
            facade = palette.surface("facade", low=5, high=8)
            low, high = (x - half, ground, z - half), (x + half, ground + height, z + half)
            roof = palette.surface("roof", low=2, high=4)
            builder.add(box(low, high, facade, rng.uniform(0, 1.5), top=roof))


def _camera(scene: Scene, room: Room, rng: np.random.Generator) -> CameraPose:
    """A camera that stands free and looks into the room."""
    hx, hz = room.width / 2, room.depth / 2
    for _ in range(60):
        y = random_height(rng, room.height)
        eye = np.array([rng.uniform(-hx + 0.2, hx - 0.2), y, rng.uniform(-hz + 0.2, hz - 0.2)])
        if scene.is_inside_object(eye, 0.15):
            continue
        target = rng.uniform(-0.8, 0.8, 2) * (hx, hz)
        dx, dz = target - eye[[0, 2]]
        if math.hypot(dx, dz) > min(1.3, 0.6 * max(hx, hz)):
            break
    yaw = math.atan2(-dx, -dz)
    pitch = float(np.clip(rng.normal(-0.13 * eye[1], 0.2), -0.85, 0.35))
    if rng.random() < 0.05:
        pitch = rng.uniform(-1.3, -0.6)
    return CameraPose(eye, orientation(yaw, pitch, rng.normal(0, 0.05)), random_tan(rng))


def _close_camera(scene: Scene, room: Room, rng: np.random.Generator) -> CameraPose:
    """A camera that looks at a piece of furniture from once to twice its size, as far as walls allow;
    any other where that finds no place."""
    things = scene.obstacles[np.isfinite(scene.obstacles).all(axis=1)]
    things = things[things[:, 5] - np.maximum(things[:, 4], 0) > 0.35]
    for _ in range(60):
        if not len(things):
            break
        x, z, half_x, half_z, bottom, top = things[rng.integers(len(things))]
        size = max(2 * half_x, 2 * half_z, top - bottom)
        reach, turn = size * rng.uniform(0.9, 2.0), rng.uniform(0, 2 * math.pi)
        height = float(np.clip(rng.uniform(bottom, top + 0.8), 0.2, room.height - 0.2))
        eye = np.array([x + reach * math.sin(turn), height, z + reach * math.cos(turn)])
        walls = np.array([room.width, room.depth]) / 2 - 0.2
        if np.all(np.abs(eye[[0, 2]]) < walls) and not scene.is_inside_object(eye, 0.15):
            middle = np.array([x, rng.uniform(bottom, top), z])
            middle += rng.normal(0, 0.15 * size, 3)
            return CameraPose(eye, looking_at(eye, middle, rng.normal(0, 0.05)), random_tan(rng))
    return _camera(scene, room, rng)
