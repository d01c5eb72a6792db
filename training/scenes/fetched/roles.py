"""Which roles a fetched model can play, decided by its name, category and size: a table of rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from training.scenes.asset_types import Model

HOME = ("Living room", "Bedroom", "Office", "Kitchen", "Miscellaneous", "Bathroom")
SEATING_ROOMS = ("Living room", "Office", "Kitchen")
MAX_ROWS = 90_000  # vertex rows; heavier models would eat a scene's triangle budget


def _always(model: Model) -> bool:
    return True


@dataclass(frozen=True)
class Rule:
    """A model has `role` when all of these hold; `words` and `without` are searched in its name."""

    role: str
    words: str = ""
    without: str = ""
    categories: tuple[str, ...] = ()
    size: Callable[[Model], bool] = _always
    max_rows: int = MAX_ROWS

    def fits(self, model: Model) -> bool:
        name = model.name.lower()
        return (
            (not self.words or re.search(self.words, name) is not None)
            and (not self.without or re.search(self.without, name) is None)
            and (not self.categories or model.category in self.categories)
            and model.count < self.max_rows
            and self.size(model)
        )


def _width(model: Model) -> float:
    return model.size[0]


def _height(model: Model) -> float:
    return model.size[1]


def _on_floor(model: Model) -> bool:
    return model.elevation < 0.1


_WALL_WORDS = (
    "bookcase|wardrobe|cupboard|shelves|cabinet|dresser|tv unit|tv stand|television|piano|fireplace"
    "|chest|fridge|refrigerator|oven|washer|washing|dishwasher|cooker|stove|desk|sofa|couch|bed"
    "|radiator|washbasin|toilet|sink|bath|armchair|locker|vanity|bench|filing|dressing|futon"
)
_NOT_CLUTTER = (
    "plug|switch|socket|light source|pendant|ceiling|hanging|wall|hood|detector|cctv|door|window"
)
_FITTING = "plug|switch|socket|carpet|rug|ceiling|railing|light source|door|window"

RULES: tuple[Rule, ...] = (
    Rule("against_wall", _WALL_WORDS, "door|window", HOME, lambda m: m.elevation < 0.3 and _height(m) > 0.3 and 0.3 < _width(m) and max(m.size) < 3.3),  # fmt: skip
    Rule("kitchen", "", "door|window", ("Kitchen",), lambda m: m.elevation < 0.2 and _height(m) > 0.6 and _width(m) < 1.4),  # fmt: skip
    Rule("bath", "washbasin|toilet|sink|bath|shower|bidet|washing|towel", "door|window", ("Bathroom",), lambda m: m.elevation < 0.3 and _height(m) > 0.3),  # fmt: skip
    Rule("table", "table|desk|island", "tablet|bedside|tennis bat|dressing|lamp|fan|chair", SEATING_ROOMS, lambda m: _on_floor(m) and _width(m) > 0.45 and 0.3 < _height(m) < 1.2),  # fmt: skip
    Rule("chair", "chair|stool|seat|puff", "", SEATING_ROOMS, lambda m: _on_floor(m) and _height(m) > 0.3),  # fmt: skip
    Rule("sofa", "sofa|couch|armchair", "", ("Living room",)),
    Rule("freestanding", "", _FITTING, (*HOME, "Characters"), lambda m: _on_floor(m) and _height(m) > 0.12 and 0.15 < max(m.size) < 2.8),  # fmt: skip
    Rule("clutter", "", _NOT_CLUTTER, (*HOME, "Lights"), lambda m: 0.04 < max(m.size) < 0.65 and _height(m) > 0.02, 30_000),  # fmt: skip
    Rule("small", "", _NOT_CLUTTER, (*HOME, "Lights"), lambda m: 0.04 < max(m.size) <= 0.35 and _height(m) > 0.02, 30_000),  # fmt: skip
    Rule("plant", "plant|ficus|flower|yucca|bamboo|vase|cactus|uplight|floor lamp", "", ("Living room", "Lights", "Exterior", "Miscellaneous"), lambda m: _on_floor(m) and _height(m) < 2.2),  # fmt: skip
    Rule("door", "door", "frame|open|window|garage|gate", ("Doors and windows",), lambda m: 1.8 < _height(m) < 2.6 and 0.5 < _width(m) < 2.2),  # fmt: skip
    Rule("window", "window", "shutter|roof|triang|round|arch|door", ("Doors and windows",), lambda m: 0.6 < _height(m) < 2.4 and 0.4 < _width(m) < 3),  # fmt: skip
    Rule("ceiling_lamp", "pendant|hanging light|ceiling|chandelier", "fan", (), lambda m: _height(m) < 1.2),  # fmt: skip
    Rule("curtain", "curtain|blind", "shower", (), lambda m: _height(m) > 0.8),
    Rule("people", r"\b(male|female|man|woman|boy|girl|child)\b|male|boy|girl", "lying|sitting|seated", ("Characters",), lambda m: _height(m) > 1.0),  # fmt: skip
    Rule("car", "", "", ("Vehicles",), lambda m: _height(m) > 1.1 and max(m.size) > 2.5, 120_000),
    Rule("bike", "bicycle|bike|cycle|scooter", "", ("Vehicles",), lambda m: _height(m) > 0.7 and max(m.size) < 2.5),  # fmt: skip
    Rule("bush", "bush|hedge|plant|flower box|rock|ficus", "", ("Exterior",), lambda m: _height(m) < 3.0, 60_000),  # fmt: skip
    Rule(
        "street",
        "bench|bank|trash|hydrant|mailbox|letters box|lamppost|street l|park light|cone|recycling|barrel"
        "|crate|pedestrian railing|outdoor lamp|lantern|table|chair|container|cafe|swing|seesaw",
        "",
        ("Exterior", "Lights"),
        lambda m: max(m.size) < 6,
        60_000,
    ),
)  # fmt: skip


def roles_of(model: Model) -> list[str]:
    """The roles of a fetched model, in the order of :data:`RULES`."""
    return [rule.role for rule in RULES if rule.fits(model)]
