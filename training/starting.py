"""The network that a method starts from: a model of this package, or a Stable Diffusion pipeline."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from depth_distill_ros.models import hub
from depth_distill_ros.models.depth_model import DepthModel, DepthModelConfig
from depth_distill_ros.models.pipelines import is_pipeline
from depth_distill_ros.models.prompt import empty_prompt_embedding
from depth_distill_ros.models.provenance import Credit, public_name
from training.history import teacher_credit
from training.latents import RANDOM, load_autoencoder, load_model
from training.student import open_source, student_unet, widen_input

PATTERNS = ("*.json", "*/*.safetensors", "prompt.safetensors", "README.md", "tokenizer/merges.txt")
"""Files of a Hub repository: not the checkpoints of other software at a pipeline's root."""


def starting_model(
    name: str, unet: str = "sd2", in_channels: int | None = None
) -> tuple[DepthModel, list[Credit]]:
    """Parts to train further, in evaluation mode, float32, on the CPU.

    Args:
        name: a bundled model, a model's folder, a pinned Hub id or ``random:<preset>``; or a
            Stable Diffusion pipeline's folder or pinned Hub id (``unet/``, ``vae/``,
            ``tokenizer/``, ``text_encoder/``).
        unet: preset of a pipeline's UNet; a model of this package says itself.
        in_channels: of the UNet's input. None leaves a model as it is, and gives a pipeline's
            UNet the image latents alone. A number: UNet, autoencoder and prompt alone. The first
            convolution keeps the weights of the image latents; what is more is made by the rule
            of ``training.student``, and what will fill it is the caller's to put in front.

    Returns:
        The model, and what a history has to name beside the model's own (``training.history``).

    Raises:
        ModelError: it does not exist, a part is missing, or weights and preset do not fit.
    """
    if name.startswith(RANDOM):
        model, credits = load_model(name), []
    else:
        folder = hub.resolve(name, PATTERNS)
        if is_pipeline(folder):
            model, credits = _of_pipeline(str(folder), unet)
        else:
            model = DepthModel.from_pretrained(folder)
            credits = [] if model.provenance.credits else [teacher_credit(model, name, "")]
    if in_channels is not None:
        _change_input(model, in_channels)
    return model, [dataclasses.replace(c, source=public_name(name), role="origin") for c in credits]


def _of_pipeline(folder: str, preset: str) -> tuple[DepthModel, list[Credit]]:
    source, autoencoder = open_source(folder, preset), load_autoencoder(folder)
    network = student_unet(preset, autoencoder.config.latent_channels, source)
    prompt = empty_prompt_embedding(Path(folder))
    model = DepthModel(DepthModelConfig(name=preset), network, autoencoder, prompt=prompt).eval()
    name = "Stable Diffusion" if preset.startswith("sd") else preset
    return model, [dataclasses.replace(source.credit, name=name)]


def _change_input(model: DepthModel, in_channels: int) -> None:
    """Leave out prior and head, and give the UNet other channels in front of the image's."""
    stored, latents = model.unet.state_dict(), model.autoencoder.config.latent_channels
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config({**model.unet.config, "in_channels": in_channels})
    stored["conv_in.weight"] = stored["conv_in.weight"][:, -latents:].clone()
    widen_input(stored, unet.conv_in.weight)
    unet.load_state_dict(stored, assign=True)
    model.unet, model.prior, model.head = unet.eval(), None, None
    model.config = dataclasses.replace(model.config, prior=False, decoder="autoencoder")
