"""What a training writes into the history of its model (``training.json``): for the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from depth_distill_ros.errors import DataError
from depth_distill_ros.models import hub
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.provenance import (
    Credit,
    Provenance,
    inherited_licence,
    public_name,
    stated_licence,
)
from training.config import CommonConfig, DataConfig, FeedConfig, to_plain
from training.data.streaming import read_index
from training.student import ROOT_PATTERNS, Source

DATA_SETS = {
    "hypersim": ("Hypersim", "https://github.com/apple/ml-hypersim", "cc-by-sa-3.0"),
    "virtual_kitti": (
        "Virtual KITTI 2",
        "https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2",
        "cc-by-nc-sa-3.0",
    ),
    "shards": ("Rendered scenes", "python -m training.scenes", ""),
    "frames": ("RGB-D sequences", "", ""),
    "stream": ("Prepared data set", "", ""),
    "virtual_kitti_clips": (
        "Virtual KITTI 2",
        "https://europe.naverlabs.com/proxy-virtual-worlds-vkitti-2",
        "cc-by-nc-sa-3.0",
    ),
    "clips": ("Rendered clips", "python -m training.scenes", ""),
    "video_frames": ("Videos", "", ""),
}
"""Name, place and licence of a kind of data, as its publishers state them; empty: not ours to say."""


def teacher_credit(teacher: DepthModel, source: str, licence: str) -> Credit:
    """The teacher as a model card names it.

    Args:
        teacher: the network.
        source: what the recipe calls it.
        licence: what the recipe says of it; empty takes what the teacher's own history says.
    """
    licence = licence or inherited_licence_of(teacher.provenance)
    return Credit(teacher.config.name, public_name(source), licence, "teacher")


def autoencoder_credit(choice: str, autoencoder: nn.Module) -> Credit:
    """An autoencoder of its own folder or Hub id as a model card names it."""
    licence = ""
    if not choice.startswith("random:"):
        folder = hub.resolve(choice, ROOT_PATTERNS) if hub.is_hub_id(choice) else Path(choice)
        licence = stated_licence(folder)
    return Credit(type(autoencoder).__name__, public_name(choice), licence, "autoencoder")


def inherited_licence_of(provenance: Provenance) -> str:
    """The licence of a model by its history; empty where the history is empty."""
    if provenance == Provenance():
        return ""
    return inherited_licence(provenance)[0]


def stage1_history(
    recipe: CommonConfig,
    teacher: Credit,
    source: Source | None,
    choice: str,
    autoencoder: nn.Module,
) -> Provenance:
    """The history of a student after stage 1: teacher, starting weights, autoencoder and data.

    ``choice`` is what the recipe calls the autoencoder.
    """
    credits = [teacher]
    if source is not None:
        credits.append(source.credit)
    if choice not in ("teacher", "kl", "tiny"):  # those come with the other two
        credits.append(autoencoder_credit(choice, autoencoder))
    return Provenance().extended(
        _stage("training.stage1", recipe), (*credits, *data_credits(recipe.data))
    )


def next_stage(
    before: Provenance, command: str, recipe: CommonConfig, *credits: Credit
) -> Provenance:
    """The history of a model after one more training on its own weights.

    Args:
        before: the history so far.
        command: module that trained, such as "training.stage2".
        recipe: of this training.
        credits: networks that came in with it.
    """
    # A licence that the authors of the weights stated speaks for these no longer, where the
    # networks they owe something to are known: theirs decide.
    licence = "" if credits or before.credits else before.licence
    stage = _stage(command, recipe)
    return before.extended(stage, (*credits, *data_credits(recipe.data)), licence)


def data_credits(data: DataConfig) -> tuple[Credit, ...]:
    """The data sets of a recipe, with their shares where there are several."""
    parts = data.mix or (FeedConfig(data.kind, data.folder),)
    total = sum(part.share for part in parts)
    credits = []
    for part in parts:
        kind = _prepared_kind(part.folder) if part.kind == "stream" else part.kind
        name, place, licence = DATA_SETS.get(kind, (kind, "", ""))
        note = f"{part.share / total:.0%} of the images" if len(parts) > 1 else ""
        credits.append(Credit(name, place or public_name(part.folder), licence, "data", note))
    return tuple(credits)


def _prepared_kind(folder: str) -> str:
    try:
        return str(read_index(folder)[0].get("kind", "stream"))
    except DataError:
        return "stream"  # the run itself says what is wrong with it


def _stage(command: str, recipe: CommonConfig) -> dict[str, Any]:
    plain = to_plain(recipe)
    plain["run"] = {k: v for k, v in plain["run"].items() if k != "output"}
    name = plain.pop("name", "")
    return {"command": f"python -m {command}", "name": name, "recipe": _without_paths(plain)}


def _without_paths(value: Any) -> Any:
    """Local paths cut to their last part: a history is published with the model."""
    if isinstance(value, dict):
        return {key: _without_paths(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_paths(item) for item in value]
    return public_name(value) if isinstance(value, str) and "/" in value else value
