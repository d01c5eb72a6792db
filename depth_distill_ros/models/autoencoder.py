"""Autoencoders between pixels and latents: diffusers' ``AutoencoderKL``, its temporal kin of Stable
Video Diffusion, ``AutoencoderTiny``; or an ``ImageStem`` in their place, which has no decoder.

All map images in [-1, 1] to latents at an eighth of the size. They differ in their interface, which
the functions here hide; and the temporal one's decoder sees the frames of a clip together.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL, AutoencoderKLTemporalDecoder, AutoencoderTiny
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.image_stem import ImageStem

Autoencoder = AutoencoderKL | AutoencoderKLTemporalDecoder | AutoencoderTiny | ImageStem
Generators = torch.Generator | list[torch.Generator]

_WITHOUT_POSTERIOR = (AutoencoderTiny, ImageStem)

DOWNSAMPLING = 8
"""Pixels per latent along each side, for every preset."""

_TEMPORAL_BLOCKS = {"down_block_types": ("DownEncoderBlock2D",) * 4, "latent_channels": 4}
_KL_BLOCKS = {**_TEMPORAL_BLOCKS, "up_block_types": ("UpDecoderBlock2D",) * 4}

AUTOENCODER_PRESETS: dict[str, tuple[type, dict]] = {
    "kl": (
        AutoencoderKL,
        {
            **_KL_BLOCKS,
            "block_out_channels": (128, 256, 512, 512),
            "layers_per_block": 2,
            "scaling_factor": 0.18215,
            "sample_size": 768,
        },
    ),
    "kl-temporal": (
        AutoencoderKLTemporalDecoder,
        {
            **_TEMPORAL_BLOCKS,
            "block_out_channels": (128, 256, 512, 512),
            "layers_per_block": 2,
            "scaling_factor": 0.18215,
            "sample_size": 768,
        },
    ),
    "taesd": (AutoencoderTiny, {}),
    "stem": (ImageStem, {}),
    "tiny-stem": (ImageStem, {"widths": (16, 32, 64), "blocks": (0, 1, 2)}),
    "tiny": (
        AutoencoderKL,
        {
            **_KL_BLOCKS,
            "block_out_channels": (16, 32, 64, 64),
            "layers_per_block": 1,
            "norm_num_groups": 8,
            "scaling_factor": 1.0,
        },
    ),
    "tiny-temporal": (
        AutoencoderKLTemporalDecoder,
        {
            **_TEMPORAL_BLOCKS,
            "block_out_channels": (32, 32, 64, 64),
            "layers_per_block": 1,
            "scaling_factor": 1.0,
        },
    ),
}
"""Class and constructor arguments by preset: Stable Diffusion's, Stable Video Diffusion's, the tiny
twin of the first, stems, and ours."""


def build_autoencoder(preset: str) -> Autoencoder:
    """A randomly initialised autoencoder of a named preset.

    Raises:
        ConfigError: the preset does not exist.
    """
    if preset not in AUTOENCODER_PRESETS:
        raise ConfigError(
            f"there is no autoencoder preset '{preset}': "
            f"choose one of {', '.join(AUTOENCODER_PRESETS)}"
        )
    cls, config = AUTOENCODER_PRESETS[preset]
    return cls(**config)


def encode(
    autoencoder: Autoencoder, images: torch.Tensor, generator: Generators | None = None
) -> torch.Tensor:
    """Scaled latents of images.

    Args:
        images: (B, 3, H, W) in [-1, 1], sides multiples of 8.
        generator: draws from the posterior (as Lotus trains), one for all images or a list of
            one an image; without any the posterior's mean is returned. AutoencoderTiny and
            stems have no posterior and ignore it.

    Returns:
        (B, C, H/8, W/8), multiplied by the autoencoder's ``scaling_factor``.
    """
    return draw_latents(autoencoder, moments(autoencoder, images), generator)


def moments(autoencoder: Autoencoder, images: torch.Tensor) -> torch.Tensor:
    """What the encoder knows of images (B, 3, H, W): mean and logarithm of the variance of the
    posterior, (B, 2C, H/8, W/8); of AutoencoderTiny and stems the latents themselves, (B, C, H/8, W/8)."""
    encoded = autoencoder.encode(images)
    if isinstance(autoencoder, _WITHOUT_POSTERIOR):
        return encoded.latents
    return encoded.latent_dist.parameters


def draw_latents(
    autoencoder: Autoencoder, moments: torch.Tensor, generator: Generators | None = None
) -> torch.Tensor:
    """Scaled latents (B, C, H/8, W/8) of ``moments``, drawn by ``generator`` as in ``encode``."""
    if isinstance(autoencoder, _WITHOUT_POSTERIOR):
        latents = moments
    else:
        posterior = DiagonalGaussianDistribution(moments)
        latents = posterior.mode() if generator is None else posterior.sample(generator)
    return latents * autoencoder.config.scaling_factor


def decode(autoencoder: Autoencoder, latents: torch.Tensor, frames: int = 1) -> torch.Tensor:
    """Images (B, 3, H, W), about [-1, 1], of scaled latents (B, C, H/8, W/8).

    ``frames``: of these images are one clip, for a temporal decoder.
    """
    latents = latents / autoencoder.config.scaling_factor
    if isinstance(autoencoder, AutoencoderKLTemporalDecoder):
        return autoencoder.decode(latents, num_frames=frames).sample
    return autoencoder.decode(latents).sample


def decode_map(autoencoder: Autoencoder, latents: torch.Tensor, frames: int = 1) -> torch.Tensor:
    """One-channel maps (B, 1, H, W): the mean of the decoded channels (Marigold, Lotus)."""
    return decode(autoencoder, latents, frames).mean(dim=1, keepdim=True)


def encode_map(
    autoencoder: Autoencoder, maps: torch.Tensor, generator: Generators | None = None
) -> torch.Tensor:
    """Latents of one-channel maps (B, 1, H, W) in [-1, 1], repeated to three channels."""
    return encode(autoencoder, maps.expand(-1, 3, -1, -1), generator)
