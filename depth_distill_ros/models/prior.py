"""A data-driven depth prior: ImageNet features, a light decoder, a disparity map.

ApDepth (section 3.2) puts the depth map of a frozen data-driven network beside the image latents
at the UNet's input. Here that network is an EfficientNet-Lite encoder (Google, 2020: EfficientNet
without squeeze-and-excite and with ReLU6) with a top-down decoder, trained on the same data as
everything else. Its half-size disparity is folded into 16 channels at latent size (pixel
unshuffle: nothing is lost, nothing is computed), together with its features at that size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from depth_distill_ros.errors import ModelError

# kernel, stride, expansion, output channels, repeats: EfficientNet-B0's stages, which Lite0 keeps
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_PYRAMID_STAGES = (0, 1, 2, 4, 6)
_UNSHUFFLE = 4

ENCODERS: dict[str, tuple[float, float]] = {
    "lite0": (1.0, 1.0),
    "lite1": (1.0, 1.1),
    "lite2": (1.1, 1.2),
}
"""EfficientNet-Lite by size: factors of width and depth (tensorflow/tpu, efficientnet/lite)."""


class _InvertedResidual(nn.Module):
    """Expand, depthwise convolution, project; a residual where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int):
        super().__init__()
        width = inputs * expansion
        layers = []
        if expansion > 1:
            layers += [*_conv_norm(inputs, width, 1), nn.ReLU6()]
        layers += [*_conv_norm(width, width, kernel, stride, groups=width), nn.ReLU6()]
        layers += _conv_norm(width, outputs, 1)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.layers(x) if self.residual else self.layers(x)


def _conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    half = kernel // 2
    if stride == 1:
        pad, padding = [], half
    else:
        # TensorFlow's "same" padding of even sizes, which the ImageNet weights were trained with
        pad, padding = [nn.ZeroPad2d((half - 1, half, half - 1, half))], 0
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    # 1e-3 is the epsilon that the published ImageNet weights were trained with
    return [*pad, conv, nn.BatchNorm2d(outputs, eps=1e-3)]


class EfficientNetLite(nn.Module):
    """Feature pyramid at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input, of ``channels`` each.

    Args:
        size: a key of ``ENCODERS``.

    Raises:
        ModelError: there is no such size.
    """

    def __init__(self, size: str = "lite0"):
        super().__init__()
        if size not in ENCODERS:
            raise ModelError(f"there is no encoder '{size}': choose of {', '.join(ENCODERS)}")
        wider, deeper = ENCODERS[size]
        self.stem = nn.Sequential(*_conv_norm(3, 32, 3, stride=2), nn.ReLU6())
        stages, inputs, channels = [], 32, []
        for number, (kernel, stride, expansion, outputs, repeats) in enumerate(_STAGES):
            outputs = _multiple_of_eight(outputs * wider)
            if 0 < number < len(_STAGES) - 1:  # the Lite networks keep the first and last stage's
                repeats = math.ceil(repeats * deeper)
            blocks = []
            for index in range(repeats):
                blocks.append(
                    _InvertedResidual(
                        inputs, outputs, kernel, stride if index == 0 else 1, expansion
                    )
                )
                inputs = outputs
            stages.append(nn.Sequential(*blocks))
            channels.append(inputs)
        self.stages = nn.ModuleList(stages)
        self.channels = tuple(channels[stage] for stage in _PYRAMID_STAGES)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Images (B, 3, H, W) in [-1, 1], sides multiples of 32, to five maps, fine to coarse."""
        x, pyramid = self.stem(images), []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in _PYRAMID_STAGES:
                pyramid.append(x)
        return pyramid


class DepthPrior(ModelMixin, ConfigMixin):
    """Image to affine-invariant disparity, and to latents for the UNet's input.

    Args:
        widths: decoder channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input's size.
        encoder_size: a key of ``ENCODERS``.
        two_scales: look at the image at half size too, with the same weights, and average the two
            maps. What is large or close is judged better from afar, what is small from near by
            (Miangoleh et al. 2021, Boosting Monocular Depth, section 3); a quarter more to compute.
    """

    @register_to_config
    def __init__(
        self,
        widths: Sequence[int] = (16, 32, 48, 64, 96),
        encoder_size: str = "lite0",
        two_scales: bool = False,
    ):
        super().__init__()
        self.encoder = EfficientNetLite(encoder_size)
        channels = self.encoder.channels
        self.lateral = nn.ModuleList(
            nn.Conv2d(c, w, 1) for c, w in zip(channels, widths, strict=True)
        )
        self.context = nn.Linear(channels[-1], widths[-1])
        outputs = (widths[0], *widths[:-1])
        self.fuse = nn.ModuleList(_fuse_block(w, o) for w, o in zip(widths, outputs, strict=True))
        self.disparity = nn.Conv2d(widths[0], 1, 3, padding=1)

    @property
    def latent_channels(self) -> int:
        """Channels that ``latents`` returns."""
        return _UNSHUFFLE**2 + self.config.widths[1]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Disparity and features of images (B, 3, H, W) in [-1, 1], sides multiples of 32.

        Returns:
            Disparity (B, 1, H/2, W/2), affine-invariant, larger is nearer, unnormalised (with two
            scales the mean of two normalised maps); and features (B, widths[1], H/8, W/8).
        """
        disparity, features = self._look(images)
        if self.config.two_scales:
            coarse, _ = self._look(_about_half_size(images))
            size = disparity.shape[-2:]
            coarse = F.interpolate(standardise(coarse), size, mode="bilinear", align_corners=False)
            disparity = (standardise(disparity) + coarse) / 2
        return disparity, features

    def _look(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Disparity and features from one size of the images."""
        pyramid = self.encoder(images)
        x, features = None, None
        for index in reversed(range(len(pyramid))):
            level = self.lateral[index](pyramid[index])
            if x is None:
                context = self.context(pyramid[index].mean(dim=(2, 3)))
                level = level + context[:, :, None, None]
            else:
                size = level.shape[-2:]
                level = level + F.interpolate(x, size=size, mode="bilinear", align_corners=False)
            x = self.fuse[index](level)
            if index == 2:
                features = x
        return self.disparity(x), features

    def disparity_map(self, images: torch.Tensor) -> torch.Tensor:
        """The disparity of ``forward`` alone, (B, 1, H/2, W/2): what every kind of prior gives."""
        return self(images)[0]

    def latents(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Input latents for the UNet, and the standardised disparity that they contain.

        Returns:
            (B, latent_channels, H/8, W/8), and (B, 1, H/2, W/2) with mean 0 and deviation 1.
        """
        disparity, features = self(images)
        disparity = standardise(disparity)
        return torch.cat([F.pixel_unshuffle(disparity, _UNSHUFFLE), features], 1), disparity


def _about_half_size(images: torch.Tensor) -> torch.Tensor:
    """Images of half the size, or of the next sides above it that are multiples of 32."""
    size = [(side + 63) // 64 * 32 for side in images.shape[-2:]]
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def prior_input(
    prior: nn.Module,
    kind: str,
    images: torch.Tensor,
    encode: Callable[[torch.Tensor], torch.Tensor],
) -> tuple[torch.Tensor, torch.Tensor]:
    """What a UNet sees of a prior, and what the head does.

    Args:
        prior: whose disparity it is.
        kind: "features" or "latents", ``DepthModelConfig.prior_input``.
        images: (B, 3, H, W) in [-1, 1].
        encode: images to scaled latents: the autoencoder's half of "latents" (ApDepth, 3.2).

    Returns:
        (B, C, H/8, W/8), and disparity of mean 0 and deviation 1 (B, 1, H/2, W/2).
    """
    if kind == "features":
        return prior.latents(images)
    disparity = prior.disparity_map(images).float()
    maps = F.interpolate(to_unit_range(disparity), images.shape[-2:], mode="bilinear")
    latents = encode(maps.to(images.dtype).expand(-1, 3, -1, -1))
    return latents, F.avg_pool2d(standardise(maps), 2)


def standardise(maps: torch.Tensor) -> torch.Tensor:
    """Each map of (B, 1, H, W) shifted to mean 0 and scaled to deviation 1, clamped to ±4."""
    maps = maps.float()
    mean = maps.mean(dim=(2, 3), keepdim=True)
    deviation = maps.std(dim=(2, 3), keepdim=True).clamp_min(1e-6)
    return ((maps - mean) / deviation).clamp(-4.0, 4.0)


def to_unit_range(maps: torch.Tensor) -> torch.Tensor:
    """Each map of (B, 1, H, W) with its 2 % and 98 % quantiles at -1 and 1, clamped there."""
    ends = maps.new_tensor([0.02, 0.98])
    low, high = torch.quantile(maps.flatten(1), ends, dim=1)[..., None, None, None]
    return (2 * (maps - low) / (high - low).clamp_min(1e-6) - 1).clamp(-1, 1)


def _multiple_of_eight(channels: float) -> int:
    """The nearest multiple of 8, never more than a tenth below: EfficientNet's rounding."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


def _fuse_block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        *_conv_norm(inputs, inputs, 3), nn.ReLU(), *_conv_norm(inputs, outputs, 3), nn.ReLU()
    )
