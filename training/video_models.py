"""Video models that training starts from: DepthCrafter as it is published, or one of this package.

Published is a UNet alone (tencent/DepthCrafter). Autoencoder and CLIP are those of Stable Video
Diffusion's pipeline (stabilityai/stable-video-diffusion-img2vid-xt).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import Tensor, nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models import hub
from depth_distill_ros.models.components import load_component
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.image_encoder import ImageEncoder
from depth_distill_ros.models.model_config import FORMAT, DepthModelConfig
from depth_distill_ros.models.presets import find_preset
from depth_distill_ros.models.provenance import Credit, Provenance, public_name, stated_licence
from depth_distill_ros.models.video_unet import is_video, temporal_parameters
from depth_distill_ros.models.weight_files import check_fit, load_folder, shapes_of
from training.latents import RANDOM, load_model

_PATTERNS = ("*.json", "*.safetensors", "README.md")
_PIPELINE_PATTERNS = ("*.json", "README.md", "vae/*.safetensors", "image_encoder/*.safetensors")


def load_video_model(name: str, pipeline: str = "") -> DepthModel:
    """A video model in evaluation mode, float32, on the CPU.

    Args:
        name: DepthCrafter's UNet, a folder or pinned Hub id; or a model of this package: a folder,
            bundled name, pinned Hub id or ``random:<preset>``.
        pipeline: Stable Video Diffusion, a folder or pinned Hub id, for a UNet alone.

    Raises:
        ModelError: it does not exist, or files are missing, damaged, or do not fit.
        ConfigError: it is a model of single images, or a UNet alone and no pipeline was given.
    """
    if name.startswith(RANDOM):
        model = load_model(name)
    else:
        folder = hub.resolve(name, _PATTERNS)
        if hub.read_json(folder / "config.json").get("_class_name") != FORMAT:
            return _depthcrafter(folder, name, pipeline)
        model = DepthModel.from_pretrained(folder)
    if not is_video(model.unet):
        raise ConfigError(
            f"{name} sees single images: take a video model, such as DepthCrafter or one of "
            "training.video_teacher"
        )
    return model


def _depthcrafter(folder: Path, name: str, pipeline: str) -> DepthModel:
    if not pipeline:
        raise ConfigError(
            f"{name} is a UNet alone: give pipeline, Stable Video Diffusion's folder or pinned Hub "
            "id (stabilityai/stable-video-diffusion-img2vid-xt), for the autoencoder and CLIP"
        )
    preset, parts = find_preset("svd"), hub.resolve(pipeline, _PIPELINE_PATTERNS)
    config = DepthModelConfig(
        name="DepthCrafter",
        image_encoder=True,
        start="noise",
        frames=preset.frames,
        overlap=preset.overlap,
        resolution=preset.resolution,
        normalisation="minimum and maximum of a clip to -1 and 1",
    )
    credits = (
        Credit("DepthCrafter", public_name(name), stated_licence(folder)),
        Credit("Stable Video Diffusion", public_name(pipeline), stated_licence(parts)),
    )
    return DepthModel(
        config,
        _unet(folder),
        load_component(parts / "vae", "autoencoder"),
        provenance=Provenance(credits=credits),
        image_encoder=ImageEncoder.from_pipeline(parts / "image_encoder"),
    ).eval()


def _unet(folder: Path) -> UNetSpatioTemporalConditionModel:
    """The UNet; its ``config.json`` may name a class of DepthCrafter's own code."""
    fields = hub.read_json(folder / "config.json")
    fields = {key: value for key, value in fields.items() if not key.startswith("_")}
    try:
        with torch.device("meta"):
            unet = UNetSpatioTemporalConditionModel.from_config(fields)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{folder}/config.json is that of no video UNet: {error}") from error
    tensors = load_folder(folder)
    check_fit(shapes_of(unet.state_dict()), shapes_of(tensors), f"{folder} is no video UNet")
    unet.load_state_dict(tensors, assign=True)
    return unet.float().eval()


def copied(unet: nn.Module, share_temporal: bool) -> nn.Module:
    """A copy of a video UNet, which may share the parameters of its layers in time."""
    own = dict(unet.named_parameters())
    shared = temporal_parameters(unet) if share_temporal else ()
    return copy.deepcopy(unet, {id(own[name]): own[name] for name in shared})


def freeze_temporal(unet: nn.Module) -> None:
    """Keep a video UNet's layers in time out of training."""
    for name in temporal_parameters(unet):
        unet.get_parameter(name).requires_grad_(False)


def draw_noise(like: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """Standard normal values of a tensor's shape (B·T, …), those of a clip by its own generator."""
    clips = like.unflatten(0, (len(generators), -1))
    return torch.cat([torch.randn(clips.shape[1:], generator=g) for g in generators]).to(like)
