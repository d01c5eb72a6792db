"""DPT head on the student's decoder blocks: an alternative to the autoencoder's decoder.

Fusion as in Ranftl et al., "Vision Transformers for Dense Prediction" (2021), on the outputs of
the UNet's up blocks (GenPercept's taps; one-step video depth, section 3.3), coarse to fine.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

HEAD_TAPS = ("u0", "u1", "u2")
"""Names of the tapped blocks, coarse to fine, of a three-block student."""


class _ResidualConvs(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class DPTHead(ModelMixin, ConfigMixin):
    """Features of the decoder blocks to a disparity map at half the input's size.

    Args:
        feature_channels: channels of the tapped blocks, coarse to fine.
        width: channels inside the head.
        guide_channels: channels of an optional guide at half the input's size (the image, and
            the prior's disparity where there is one), which brings back the edges that features
            at an eighth of the size have lost. 0 for none.
        refine_width: channels of the last convolutions, at half size.
    """

    @register_to_config
    def __init__(
        self,
        feature_channels: Sequence[int] = (192, 96, 48),
        width: int = 32,
        guide_channels: int = 0,
        refine_width: int = 16,
    ):
        super().__init__()
        self.reassemble = nn.ModuleList(nn.Conv2d(c, width, 1) for c in feature_channels)
        self.fusion = nn.ModuleList(_ResidualConvs(width) for _ in feature_channels)
        self.lateral = nn.ModuleList(_ResidualConvs(width) for _ in feature_channels)
        self.upsample = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.refine = nn.Sequential(
            nn.Conv2d(width + guide_channels, refine_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(refine_width, refine_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(refine_width, 1, 3, padding=1),
        )

    def forward(
        self, features: Sequence[torch.Tensor], guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Disparity (B, 1, H/2, W/2), about [-1, 1].

        Args:
            features: outputs of the tapped blocks, (B, C_i, h_i, w_i), coarse to fine; the last
                at an eighth of the input's size.
            guide: (B, guide_channels, H/2, W/2), when the head was built with one.
        """
        x = None
        for feature, reassemble, lateral, fusion in zip(
            features, self.reassemble, self.lateral, self.fusion, strict=True
        ):
            level = lateral(reassemble(feature))
            if x is not None:
                level = level + _resize(x, level.shape[-2:])
            x = fusion(level)
        for conv in self.upsample:
            x = F.relu(conv(_resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))))
        if guide is not None:
            x = torch.cat([x, guide], dim=1)
        return self.refine(x)


def _resize(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
