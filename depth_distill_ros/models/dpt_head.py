"""DPT head on the student's decoder blocks: an alternative to the autoencoder's decoder.

Fusion as in Ranftl et al., "Vision Transformers for Dense Prediction" (2021), on the outputs of
the UNet's up blocks (GenPercept's taps; one-step video depth, section 3.3), coarse to fine. For
streams with four temporal modules, as Video Depth Anything has them on the coarsest levels of its
encoder. Here the decoder's finest block is what flickers: averaging its output alone over time takes
more than half of the temporal error away, averaging the two coarser ones a tenth. So the modules
stand behind each fusion and, a second time, before the finest one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from depth_distill_ros.models.temporal import ENTRIES, Past, TemporalModule

TAPS = 3
"""How many of a UNet's up blocks are tapped: the last ones, whose sizes are alike in all presets."""


TEMPORAL_PLACES = (("fused", 0), ("fused", 1), ("level", 2), ("fused", 2))
"""Where the temporal modules stand, in the order that they are passed: the level, before or after it
is fused with the coarser ones."""

LEVEL_STRIDES = (16, 8, 8)
"""Pixels of the input that a position of each level stands for."""

Memory = list[torch.Tensor]
"""What a head knows of past frames, a tensor a module: (B, ENTRIES, h·w, heads, M, channels/heads)."""


def head_taps(unet: nn.Module) -> list[str]:
    """Names of the tapped blocks, coarse to fine: ``u0 u1 u2`` of three, ``u1 u2 u3`` of four."""
    blocks = len(unet.config.block_out_channels)
    return [f"u{index}" for index in range(blocks)][-TAPS:]


def half_size_guide(images: torch.Tensor, disparity: torch.Tensor | None) -> torch.Tensor:
    """The guide (B, 4, H/2, W/2) of images (B, 3, H, W): they, and a prior's disparity (B, 1, H/2, W/2),
    or zeros without one."""
    guide = F.avg_pool2d(images, 2)
    if disparity is None:
        disparity = torch.zeros_like(guide[:, :1])
    return torch.cat([guide, disparity.to(guide.dtype)], dim=1)


class ResidualConvs(nn.Module):
    """Two convolutions, each behind a ReLU, on top of a map (B, width, h, w)."""

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
        temporal_window: frames that a frame of a stream sees, itself among them; 0 builds no
            temporal modules.
        temporal_heads: attention heads of those modules.
    """

    @register_to_config
    def __init__(
        self,
        feature_channels: Sequence[int] = (192, 96, 48),
        width: int = 32,
        guide_channels: int = 0,
        refine_width: int = 16,
        temporal_window: int = 0,
        temporal_heads: int = 4,
    ):
        super().__init__()
        self.reassemble = nn.ModuleList(nn.Conv2d(c, width, 1) for c in feature_channels)
        self.fusion = nn.ModuleList(ResidualConvs(width) for _ in feature_channels)
        self.lateral = nn.ModuleList(ResidualConvs(width) for _ in feature_channels)
        self.upsample = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.refine = nn.Sequential(
            nn.Conv2d(width + guide_channels, refine_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(refine_width, refine_width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(refine_width, 1, 3, padding=1),
        )

        self.temporal = nn.ModuleList(
            TemporalModule(width, temporal_heads)
            for _ in (TEMPORAL_PLACES if temporal_window else ())
        )

    def forward(
        self, features: Sequence[torch.Tensor], guide: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Disparity (B, 1, H/2, W/2), about [-1, 1], of single images.

        Args:
            features: outputs of the tapped blocks, (B, C_i, h_i, w_i), coarse to fine; the last
                at an eighth of the input's size.
            guide: (B, guide_channels, H/2, W/2), when the head was built with one.
        """
        return self.refine_map(self.fuse(features, None, None)[0], guide)

    def forward_frames(
        self,
        features: Sequence[torch.Tensor],
        guide: torch.Tensor | None,
        past: Past,
        memory: Memory | None = None,
    ) -> tuple[torch.Tensor, Memory]:
        """Disparity (B·T, 1, H/2, W/2) of T frames of each of B streams, and what to remember.

        Args:
            features: as in ``forward``, the T frames of a stream one after the other.
            guide: as in ``forward``.
            past: which frames each may look at, (B, T, M + T), the remembered ones first.
            memory: of M frames (``new_memory``), or None.

        Returns:
            The disparity, and a memory of these T frames.
        """
        x, entries = self.fuse(features, past, memory)
        return self.refine_map(x, guide), entries

    def new_memory(self, batch: int, height: int, width: int, frames: int) -> Memory:
        """Room for ``frames`` frames of images of a size (pixels); zeros, on the head's device."""
        reference = next(self.parameters())
        heads = self.config.temporal_heads
        channels = self.config.width // heads
        strides = [LEVEL_STRIDES[level] for _, level in TEMPORAL_PLACES]
        return [
            reference.new_zeros(batch, ENTRIES, positions, heads, frames, channels)
            for positions in ((height // stride) * (width // stride) for stride in strides)
        ]

    def fuse(
        self, features: Sequence[torch.Tensor], past: Past | None, memory: Memory | None
    ) -> tuple[torch.Tensor, Memory]:
        """Features (B·T, width, H/2, W/2), without time where ``past`` is None; and the entries."""
        x, entries = None, []

        def through_time(maps: torch.Tensor, *place: str | int) -> torch.Tensor:
            if past is None or place not in TEMPORAL_PLACES:
                return maps
            index = len(entries)
            known = None if memory is None else memory[index]
            maps, own = self.temporal[index](maps, past, known)
            entries.append(own)
            return maps

        layers = zip(features, self.reassemble, self.lateral, self.fusion, strict=True)
        for index, (feature, reassemble, lateral, fusion) in enumerate(layers):
            level = lateral(through_time(reassemble(feature), "level", index))
            if x is not None:
                level = level + _resize(x, level.shape[-2:])
            x = through_time(fusion(level), "fused", index)
        for conv in self.upsample:
            x = F.relu(conv(_resize(x, (2 * x.shape[-2], 2 * x.shape[-1]))))
        return x, entries

    def refine_map(self, x: torch.Tensor, guide: torch.Tensor | None) -> torch.Tensor:
        """Disparity of fused features, with the guide's edges."""
        if guide is not None:
            x = torch.cat([x, guide], dim=1)
        return self.refine(x)


def _resize(x: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    if tuple(x.shape[-2:]) == tuple(size):
        return x
    return F.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)
