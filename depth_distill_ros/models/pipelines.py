"""Lotus-D as its authors publish it: a diffusers pipeline's folder read as a ``DepthModel``.

The folder holds ``model_index.json``, ``unet/``, ``vae/``, ``text_encoder/``, ``tokenizer/`` and
``scheduler/`` (He et al., 2024; for instance jingheya/lotus-depth-d-v2-0-disparity). The text
encoder is run once, on the empty prompt. Nothing in such a folder says whether its UNet predicts
disparity or depth: only the published names do.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import hub
from depth_distill_ros.models.components import build_component, load_component
from depth_distill_ros.models.prompt import empty_prompt_embedding
from depth_distill_ros.models.provenance import Credit, Provenance, public_name, stated_licence

INDEX = "model_index.json"
_PUBLISHED = re.compile(r"lotus-(?P<task>depth|normal)-(?P<kind>[dg])(-[\w.-]*)?", re.IGNORECASE)


def is_pipeline(folder: Path) -> bool:
    """Whether a folder is a diffusers pipeline, and not a model of this package."""
    return (folder / INDEX).is_file()


@dataclass(frozen=True)
class LotusParts:
    """What a ``DepthModel`` needs of a Lotus-D pipeline.

    Attributes:
        unet: with 4 input channels and the task token as class embedding.
        autoencoder: the pipeline's ``vae``.
        prompt: the empty prompt's embedding, float32 (1, 2, C).
        value_space: what the output is proportional to.
        provenance: the pipeline as the model's origin, with the licence that its card states.
    """

    unet: nn.Module
    autoencoder: nn.Module
    prompt: torch.Tensor
    value_space: str
    provenance: Provenance


def load_lotus(
    folder: Path, source: str, value_space: str | None = None, empty_unet: bool = False
) -> LotusParts:
    """The parts of a Lotus-D pipeline in evaluation mode, float32, on the CPU.

    Args:
        folder: the pipeline's folder.
        source: what the user called it: a folder's name or a Hub id.
        value_space: "disparity" where the name does not say so.
        empty_unet: leave the UNet on the meta device.

    Raises:
        ModelError: a part is missing, damaged, a pickle, or not Lotus-D's; the value space is
            unknown or not disparity.
    """
    for part in ("unet", "vae"):
        if not (folder / part).is_dir():
            raise ModelError(f"the pipeline {folder} has no {part}/: fetch all of it")
    space = value_space or _published_value_space(folder, source)
    if space != "disparity":
        raise ModelError(
            f"{source} predicts {space}: students learn disparity, so take a teacher that "
            "predicts it (jingheya/lotus-depth-d-v2-0-disparity)"
        )
    unet = build_component(folder / "unet", "unet", empty=True)
    _check_task_token(unet, folder)
    licence = stated_licence(folder)
    return LotusParts(
        unet=unet if empty_unet else load_component(folder / "unet", "unet"),
        autoencoder=load_component(folder / "vae", "autoencoder"),
        prompt=empty_prompt_embedding(folder),
        value_space=space,
        provenance=Provenance(licence, (Credit("Lotus-D", public_name(source), licence),)),
    )


def _published_value_space(folder: Path, source: str) -> str:
    """The value space that a published name states.

    Looked for in the user's words, the folder's name, and the name that diffusers stored in
    ``model_index.json`` and ``unet/config.json`` when it saved them.
    """
    names = [source, folder.name]
    for path in (folder / INDEX, folder / "unet" / "config.json"):
        if path.is_file():
            names.append(str(hub.read_json(path).get("_name_or_path", "")))
    for text in names:
        if match := _PUBLISHED.search(text):
            if match["task"].lower() == "normal":
                return "surface normals"
            return "disparity" if "disparity" in match[0].lower() else "depth"
    raise ModelError(
        f"{source} is a diffusers pipeline that does not say whether it predicts disparity or "
        f"depth. If you know: d3epth models import {source} OUTPUT --value-space disparity"
    )


def _check_task_token(unet: nn.Module, folder: Path) -> None:
    expected = {
        "in_channels": 4,
        "out_channels": 4,
        "class_embed_type": "projection",
        "projection_class_embeddings_input_dim": 4,
    }
    wrong = [
        f"{field} is {unet.config.get(field)}, not {value}"
        for field, value in expected.items()
        if unet.config.get(field) != value
    ]
    if wrong:
        raise ModelError(
            f"{folder} is not Lotus-D ({'; '.join(wrong)}): its UNet takes the image's latents "
            "alone (8 channels: Lotus-G) and the task token as a class embedding"
        )
