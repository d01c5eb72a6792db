"""Weight files: safetensors in diffusers' names, whole or in shards; pickles are never opened.

A pickle can run any code while it is read. Only safetensors are read here, and every set of
tensors is compared with the network that it is for before one of them is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.hub import read_json

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
PICKLE_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
LISTED = 10
"""Entries of each kind that a refusal lists."""

_PICKLE_REMEDY = (
    "pickles can run code when they are read and are never opened here. Take a revision that has "
    "safetensors, or convert it where you trust it (diffusers: save_pretrained with "
    "safe_serialization=True)"
)


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file.

    Raises:
        ModelError: it is a pickle, or cannot be read.
    """
    if path.suffix in PICKLE_SUFFIXES:
        raise ModelError(f"{path} is a pickle: {_PICKLE_REMEDY}")
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own error types, all of them a bad file
        raise ModelError(f"{path} is not a readable safetensors file: {error}") from error


def load_folder(folder: Path, stem: str = "diffusion_pytorch_model") -> dict[str, torch.Tensor]:
    """All tensors of a diffusers folder: one file, several shards, or the half-precision variant.

    Raises:
        ModelError: there are none, only pickles, or a shard is missing.
    """
    whole, half = folder / f"{stem}.safetensors", folder / f"{stem}.fp16.safetensors"
    index = folder / f"{stem}.safetensors.index.json"
    if not whole.exists() and index.exists():
        return _load_shards(index)
    if not whole.exists() and half.exists():
        whole = half
    if whole.exists():
        return load_tensors(whole)
    pickles = [p.name for p in sorted(folder.glob("*")) if p.suffix in PICKLE_SUFFIXES]
    if pickles:
        raise ModelError(
            f"{folder} holds its weights as pickles only ({_some(pickles)}): {_PICKLE_REMEDY}"
        )
    raise ModelError(f"the model lacks {whole}: copy or fetch it again")


def _load_shards(index: Path) -> dict[str, torch.Tensor]:
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(n, str) for n in places.values()):
        raise ModelError(f"{index} has no weight_map of names to files")
    tensors: dict[str, torch.Tensor] = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise ModelError(f"{index} points outside its folder: '{name}'")
        tensors.update(load_tensors(index.parent / name))
    return tensors


Shapes = Mapping[str, torch.Size | tuple[int, ...]]


def shapes_of(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def differences(expected: Shapes, stored: Shapes) -> str:
    """What keeps stored tensors from fitting a network, in one line; empty when they fit.

    Args:
        expected: shapes of the network's tensors by name.
        stored: shapes of the stored ones.
    """
    shapes = [
        f"{name}: {tuple(stored[name])} stored, {tuple(expected[name])} expected"
        for name in sorted(expected.keys() & stored.keys())
        if tuple(expected[name]) != tuple(stored[name])
    ]
    kinds = (
        ("missing", sorted(expected.keys() - stored.keys())),
        ("unknown", sorted(stored.keys() - expected.keys())),
        ("of another shape", shapes),
    )
    return "; ".join(f"{len(items)} {label} ({_some(items)})" for label, items in kinds if items)


def check_fit(expected: Shapes, stored: Shapes, what: str) -> None:
    """Refuse tensors that do not fit a network: ModelError with the list of what differs.

    Args:
        expected: shapes of the network's tensors by name.
        stored: shapes of the stored ones.
        what: the subject of the message, such as "the weights of unet".
    """
    found = differences(expected, stored)
    if found:
        raise ModelError(f"{what}: {found}")


def _some(items: list[str]) -> str:
    listed = ", ".join(items[:LISTED])
    return listed if len(items) <= LISTED else f"{listed} and {len(items) - LISTED} more"
