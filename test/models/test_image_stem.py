"""An image stem in an autoencoder's place: what fits it, what it costs, and that it folds."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folding import fold
from depth_distill_ros.models.image_stem import ImageStem
from depth_distill_ros.models.presets import build_parts, find_preset, preset_parameters
from depth_distill_ros.models.prior import DepthPrior


def gigaflops(network: nn.Module, *inputs: torch.Tensor, **options) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(*inputs, **options)
    return counter.get_total_flops() / 1e9


def encoder_gigaflops(preset: str, height: int, width: int) -> float:
    with torch.device("meta"):
        autoencoder = ae.build_autoencoder(preset)
        if hasattr(autoencoder, "set_attn_processor"):
            autoencoder.set_attn_processor(AttnProcessor())
        return gigaflops(autoencoder.encode, torch.zeros(1, 3, height, width))


def student_gigaflops(preset: str, height: int, width: int) -> float:
    """Stem, UNet and head; with plain attention, since the counter leaves the fused one out."""
    with torch.device("meta"):
        parts = build_parts(dataclasses.replace(find_preset(preset), prior=False))
        parts["unet"].set_attn_processor(AttnProcessor())
        model = DepthModel(
            dataclasses.replace(DepthModel.from_preset("tiny").config, decoder="head"), **parts
        )
        return gigaflops(model, torch.zeros(1, 3, height, width))


def test_latents_at_an_eighth_by_hand():
    stem = ImageStem(latent_channels=4, widths=(2, 2, 2), blocks=(0, 0, 0), scaling_factor=0.5)
    for parameter in stem.parameters():
        parameter.data.zero_()
    for conv in stem.encoder[::2]:  # the middle pixel of each window, through every stride
        conv.weight.data[:, 0, 1, 1] = 1.0
    images = torch.arange(64.0).reshape(1, 1, 8, 8).expand(1, 3, 8, 8).repeat(1, 1, 1, 2)
    latents = ae.encode(stem, images)
    assert latents.shape == (1, 4, 1, 2)
    assert torch.equal(latents, torch.zeros(1, 4, 1, 2))  # pixel (0, 0) of both halves
    latents = ae.encode(stem, images + 3)
    assert torch.equal(latents, torch.full((1, 4, 1, 2), 1.5))


def test_a_stem_computes_a_fraction_of_the_encoders():
    assert encoder_gigaflops("taesd", 512, 512) == pytest.approx(122, abs=1)
    assert encoder_gigaflops("stem", 512, 512) == pytest.approx(13.4, abs=0.1)
    assert encoder_gigaflops("tiny", 192, 256) == pytest.approx(1.9, abs=0.05)
    assert encoder_gigaflops("tiny-stem", 192, 256) == pytest.approx(0.41, abs=0.01)


def test_the_small_student_is_of_about_100_gigaflops():
    assert student_gigaflops("d3epth-fast", 512, 512) == pytest.approx(437, abs=1)
    assert student_gigaflops("d3epth-small", 512, 512) == pytest.approx(92.3, abs=0.5)


def test_parameters_in_millions():
    fast, small = preset_parameters("d3epth-fast"), preset_parameters("d3epth-small")
    assert fast["unet"] / 1e6 == pytest.approx(329.82, abs=0.006)
    assert small["unet"] / 1e6 == pytest.approx(56.60, abs=0.006)
    assert fast["autoencoder"] / 1e6 == pytest.approx(1.36, abs=0.01)
    assert sum(small.values()) / 1e6 == pytest.approx(58.54, abs=0.01)


@torch.inference_mode()
def test_a_model_with_a_stem_is_saved_loaded_and_folded(tmp_path):
    for preset in ("tiny-fast", "tiny-small"):
        model = DepthModel.from_preset(preset, seed=0).eval()
        model.save_pretrained(tmp_path / preset)
        loaded = DepthModel.from_pretrained(tmp_path / preset)
        images = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0)) * 2 - 1
        expected = model(images)
        assert torch.equal(loaded(images), expected)
        error = (fold(loaded)(images) - expected).abs().max() / expected.abs().max()
        assert error < 1e-5


def test_a_stem_needs_a_head_and_a_prior_that_needs_no_encoder():
    model = DepthModel.from_preset("tiny-fast", seed=0)
    with pytest.raises(ModelError, match="no decoder"):
        model.decode(torch.zeros(1, 4, 8, 8))
    for change in ({"decoder": "autoencoder"}, {"prior_input": "latents"}):
        config = dataclasses.replace(model.config, **change)
        with pytest.raises(ModelError, match="an image stem encodes images"):
            DepthModel(config, model.unet, model.autoencoder, DepthPrior(), model.head)
