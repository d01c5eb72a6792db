"""What stands before and behind a folded UNet: encoder, decoder and prior without constant factors.

- the autoencoder's ``scaling_factor`` and the 1 × 1 convolution behind its encoder become part of the
  encoder's last convolution, which computes no variances any more;
- the factor before its decoder, and the mean of the decoded channels, likewise;
- batch normalisation becomes part of the convolution before it.
"""

from __future__ import annotations

import copy

import torch
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.autoencoder import Autoencoder
from depth_distill_ros.models.image_stem import ImageStem


@torch.no_grad()
def fold_encoder(autoencoder: Autoencoder) -> nn.Module:
    """Images (B, 3, H, W) in [-1, 1] to scaled latents (B, C, H/8, W/8), the posterior's means."""
    encoder = copy.deepcopy(autoencoder.encoder)
    channels, scale = autoencoder.config.latent_channels, autoencoder.config.scaling_factor
    if isinstance(autoencoder, AutoencoderTiny | ImageStem):
        layers = encoder if isinstance(autoencoder, ImageStem) else encoder.layers
        _mix_outputs(layers[-1], scale * _identity(channels, encoder))
        return encoder
    means = _identity(2 * channels, encoder)[:channels]
    shift = None
    if (last := getattr(autoencoder, "quant_conv", None)) is not None:
        means, shift = last.weight.flatten(1)[:channels], scale * last.bias[:channels]
    _mix_outputs(encoder.conv_out, scale * means, shift)
    return encoder


@torch.no_grad()
def fold_decoder(autoencoder: Autoencoder) -> nn.Module:
    """Scaled latents (B, C, h, w) to maps (B, 1, 8h, 8w), the mean of the decoded channels.

    Raises:
        ConfigError: it is neither AutoencoderKL's decoder nor AutoencoderTiny's.
    """
    decoder, scale = copy.deepcopy(autoencoder.decoder), autoencoder.config.scaling_factor
    if isinstance(autoencoder, AutoencoderTiny):
        # Its own range is [0, 1]: twice the mean, less one
        last, shift = decoder.layers[-1], -torch.ones(1).to(decoder.layers[-1].weight)
        _mix_outputs(last, last.weight.new_full((1, 3), 2 / 3), shift)
        return nn.Sequential(_SoftClamp(3 * scale, 3), decoder.layers)
    if not isinstance(autoencoder, AutoencoderKL):
        name = type(autoencoder).__name__
        raise ConfigError(f"the decoder of {name} cannot be folded: run the model as it is")
    _mix_outputs(decoder.conv_out, decoder.conv_out.weight.new_full((1, 3), 1 / 3))
    if autoencoder.post_quant_conv is None:
        decoder.conv_in.weight /= scale
        return decoder
    first = copy.deepcopy(autoencoder.post_quant_conv)
    first.weight /= scale
    return nn.Sequential(first, decoder)


def fold_prior(prior: nn.Module) -> nn.Module:
    """The same network, in evaluation mode, without its batch normalisations."""
    folded = copy.deepcopy(prior).eval()
    for sequence in [module for module in folded.modules() if isinstance(module, nn.Sequential)]:
        for index in reversed(range(len(sequence) - 1)):
            conv, norm = sequence[index], sequence[index + 1]
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                sequence[index] = fuse_conv_bn_eval(conv, norm)
                del sequence[index + 1]
    return folded


class _SoftClamp(nn.Module):
    """AutoencoderTiny's clamp of the latents, of inputs of another scale."""

    def __init__(self, inward: float, outward: float):
        super().__init__()
        self.inward, self.outward = inward, outward

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tanh(x / self.inward) * self.outward


def _mix_outputs(conv: nn.Conv2d, mixing: torch.Tensor, shift: torch.Tensor | None = None) -> None:
    """Make a convolution compute ``mixing`` (outputs, channels) of its channels, plus ``shift``."""
    mixing = mixing.detach().double()
    weight = torch.einsum("oc,cihw->oihw", mixing, conv.weight.double()).to(conv.weight)
    bias = (mixing @ conv.bias.double()).to(conv.bias)
    conv.weight = nn.Parameter(weight, requires_grad=False)
    conv.bias = nn.Parameter(bias if shift is None else bias + shift, requires_grad=False)
    conv.out_channels = len(mixing)


def _identity(channels: int, like: nn.Module) -> torch.Tensor:
    return torch.eye(channels).to(next(like.parameters()))
