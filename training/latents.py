"""What the latent-space methods share: which networks to load, and a batch in latent space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.components import load_component
from depth_distill_ros.models.depth_model import DepthModel, DepthModelConfig
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.unet import build_unet
from training.data.batches import Batch
from training.losses.latent import latent_mask

RANDOM = "random:"
"""Prefix of a preset's name in place of weights: an untrained network, to try the machinery."""


@dataclass(frozen=True)
class LatentBatch:
    """A batch as the UNet sees it.

    Attributes:
        inputs: the UNet's input (B, C, h, w): the image latents, after the prior's if there is one.
        image: latents of the image (B, 4, h, w), the reconstruction task's target.
        depth: latents of the disparity map (B, 4, h, w), the depth task's target.
        mask: bool (B, 1, h, w), False where an invalid pixel reaches a latent.
    """

    inputs: torch.Tensor
    image: torch.Tensor
    depth: torch.Tensor
    mask: torch.Tensor


@torch.no_grad()
def encode_batch(model: DepthModel, batch: Batch, generator: torch.Generator) -> LatentBatch:
    """Encode images and disparity maps with a model's frozen parts; latents are drawn from the
    posterior, as Lotus trains."""
    inputs, _ = model.encode(batch["rgb"], generator)
    depth = ae.encode_map(model.autoencoder, batch["disparity"], generator)
    channels = depth.shape[1]
    mask = latent_mask(batch["valid"], ae.DOWNSAMPLING)
    return LatentBatch(inputs, inputs[:, -channels:], depth, mask)


def load_model(name: str) -> DepthModel:
    """A bundled model, a folder, a pinned Hub id, or ``random:<preset>``."""
    if name.startswith(RANDOM):
        return DepthModel.from_preset(name.removeprefix(RANDOM), seed=0)
    return DepthModel.from_pretrained(name)


def load_autoencoder(name: str) -> ae.Autoencoder:
    """An autoencoder's folder, or ``random:<preset>``."""
    if name.startswith(RANDOM):
        torch.manual_seed(0)
        return ae.build_autoencoder(name.removeprefix(RANDOM))
    return load_component(_existing(name, "autoencoder"), "autoencoder")


def load_prior(name: str) -> DepthPrior | None:
    """A prior's folder; None for an empty name."""
    return load_component(_existing(name, "prior"), "prior") if name else None


def compose(
    name: str,
    unet_preset: str,
    autoencoder: nn.Module,
    prior: DepthPrior | None,
    resolution: tuple[int, int],
    teachers: tuple[str, ...] = (),
) -> DepthModel:
    """A model with a randomly initialised UNet in front of given frozen parts."""
    channels = autoencoder.config.latent_channels
    channels += prior.latent_channels if prior is not None else 0
    config = DepthModelConfig(
        name=name, prior=prior is not None, resolution=resolution, teachers=teachers
    )
    return DepthModel(config, build_unet(unet_preset, channels), autoencoder, prior)


def _existing(name: str, what: str) -> Path:
    folder = Path(name)
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"there is no {what} in '{name}': train one (python -m training.{what} --config …) "
            "or give its folder"
        )
    return folder
