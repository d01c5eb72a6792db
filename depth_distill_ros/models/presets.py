"""Whole models as named presets: which UNet, which autoencoder, with or without prior and head."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.autoencoder import build_autoencoder
from depth_distill_ros.models.dpt_head import TAPS, DPTHead
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.unet import build_unet
from depth_distill_ros.models.video_unet import VIDEO_PRESETS, build_video_unet

GUIDE_CHANNELS = 4
"""The head's guide: the image at half size, and the prior's disparity."""


@dataclass(frozen=True)
class Preset:
    """Parts of a model by the names of their presets, and where published weights are."""

    unet: str
    autoencoder: str
    prior: bool = False
    head_width: int | None = None
    resolution: tuple[int, int] = (576, 768)
    weights: str = ""
    frames: int = 1
    overlap: int = 0


PRESETS: dict[str, Preset] = {
    "d3epth": Preset("sdxs09", "taesd", weights="train: python -m training.stage1, stage2"),
    "d3epth-fast": Preset(
        "sdxs09",
        "stem",
        head_width=64,
        weights="train: d3epth, then python -m training.stem, stage2",
    ),
    "d3epth-small": Preset(
        "small",
        "stem",
        head_width=64,
        weights="train: as d3epth-fast; stage1 with student: small, feature_kd_weight: 0",
    ),
    "lotus-d": Preset(
        "lotus-d", "kl", weights="Hugging Face: jingheya/lotus-depth-d-v2-0-disparity"
    ),
    "sd2": Preset("sd2", "kl"),
    "svd": Preset(
        "svd",
        "kl-temporal",
        resolution=(576, 1024),
        weights="Hugging Face: tencent/DepthCrafter, then python -m training.video_stage1",
        frames=110,
        overlap=25,
    ),
    "tiny": Preset("tiny", "tiny", resolution=(192, 256)),
    "tiny-prior": Preset("tiny", "tiny", prior=True, head_width=32, resolution=(192, 256)),
    "tiny-fast": Preset("tiny", "tiny-stem", prior=True, head_width=32, resolution=(192, 256)),
    "tiny-small": Preset(
        "tiny-small", "tiny-stem", prior=True, head_width=32, resolution=(192, 256)
    ),
    "tiny-teacher": Preset("tiny-teacher", "tiny", resolution=(192, 256)),
    "tiny-video": Preset("tiny-video", "tiny-temporal", resolution=(96, 128), frames=8, overlap=2),
}


def find_preset(name: str) -> Preset:
    """The preset of a name.

    Raises:
        ModelError: there is none.
    """
    if name not in PRESETS:
        raise ModelError(f"there is no preset '{name}': choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def build_parts(preset: Preset, empty_unet: bool = False) -> dict[str, nn.Module | None]:
    """Randomly initialised ``unet``, ``autoencoder``, ``prior`` and ``head`` of a preset.

    Args:
        preset: which.
        empty_unet: build the UNet on the meta device: shapes and configuration, no memory.
    """
    autoencoder = build_autoencoder(preset.autoencoder)
    prior = DepthPrior() if preset.prior else None
    latents = autoencoder.config.latent_channels
    in_channels = latents + (prior.latent_channels if prior is not None else 0)
    with torch.device("meta") if empty_unet else nullcontext():
        if preset.unet in VIDEO_PRESETS:
            unet = build_video_unet(preset.unet, latents + in_channels)
        else:
            unet = build_unet(preset.unet, in_channels)
    head = None
    if preset.head_width is not None:
        head = build_head(unet, preset.head_width)
    return {"unet": unet, "autoencoder": autoencoder, "prior": prior, "head": head}


def build_head(unet: nn.Module, width: int = 32, window: int = 0, heads: int = 4) -> DPTHead:
    """A randomly initialised DPT head for a UNet's up blocks, with the image and prior as guide.

    Args:
        unet: whose blocks it reads.
        width: channels inside the head.
        window: frames that it sees of a stream; 0 builds no temporal modules.
        heads: attention heads of the temporal modules.
    """
    channels = tuple(reversed(unet.config.block_out_channels))[-TAPS:]
    return DPTHead(
        feature_channels=channels,
        width=width,
        guide_channels=GUIDE_CHANNELS,
        temporal_window=window,
        temporal_heads=heads,
    )


def preset_parameters(preset: str) -> dict[str, int]:
    """Parameters of a preset by part, counted on the meta device: nothing is allocated."""
    with torch.device("meta"):
        parts = build_parts(find_preset(preset))
    return {
        name: sum(p.numel() for p in part.parameters())
        for name, part in parts.items()
        if part is not None
    }
