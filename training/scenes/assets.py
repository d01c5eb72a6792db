"""The assets that scenes are built of, in two tiers.

``procedural`` draws everything from a seed and needs nothing but this package. ``full`` adds the
furniture and the photographed skies that ``python -m training.scenes.fetch`` puts into a cache.
Scene code asks for a surface or a role and need not know the tier: both fill all of them.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes.asset_types import ROLES, Assets, Model
from training.scenes.parametric import parametric_models
from training.scenes.textures import procedural_textures
from training.scenes.textures.skies import procedural_skies

Tier = Literal["procedural", "full"]
TIERS: tuple[Tier, ...] = ("procedural", "full")
FETCH_COMMAND = "python -m training.scenes.fetch"
CACHE_VARIABLE = "DEPTH_DISTILL_CACHE"
CACHE_FORMAT = 1  # raised when the files in the cache change their meaning


def default_cache() -> Path:
    """Where fetched assets lie: ``$DEPTH_DISTILL_CACHE``, else a folder of the user's cache."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE]) / "scene-assets"
    from platformdirs import user_cache_path

    return user_cache_path("depth_distill_ros") / "scene-assets"


def load_assets(tier: Tier = "procedural", cache: Path | None = None) -> Assets:
    """The assets of a tier; the same for every call, so do not write to the arrays.

    Args:
        tier: ``procedural`` or ``full``.
        cache: folder of the fetched set, by default :func:`default_cache`.

    Raises:
        DataError: an unknown tier, or ``full`` before it was fetched.
    """
    if tier == "procedural":
        return _procedural()
    if tier != "full":
        raise DataError(f"unknown asset tier '{tier}': choose one of {', '.join(TIERS)}")
    return _full(Path(cache) if cache else default_cache())


def mean_linear(textures: np.ndarray) -> np.ndarray:
    """Mean linear colour (L, 3) of uint8 RGBA textures, weighted by their alpha."""
    table = (np.arange(256, dtype=np.float32) / 255) ** 2.2
    means = np.empty((len(textures), 3), np.float32)
    for index, texture in enumerate(textures):
        weight = texture[..., 3:].astype(np.float32) + 1e-3
        means[index] = (table[texture[..., :3]] * weight).sum((0, 1)) / weight.sum()
    return means


@lru_cache(maxsize=1)
def _procedural() -> Assets:
    textures, surfaces = procedural_textures()
    models, roles, parts, start = [], {role: [] for role in ROLES}, [], 0
    for built in parametric_models(surfaces):
        low, high = built.rows[:, :3].min(0), built.rows[:, :3].max(0)
        size = tuple(float(s) for s in high - low)
        recipe = built.recipe
        for role in recipe.roles:
            if role != "small" or max(size) <= 0.36:
                roles[role].append(len(models))
        models.append(
            Model(
                recipe.name, recipe.category, "procedural", start, len(built.rows), size,
                built.elevation, built.drop,
            )
        )  # fmt: skip
        parts.append(built.rows)
        start += len(built.rows)
    skies, names = procedural_skies()
    licence = ["procedural textures, models and skies: made by this package, Apache-2.0"]
    return Assets(
        textures, mean_linear(textures), surfaces, np.concatenate(parts), models, roles, skies,
        names, licence,
    )  # fmt: skip


@lru_cache(maxsize=2)
def _full(cache: Path) -> Assets:
    """The procedural assets with the fetched ones behind them, so that layers keep their numbers."""
    from training.scenes.fetched.roles import roles_of

    index = _read_index(cache)
    base = _procedural()
    extra = np.load(cache / "textures.npy", allow_pickle=False)
    fetched = np.load(cache / "vertices.npy", mmap_mode="r", allow_pickle=False)
    skies = np.load(cache / "skies.npy", allow_pickle=False)
    surfaces = {name: list(layers) for name, layers in base.surfaces.items()}
    for name, layers in index["surfaces"].items():
        surfaces[name] += [layer + len(base.textures) for layer in layers]
    models = list(base.models)
    roles = {role: list(members) for role, members in base.roles.items()}
    parts, start = [base.vertices], len(base.vertices)
    for entry in index["models"]:
        model = Model(**dict(entry, size=tuple(entry["size"])))
        plays = roles_of(model)
        if not plays:
            continue
        for role in plays:
            roles[role].append(len(models))
        rows = np.array(fetched[model.start : model.start + model.count])
        rows[rows[:, 8] >= 0, 8] += len(base.textures)
        parts.append(rows)
        models.append(replace(model, start=start))
        start += model.count
    return Assets(
        textures=np.concatenate([base.textures, extra]),
        mean_albedo=np.concatenate([base.mean_albedo, mean_linear(extra)]),
        surfaces=surfaces,
        vertices=np.concatenate(parts),
        models=models,
        roles=roles,
        skies=base.skies + list(skies),
        sky_names=base.sky_names + index["skies"],
        licences=base.licences + index["licences"],
    )


def _read_index(cache: Path) -> dict:
    path = cache / "index.json"
    if not path.is_file():
        raise DataError(
            f"the full asset set is not in {cache}: fetch it once with '{FETCH_COMMAND}', "
            "or use the tier 'procedural'"
        )
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"{path} is damaged ({error}): run '{FETCH_COMMAND}' again") from error
    if index.get("format") != CACHE_FORMAT:
        raise DataError(f"{path} was made by another version: run '{FETCH_COMMAND}' again")
    return index
