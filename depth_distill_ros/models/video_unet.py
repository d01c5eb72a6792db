"""UNets of video: Stable Video Diffusion's, which DepthCrafter and the one-step student have.

A clip is seen at once: layers in space, and between them layers in time. Beside the noisy latents
the input holds those of the images, as channels; the cross-attention sees an embedding of the
image (CLIP), one a frame in DepthCrafter.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from diffusers import UNetSpatioTemporalConditionModel
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.edm import Preconditioning

_BLOCKS = 3
VIDEO_PRESETS: dict[str, dict] = {
    "svd": {},
    "tiny-video": {
        "block_out_channels": (32, 64, 128),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlockSpatioTemporal",) * _BLOCKS,
        "up_block_types": ("CrossAttnUpBlockSpatioTemporal",) * _BLOCKS,
        "num_attention_heads": (2, 4, 8),
        "cross_attention_dim": 64,
        "addition_time_embed_dim": 32,
        "projection_class_embeddings_input_dim": 96,
    },
}
"""Constructor arguments by preset; diffusers' defaults are Stable Video Diffusion's."""

TEMPORAL_NAMES = (
    "temporal_res_block",
    "temporal_transformer_blocks",
    "time_mixer",
    "time_pos_embed",
)
"""What the names of parameters of layers in time contain: those that stage 1 freezes."""

ADDED_TIME_IDS = (7.0, 127.0, 0.02)
"""Frames a second, motion bucket and noise augmentation that DepthCrafter tells the network."""


def build_video_unet(preset: str, in_channels: int = 8) -> UNetSpatioTemporalConditionModel:
    """A randomly initialised UNet of a preset.

    Args:
        preset: a key of ``VIDEO_PRESETS``.
        in_channels: of the noisy latents and the condition together.

    Raises:
        ConfigError: the preset does not exist.
    """
    if preset not in VIDEO_PRESETS:
        raise ConfigError(
            f"there is no video UNet preset '{preset}': choose one of {', '.join(VIDEO_PRESETS)}"
        )
    return UNetSpatioTemporalConditionModel(in_channels=in_channels, **VIDEO_PRESETS[preset])


def is_video(unet: nn.Module) -> bool:
    """Whether a UNet sees clips."""
    return isinstance(unet, UNetSpatioTemporalConditionModel)


def temporal_parameters(unet: nn.Module) -> list[str]:
    """Names of the parameters of the layers in time."""
    return [
        name for name, _ in unet.named_parameters() if any(part in name for part in TEMPORAL_NAMES)
    ]


def denoise(
    unet: nn.Module,
    noisy: torch.Tensor,
    sigma: float,
    condition: torch.Tensor,
    context: torch.Tensor,
) -> torch.Tensor:
    """Clean latents F(x; σ; c) of a clip, (B, T, C, h, w) (Karras et al., 2022, eq. 7).

    Args:
        unet: a video UNet.
        noisy: x, (B, T, C, h, w).
        sigma: of its noise.
        condition: (B, T, c, h, w), put behind the noisy latents.
        context: what the cross-attention sees: (B, tokens, D) for whole clips, or
            (B·T, tokens, D), one a frame.
    """
    factor = Preconditioning.at(sigma)
    output = predict(unet, factor.into * noisy, factor.noise, condition, context)
    return factor.skip * noisy + factor.out * output


def predict(
    unet: nn.Module,
    scaled: torch.Tensor,
    noise_level: float,
    condition: torch.Tensor,
    context: torch.Tensor,
) -> torch.Tensor:
    """U's own output (B, T, C, h, w) of an input that has been scaled; see :func:`denoise`."""
    clips, frames = scaled.shape[:2]
    of_frames = context.shape[0] == clips * frames
    first = context.view(clips, frames, *context.shape[1:])[:, 0] if of_frames else context
    with _each_frame(unet, context.to(scaled.dtype)) if of_frames else contextlib.nullcontext():
        return unet(
            torch.cat([scaled, condition.to(scaled.dtype)], dim=2),
            torch.tensor(noise_level, device=scaled.device),
            encoder_hidden_states=first.to(scaled.dtype),
            added_time_ids=scaled.new_tensor([ADDED_TIME_IDS]).expand(clips, -1),
        ).sample


@contextlib.contextmanager
def _each_frame(unet: nn.Module, context: torch.Tensor) -> Iterator[None]:
    """diffusers' network takes one embedding a clip and repeats it; its attentions take many."""

    def replace(_module: nn.Module, arguments: tuple, named: dict) -> tuple[tuple, dict]:
        # The network may compute in another type than what it was given (``training.speed``).
        return arguments, named | {"encoder_hidden_states": context.to(arguments[0].dtype)}

    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    attentions = [a for block in blocks for a in getattr(block, "attentions", ())]
    handles = [a.register_forward_pre_hook(replace, with_kwargs=True) for a in attentions]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
