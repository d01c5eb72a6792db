"""All kinds of scene by name, and how often each is drawn."""

from __future__ import annotations

from importlib import import_module

from depth_distill_ros.errors import DataError
from training.scenes.assets import Assets
from training.scenes.scene import Scene

MIXTURE = {"indoor": 0.45, "outdoor": 0.37, "tabletop": 0.18}


def _family(name: str):
    """The module of a family; imported late, since each pulls in much of the package."""
    return import_module(f"training.scenes.{name}")


def all_kinds() -> list[str]:
    """Every kind, such as ``indoor/office``."""
    return [f"{family}/{kind}" for family in MIXTURE for kind in _family(family).KINDS]


def mixture(kinds: tuple[str, ...] | None = None) -> tuple[list[str], list[float]]:
    """Names and probabilities of the kinds to draw from. Raises DataError for unknown names."""
    names = list(kinds or MIXTURE)
    for name in names:
        family, _, member = name.partition("/")
        if family not in MIXTURE or (member and member not in _family(family).KINDS):
            raise DataError(
                f"unknown kind of scene '{name}': choose of {', '.join(MIXTURE)} or of "
                f"{', '.join(all_kinds())}"
            )
    weights = []
    for name in names:
        family, _, member = name.partition("/")
        share = _family(family).KINDS[member] if member else 1.0
        weights.append(MIXTURE[family] * share)
    if not sum(weights):  # kinds that no mixture holds, asked for by name
        weights = [1.0] * len(weights)
    return names, [weight / sum(weights) for weight in weights]


def build_scene(assets: Assets, kind: str, seed: int) -> Scene:
    """Build a scene of a family (``indoor``) or of one member (``indoor/office``)."""
    family, _, member = kind.partition("/")
    return getattr(_family(family), family)(assets, seed, member or None)
