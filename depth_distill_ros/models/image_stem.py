"""An image stem: what is left of the autoencoder where a DPT head decodes.

A head does without the autoencoder's decoder, so nothing needs an encoder that could be inverted.
AutoencoderTiny's encoder works at full and half size, where pixels are many, and takes a quarter
of the student's operations. The stem strides at once and spends what it has at an eighth of the
size. It is learned from the encoder that it replaces (``training.stem``), so that the UNet behind
it starts from the latents that it knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTinyOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.dpt_head import ResidualConvs


class ImageStem(ModelMixin, ConfigMixin):
    """Images to latents at an eighth of the size; in the place of an autoencoder, without a decoder.

    Args:
        latent_channels: of the latents.
        widths: channels at a half, a quarter and an eighth of the image's size.
        blocks: residual blocks there.
        scaling_factor: of the latents, as every autoencoder has one.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 4,
        widths: Sequence[int] = (32, 64, 128),
        blocks: Sequence[int] = (0, 1, 4),
        scaling_factor: float = 1.0,
    ):
        super().__init__()
        layers, inputs = [], 3
        for width, count in zip(widths, blocks, strict=True):
            layers += [nn.Conv2d(inputs, width, 3, stride=2, padding=1), nn.ReLU()]
            layers += [ResidualConvs(width) for _ in range(count)]
            inputs = width
        self.encoder = nn.Sequential(*layers, nn.Conv2d(inputs, latent_channels, 3, padding=1))

    def encode(self, images: torch.Tensor) -> AutoencoderTinyOutput:
        """Unscaled latents (B, C, H/8, W/8) of images (B, 3, H, W) in [-1, 1], sides multiples of 8."""
        return AutoencoderTinyOutput(self.encoder(images))

    def decode(self, latents: torch.Tensor) -> None:
        """There is no decoder: raises ModelError."""
        raise ModelError(
            "an image stem has no decoder: give the model a head (training.stage2, head_width)"
        )
