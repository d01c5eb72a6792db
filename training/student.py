"""A student's UNet from published weights: SDXS-0.9 from its Hub folder or its original checkpoint.

Source weights must fit the preset tensor by tensor. Only what a text-to-image UNet cannot have is
made here, so that the first prediction equals the source network's:

* ``class_embedding``, the MLP of the task token: its last layer starts at zero, so the token adds
  nothing to the time embedding until training says so (the zero layers of ControlNet);
* input channels beyond the source's, when a depth prior stands in front of the image latents
  (``[z_prior, z_rgb]``). As many as the source's (a depth map through the same autoencoder,
  ApDepth): its weights twice, halved, as in Marigold (section 3.2), which keeps the size of the
  activations. Any other number are features of another kind: zero, the image's keep the source's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import PartialState
from diffusers import UNet2DConditionModel
from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import hub
from depth_distill_ros.models.components import build_component
from depth_distill_ros.models.provenance import Credit, public_name, stated_licence
from depth_distill_ros.models.unet import build_unet
from depth_distill_ros.models.weight_files import (
    PICKLE_SUFFIXES,
    check_fit,
    load_folder,
    load_tensors,
    shapes_of,
)

ROOT_PATTERNS = ("README.md", "config.json", "diffusion_pytorch_model*.safetensors")
AUTOENCODER_PATTERNS = ("vae*/*.json", "vae*/*.safetensors")
HUB_PATTERNS = (*ROOT_PATTERNS, "unet/*.json", "unet/*.safetensors", *AUTOENCODER_PATTERNS)
"""What is fetched of a Hub repository: one network at its root, or a pipeline's UNet and
autoencoders, as safetensors."""

_LDM_PREFIX = "model.diffusion_model."
_ZEROED = ("class_embedding.linear_2.weight", "class_embedding.linear_2.bias")
# What decides a UNet's computation without showing in the shapes of its tensors, or names them best.
_ARCHITECTURE = (
    "block_out_channels",
    "layers_per_block",
    "down_block_types",
    "mid_block_type",
    "up_block_types",
    "attention_head_dim",
    "only_cross_attention",
    "cross_attention_dim",
    "use_linear_projection",
    "norm_num_groups",
    "act_fn",
    "center_input_sample",
    "time_embedding_type",
    "flip_sin_to_cos",
    "freq_shift",
    "norm_eps",
    "resnet_time_scale_shift",
)


@dataclass(frozen=True)
class Source:
    """Where a student's weights come from.

    Attributes:
        tensors: in diffusers' names.
        credit: the network as the model card names it.
        pipeline: the diffusers pipeline's folder, or None for a single file or UNet folder.
    """

    tensors: dict[str, torch.Tensor]
    credit: Credit
    pipeline: Path | None = None


def student_unet(preset: str, in_channels: int, source: Source | None) -> UNet2DConditionModel:
    """A UNet of a preset, with the weights of a source or random ones.

    What the source lacks and is made here is printed by the main process. Random draws come from the global generator: seed it before. They are the same with and
    without a source.

    Args:
        preset: a key of ``UNET_PRESETS``.
        in_channels: of the UNet's input.
        source: of ``open_source``; None leaves the random weights.

    Raises:
        ModelError: tensors are missing, unknown or of another shape; the message lists them.
    """
    unet = build_unet(preset, in_channels)
    if source is None:
        return unet
    own = unet.state_dict()
    stored = dict(source.tensors)
    made = widen_input(stored, own["conv_in.weight"])
    if not any(name.startswith("class_embedding.") for name in stored):
        fresh = {name: own[name] for name in own if name.startswith("class_embedding.")}
        stored |= {k: torch.zeros_like(v) if k in _ZEROED else v for k, v in fresh.items()}
        made.append("class_embedding (last layer zero)")
    what = f"the weights of {source.credit.source} do not fit the preset {preset}"
    check_fit(shapes_of(own), shapes_of(stored), what)
    unet.load_state_dict(stored)
    PartialState().print(
        f"student {preset}: {len(source.tensors)} tensors of {source.credit.source}; made here: "
        + (", ".join(made) or "nothing")
    )
    return unet


def open_source(weights: str, preset: str) -> Source | None:
    """The weights that a recipe names.

    Args:
        weights: a diffusers pipeline's folder (its ``unet/``), a UNet's folder, a pinned Hub id,
            or an original ``.safetensors`` checkpoint; empty for none.
        preset: the architecture to compare configurations with.

    Raises:
        ModelError: it does not exist, is a pickle, or its configuration is another network's.
    """
    if not weights:
        return None
    path = Path(weights).expanduser()
    if path.is_file() or path.suffix in (".safetensors", *PICKLE_SUFFIXES):
        return Source(_checkpoint_tensors(path, preset), _credit(weights, path.parent))
    folder = hub.resolve(weights, HUB_PATTERNS)
    unet = folder / "unet" if (folder / "unet").is_dir() else folder
    _check_architecture(unet, preset, weights)
    pipeline = folder if unet != folder else None
    return Source(load_folder(unet), _credit(weights, folder), pipeline)


def _credit(weights: str, folder: Path) -> Credit:
    name = "SDXS-512-0.9" if "sdxs" in weights.lower() else "starting weights"
    return Credit(name, public_name(weights), stated_licence(folder), "origin")


def widen_input(stored: dict[str, torch.Tensor], own: torch.Tensor) -> list[str]:
    """Widen the first convolution among stored tensors to that of another network, in place.

    Args:
        stored: tensors by name, ``conv_in.weight`` (C, c, 3, 3) among them.
        own: of the other network, (C, c', 3, 3): shape alone.

    Returns:
        What was made here, in words: the rule that this module's docstring states.
    """
    weight = stored.get("conv_in.weight")
    if weight is None or weight.dim() != 4 or weight.shape[1] >= own.shape[1]:
        return []
    extra = own.shape[1] - weight.shape[1]
    if extra == weight.shape[1]:
        stored["conv_in.weight"] = weight.repeat(1, 2, 1, 1) / 2
        return [f"{extra} input channels (the source's weights twice, halved)"]
    zeros = weight.new_zeros(weight.shape[0], extra, *weight.shape[2:])
    stored["conv_in.weight"] = torch.cat([zeros, weight], dim=1)
    return [f"{extra} input channels (zero)"]


def _checkpoint_tensors(path: Path, preset: str) -> dict[str, torch.Tensor]:
    """UNet tensors of a single file, in diffusers' names: LDM's names are translated."""
    if not path.is_file():
        raise ModelError(f"there is no file {path}")
    tensors = load_tensors(path)
    if "conv_in.weight" in tensors:
        return tensors
    if "input_blocks.0.0.weight" in tensors:
        tensors = {_LDM_PREFIX + name: tensor for name, tensor in tensors.items()}
    ldm = {name: tensor for name, tensor in tensors.items() if name.startswith(_LDM_PREFIX)}
    if not ldm:
        raise ModelError(
            f"{path} holds no UNet: names begin with conv_in (diffusers), input_blocks or "
            f"{_LDM_PREFIX} (original checkpoints); this file's first is '{min(tensors)}'"
        )
    layers = unet_config(preset)["layers_per_block"]
    converted = convert_ldm_unet_checkpoint(ldm, {"layers_per_block": layers})
    used = {id(tensor) for tensor in converted.values()}
    left = {name: tensor for name, tensor in ldm.items() if id(tensor) not in used}
    return {**converted, **left}  # what has no name in diffusers is refused as unknown, by name


def unet_config(preset: str) -> dict:
    """The whole configuration of a preset's UNet, diffusers' defaults filled in."""
    with torch.device("meta"):
        return dict(build_unet(preset).config)


def _check_architecture(folder: Path, preset: str, weights: str) -> None:
    stored = build_component(folder, "unet", empty=True).config
    expected = unet_config(preset)
    found = [
        f"{field} is {_plain(stored[field])}, not {_plain(expected[field])}"
        for field in _ARCHITECTURE
        if _plain(stored[field]) != _plain(expected[field])
    ]
    if found:
        raise ModelError(
            f"the UNet of {weights} is not the architecture of preset {preset}: {'; '.join(found)}"
        )


def _plain(value: object) -> object:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
