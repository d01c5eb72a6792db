"""Parts of a model as diffusers folders: ``config.json`` beside safetensors; saved, loaded, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from diffusers.utils import logging
from safetensors.torch import load_file, safe_open, save_file
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.dpt_head import DPTHead
from depth_distill_ros.models.hub import read_json
from depth_distill_ros.models.prior import DepthPrior

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
_CLASSES = {
    "unet": (UNet2DConditionModel,),
    "autoencoder": (AutoencoderKL, AutoencoderTiny),
    "prior": (DepthPrior,),
    "head": (DPTHead,),
}


def load_component(folder: Path, part: str) -> nn.Module:
    """One part of a model in evaluation mode, float32, on the CPU.

    Args:
        folder: its folder, with ``config.json`` and the weights.
        part: "unet", "autoencoder", "prior" or "head".

    Raises:
        ModelError: a file is missing or damaged, or weights and configuration do not match; the
            message lists what differs.
    """
    fields = read_json(folder / "config.json")
    cls = _class_of(part, fields)
    weights = folder / WEIGHTS_NAME
    if not weights.exists():
        raise ModelError(f"the model lacks {weights}: copy or fetch it again")
    try:
        with _quiet_diffusers():
            module = cls.from_config(fields)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be built: {error}") from error
    _load_weights(module, load_tensors(weights), part)
    return module.float().eval()


def load_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a safetensors file; ModelError when it cannot be read."""
    try:
        return load_file(path)
    except Exception as error:  # safetensors raises its own error types, all of them a bad file
        raise ModelError(f"{path} is not a readable safetensors file: {error}") from error


def save_component(module: nn.Module, folder: Path, dtype: torch.dtype | None = None) -> None:
    """Write ``config.json`` and the weights.

    Args:
        module: a diffusers model.
        folder: where to.
        dtype: of the stored parameters; None keeps theirs. Buffers stay as they are: running
            variances of batch normalisation can exceed what half precision holds (65504).

    Raises:
        ModelError: a finite parameter is beyond the range of ``dtype``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    module.save_config(folder)
    parameters = {name for name, _ in module.named_parameters()}
    tensors = {}
    for key, value in module.state_dict().items():
        stored = value.detach().cpu()
        if dtype is not None and key in parameters:
            stored = stored.to(dtype)
            if not torch.equal(stored.isfinite(), value.detach().cpu().isfinite()):
                raise ModelError(f"{key} holds numbers beyond the range of {dtype}: store float32")
        tensors[key] = stored.contiguous().clone()
    save_file(tensors, folder / WEIGHTS_NAME, metadata={"format": "pt"})


def stored_parameters(folder: Path) -> dict[str, int]:
    """Numbers stored in a model folder's weight files, by part, read from the headers alone."""
    counts: dict[str, int] = {}
    for path in sorted(folder.glob("*/*.safetensors")):
        with safe_open(path, framework="pt") as tensors:
            names = tensors.keys()
            total = sum(torch.Size(tensors.get_slice(n).get_shape()).numel() for n in names)
        counts[path.parent.name] = counts.get(path.parent.name, 0) + total
    return counts


def _class_of(part: str, fields: dict) -> type:
    by_name = {cls.__name__: cls for cls in _CLASSES[part]}
    name = fields.get("_class_name")
    if name not in by_name:
        raise ModelError(
            f"{part}/config.json names the class '{name}': known are {', '.join(by_name)}"
        )
    return by_name[name]


def _load_weights(module: nn.Module, tensors: dict[str, torch.Tensor], part: str) -> None:
    own = module.state_dict()
    missing = sorted(own.keys() - tensors.keys())
    unknown = sorted(tensors.keys() - own.keys())
    shapes = [
        f"{key}: {tuple(tensors[key].shape)} stored, {tuple(own[key].shape)} expected"
        for key in own.keys() & tensors.keys()
        if own[key].shape != tensors[key].shape
    ]
    if missing or unknown or shapes:
        found = [
            f"{len(items)} {label} (first: {items[0]})"
            for label, items in (
                ("missing", missing),
                ("unknown", unknown),
                ("of another shape", sorted(shapes)),
            )
            if items
        ]
        raise ModelError(f"the weights of {part} do not fit its config.json: {'; '.join(found)}")
    module.load_state_dict(tensors)


@contextlib.contextmanager
def _quiet_diffusers() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
