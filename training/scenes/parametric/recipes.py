"""The parametric models: which there are, how many variants of each, and the roles they fill."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from training.scenes.parametric import (
    fixtures,
    furniture,
    heavy_vehicles,
    objects,
    people,
    plants,
    storage,
    street,
    vehicles,
    vessels,
)
from training.scenes.parametric.shapes import Kit


@dataclass(frozen=True)
class Recipe:
    """`count` variants of a model by `build`, listed under every one of `roles`."""

    name: str
    category: str
    count: int
    build: Callable[[Kit], None]
    roles: tuple[str, ...]


def _recipes(category: str, *rows: tuple[str, int, Callable[[Kit], None], str]) -> list[Recipe]:
    return [Recipe(n, category, count, build, tuple(r.split())) for n, count, build, r in rows]


RECIPES: tuple[Recipe, ...] = (
    *_recipes(
        "Furniture",
        ("dining table", 12, furniture.dining_table, "table freestanding"),
        ("coffee table", 8, furniture.coffee_table, "table freestanding"),
        ("desk", 10, furniture.desk, "table against_wall"),
        ("chair", 16, furniture.chair, "chair freestanding"),
        ("office chair", 8, furniture.office_chair, "chair freestanding"),
        ("stool", 8, furniture.stool, "chair freestanding"),
        ("sofa", 10, furniture.sofa, "sofa against_wall"),
        ("armchair", 10, furniture.armchair, "sofa against_wall freestanding"),
        ("bed", 8, furniture.bed, "against_wall"),
        ("nightstand", 6, storage.nightstand, "against_wall"),
        ("dresser", 8, storage.dresser, "against_wall"),
        ("wardrobe", 8, storage.wardrobe, "against_wall"),
        ("cabinet", 12, storage.cabinet, "against_wall"),
        ("television unit", 6, storage.tv_unit, "against_wall"),
        ("bookshelf", 14, storage.bookshelf, "against_wall"),
        ("storage rack", 6, storage.rack, "against_wall"),
        ("piano", 2, furniture.piano, "against_wall"),
        ("radiator", 4, furniture.radiator, "against_wall"),
    ),
    *_recipes(
        "Fixtures",
        ("kitchen unit", 16, fixtures.kitchen_unit, "kitchen"),
        ("oven", 6, fixtures.oven, "kitchen"),
        ("fridge", 6, fixtures.fridge, "kitchen against_wall"),
        ("washbasin", 6, fixtures.washbasin, "bath"),
        ("toilet", 5, fixtures.toilet, "bath"),
        ("bathtub", 5, fixtures.bathtub, "bath"),
        ("shower", 3, fixtures.shower, "bath"),
        ("door", 14, fixtures.door, "door"),
        ("window", 16, fixtures.window, "window"),
        ("curtain", 12, fixtures.curtain, "curtain"),
        ("ceiling lamp", 12, fixtures.ceiling_lamp, "ceiling_lamp"),
        ("floor lamp", 6, fixtures.floor_lamp, "freestanding plant"),
        ("table lamp", 5, fixtures.table_lamp, "clutter small"),
    ),
    *_recipes(
        "Objects",
        ("bottle", 14, vessels.bottle, "small clutter"),
        ("can", 8, vessels.can, "small clutter"),
        ("mug", 10, vessels.mug, "small clutter"),
        ("bowl", 12, vessels.bowl, "small clutter"),
        ("pot", 7, vessels.pot, "small clutter"),
        ("vase", 10, vessels.vase, "small clutter"),
        ("glass", 6, vessels.glass, "small clutter"),
        ("books", 10, objects.book_stack, "small clutter"),
        ("packet", 16, objects.packet, "small clutter"),
        ("laptop", 5, objects.laptop, "clutter small"),
        ("monitor", 6, objects.monitor, "clutter"),
        ("keyboard", 3, objects.keyboard, "clutter"),
        ("tool", 8, objects.tool, "small clutter"),
        ("toy", 14, objects.toy, "small clutter freestanding"),
        ("phone", 8, objects.phone, "small clutter"),
        ("shoes", 6, objects.shoe_pair, "small freestanding"),
        ("clock", 6, objects.clock, "small clutter"),
        ("bag", 7, objects.bag, "freestanding clutter"),
        ("carton", 12, objects.carton, "freestanding clutter"),
        ("basket", 8, objects.basket, "freestanding"),
        ("potted plant", 12, plants.potted_plant, "plant freestanding"),
        ("small plant", 8, plants.small_plant, "small clutter"),
    ),
    *_recipes(
        "People",
        ("adult", 22, people.adult, "people"),
        ("child", 7, people.child, "people"),
    ),
    *_recipes(
        "Vehicles",
        ("car", 44, vehicles.car, "car"),
        ("van", 12, vehicles.van, "car"),
        ("pick-up", 4, vehicles.pickup, "car"),
        ("truck", 8, heavy_vehicles.truck, "car"),
        ("bus", 4, heavy_vehicles.bus, "car"),
        ("bicycle", 6, heavy_vehicles.bicycle, "bike"),
    ),
    *_recipes(
        "Street",
        ("bench", 6, street.bench, "street"),
        ("bin", 6, street.bin_, "street"),
        ("lamp post", 8, street.lamp_post, "street"),
        ("traffic sign", 10, street.traffic_sign, "street"),
        ("traffic light", 4, street.traffic_light, "street"),
        ("cone", 3, street.cone, "street"),
        ("bollard", 4, street.bollard, "street"),
        ("hydrant", 2, street.hydrant, "street"),
        ("post box", 3, street.post_box, "street"),
        ("shelter", 3, street.shelter, "street"),
        ("planter", 5, street.planter, "street bush"),
        ("barrier", 4, street.barrier, "street"),
        ("playground", 4, street.playground, "street"),
        ("bush", 12, street.bush, "bush"),
        ("hedge", 5, street.hedge, "bush"),
        ("rock", 6, street.rock, "bush"),
    ),
)


@dataclass(frozen=True)
class BuiltModel:
    """One finished variant: its recipe and vertex rows (n, 13)."""

    recipe: Recipe
    rows: np.ndarray
    elevation: float
    drop: float


def parametric_models(surfaces: dict[str, list[int]], seed: int = 0) -> list[BuiltModel]:
    """Every variant of every recipe; `surfaces` are the texture layers to draw from.

    Each variant has its own random stream, so that adding one leaves the others as they were.
    """
    built = []
    for recipe in RECIPES:
        for index in range(recipe.count):
            rng = np.random.default_rng([seed, zlib.crc32(recipe.name.encode()), index])
            kit = Kit(surfaces, rng)
            recipe.build(kit)
            built.append(BuiltModel(recipe, kit.rows(), kit.elevation, kit.drop))
    return built
