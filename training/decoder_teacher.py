"""The frozen autoencoder's decoder as the teacher of a DPT head (one-step video depth, 3.3)."""

from __future__ import annotations

import dataclasses

import torch
from diffusers import AutoencoderTiny
from torch import nn

from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel


def decoder_teacher(model: DepthModel) -> DepthModel:
    """A model's UNet followed by its autoencoder's decoder, whatever else it decodes with.

    The parts are the model's own, not copies.
    """
    config = dataclasses.replace(model.config, decoder="autoencoder")
    return DepthModel(
        config,
        model.unet,
        model.autoencoder,
        model.prior,
        prompt=model.prompt,
        image_encoder=model.image_encoder,
    )


@torch.no_grad()
def decode_with_features(
    teacher: DepthModel,
    latents: torch.Tensor,
    context: torch.Tensor | None,
    frames: int,
    chosen: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Disparity (N, 1, H, W), about [-1, 1], and the decoder's features (N, C, h, w).

    Args:
        teacher: of ``decoder_teacher``.
        latents: the UNet's input of all images, of ``DepthModel.encode``.
        context: of ``DepthModel.context``.
        frames: of a clip that the UNet sees at once; 1 spares it the images that are not chosen.
        chosen: numbers of N images, (clips, n): those of a clip are decoded at once.
    """
    features: list[torch.Tensor] = []
    hook = _last_block(teacher.autoencoder).register_forward_hook(
        lambda _module, _inputs, output: features.append(output)
    )
    which = chosen.flatten()
    try:
        if frames == 1:
            predicted = teacher.predict_latents(latents[which])
        else:
            predicted = teacher.predict_latents(latents, context=context, frames=frames)[which]
        disparity = teacher.decode(predicted, chosen.shape[1])
    finally:
        hook.remove()
    return disparity.float(), features[0].float()


def _last_block(autoencoder: ae.Autoencoder) -> nn.Module:
    """The decoder's last block before the layers that make an image of its features."""
    if isinstance(autoencoder, AutoencoderTiny):
        return autoencoder.decoder.layers[-2]
    return autoencoder.decoder.up_blocks[-1]
