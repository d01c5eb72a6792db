"""A depth model as it is run and not trained: everything constant is folded into the weights, exactly.

For its own timestep, the task "depth" and its own prompt; ``folded_unet`` and ``folded_ends`` say what
is folded. Fold in float32 and ``lower`` the result, so that rounding comes last.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import TAPS, Memory, half_size_guide
from depth_distill_ros.models.folded_ends import fold_decoder, fold_encoder, fold_prior
from depth_distill_ros.models.folded_unet import FoldedUNet
from depth_distill_ros.models.prior import DepthPrior, prior_input
from depth_distill_ros.models.temporal import Past
from depth_distill_ros.models.unet import task_token
from depth_distill_ros.models.video_unet import is_video


def fold(model: DepthModel) -> FoldedModel:
    """The same function of images with less to compute, in evaluation mode, without gradients.

    Args:
        model: left as it is; the weights are copied, on its device and in its type.

    Raises:
        ConfigError: its UNet is one of videos, or has parts that no preset of this package has.
    """
    return FoldedModel(model)


class FoldedModel(nn.Module):
    """A ``DepthModel`` for inference; see ``fold``.

    Attributes:
        config: the model's ``DepthModelConfig``.
        multiple: pixels that the sides of the input must be multiples of.
        temporal_window: frames of a stream that the head sees at once; 0: it cannot.
    """

    @torch.no_grad()
    def __init__(self, model: DepthModel):
        super().__init__()
        if is_video(model.unet):
            raise ConfigError("a video UNet cannot be folded: run the model as it is")
        self.config = model.config
        self.multiple = model.multiple
        self.temporal_window = model.temporal_window
        self.encoder = fold_encoder(model.autoencoder)
        self.prior = None if model.prior is None else fold_prior(model.prior)
        decodes = model.config.decoder == "autoencoder"
        self.head = None if decodes else copy.deepcopy(model.head)
        self.decoder = fold_decoder(model.autoencoder) if decodes else None
        self.unet = FoldedUNet(
            model.unet,
            model.config.timestep,
            task_token("depth", 1, model.prompt.device),
            model.prompt.to(model.unet.dtype),
            output=decodes,
        )
        self.eval().requires_grad_(False)

    def lower(self, dtype: torch.dtype) -> FoldedModel:
        """Weights and arithmetic in a type of fewer bits, in place; images still come in float32.

        In float16 a `DepthPrior` stays in float32: rounding its weights, or the image that it sees, moves
        single pixels of a disparity by 1.5 % of the largest; rounding all that follows by 0.02 %.
        """
        prior = self.prior
        if dtype == torch.float16 and isinstance(prior, DepthPrior):
            self.prior = None
        self.to(dtype)
        self.prior = prior
        return self

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """The UNet's input and the head's guide, as ``DepthModel.encode``'s."""
        latents, disparity = self._latents(images), None
        if self.prior is not None:
            own = images.to(next(self.prior.parameters()).dtype)
            prior, disparity = prior_input(self.prior, self.config.prior_input, own, self._latents)
            latents = torch.cat([prior.to(latents.dtype), latents], dim=1)
        if self.head is None or self.head.config.guide_channels == 0:
            return latents, None
        return latents, half_size_guide(images, disparity).to(latents.dtype)

    def _latents(self, images: torch.Tensor) -> torch.Tensor:
        return self.encoder(images.to(next(self.encoder.parameters()).dtype))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Disparity, affine-invariant, about [-1, 1], larger is nearer.

        Args:
            images: (B, 3, H, W) in [-1, 1], sides multiples of ``multiple``.

        Returns:
            (B, 1, H, W) from the autoencoder's decoder, (B, 1, H/2, W/2) from the head.
        """
        latents, guide = self.encode(images)
        if self.head is None:
            return self.decoder(self.unet(latents))
        return self.head(self.unet.features(latents)[-TAPS:], guide)

    def step(
        self, images: torch.Tensor, ages: torch.Tensor, memory: Memory
    ) -> tuple[torch.Tensor, Memory]:
        """The next frame of each of B streams, and its entry, as ``DepthModel.step``."""
        latents, guide = self.encode(images)
        past = Past.of_ages(F.pad(ages, (0, 1))[:, None])  # itself last, at age 0
        features = self.unet.features(latents)[-TAPS:]
        return self.head.forward_frames(features, guide, past, memory)

    def new_memory(self, batch: int, height: int, width: int, window: int | None = None) -> Memory:
        """An empty memory for images of (height, width): window - 1 frames of zeros."""
        window = window or self.temporal_window
        return self.head.new_memory(batch, height, width, window - 1)
