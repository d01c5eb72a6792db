"""Parts of a model as diffusers folders: ``config.json`` beside safetensors; saved, loaded, checked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLTemporalDecoder,
    AutoencoderTiny,
    UNet2DConditionModel,
    UNetSpatioTemporalConditionModel,
)
from diffusers.utils import logging
from safetensors.torch import safe_open, save_file
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.dpt_head import DPTHead
from depth_distill_ros.models.hub import read_json
from depth_distill_ros.models.image_encoder import ImageEncoder
from depth_distill_ros.models.image_stem import ImageStem
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.transformers_prior import TransformersPrior
from depth_distill_ros.models.weight_files import WEIGHTS_NAME, check_fit, load_folder, shapes_of

_CLASSES = {
    "unet": (UNet2DConditionModel, UNetSpatioTemporalConditionModel),
    "autoencoder": (AutoencoderKL, AutoencoderKLTemporalDecoder, AutoencoderTiny, ImageStem),
    "prior": (DepthPrior, TransformersPrior),
    "head": (DPTHead,),
    "image_encoder": (ImageEncoder,),
}

_OLD_ATTENTION = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def load_component(folder: Path, part: str) -> nn.Module:
    """One part of a model in evaluation mode, float32, on the CPU.

    Args:
        folder: its folder, with ``config.json`` and the weights as safetensors: one file,
            shards, or the half-precision variant.
        part: "unet", "autoencoder", "prior" or "head".

    Raises:
        ModelError: a file is missing or damaged, there are only pickles, or weights and
            configuration do not match; the message lists what differs.
    """
    module = build_component(folder, part, empty=True)  # no random weights that are thrown away
    tensors = _current_names(load_folder(folder))
    own = shapes_of(module.state_dict())
    check_fit(own, shapes_of(tensors), f"the weights of {part} do not fit its config.json")
    if len(own) < sum(1 for _ in (*module.parameters(), *module.buffers())):
        module = build_component(folder, part)  # it computes buffers that no file holds
        module.load_state_dict(tensors)
        return module.float().eval()
    # Copied: tensors in a mapped file are not aligned, which changes the last bits of results.
    module.to_empty(device="cpu").load_state_dict(tensors)
    return module.float().eval()


def build_component(folder: Path, part: str, empty: bool = False) -> nn.Module:
    """The network that a part's ``config.json`` describes, with random weights.

    Args:
        folder: its folder.
        part: "unet", "autoencoder", "prior" or "head".
        empty: build it on the meta device: shapes and configuration, no memory.

    Raises:
        ModelError: the file is missing or damaged, or names another class than the part's.
    """
    fields = read_json(folder / "config.json")
    cls = _class_of(part, fields)
    try:
        with _quiet_diffusers(), torch.device("meta" if empty else "cpu"):
            return cls.from_config(fields)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder / 'config.json'} cannot be built: {error}") from error


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
        tensors[key] = stored.contiguous()
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


def _current_names(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of today for the attention in autoencoders that diffusers saved before 0.15."""
    renamed = {}
    for name, tensor in tensors.items():
        if ".attentions." in name:
            for old, new in _OLD_ATTENTION.items():
                name = name.replace(f".{old}.", f".{new}.")
        renamed[name] = tensor
    return renamed


@contextlib.contextmanager
def _quiet_diffusers() -> Iterator[None]:
    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
