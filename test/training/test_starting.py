"""Where a method starts: the parts, their inputs, and what the history says of them."""

from __future__ import annotations

import json

import pytest
import torch
from diffusers import UNet2DConditionModel
from pipeline_folders import VAE, write_sdxs, write_text_encoder

from depth_distill_ros.errors import ModelError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.provenance import Credit, Provenance
from depth_distill_ros.models.unet import UNET_PRESETS
from training.starting import starting_model


def step(model: DepthModel, latents: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return model.predict_latents(latents)


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    """Stable Diffusion's layout around a tiny UNet, with a KL autoencoder as ``vae``."""
    torch.manual_seed(3)
    config = {k: v for k, v in UNET_PRESETS["tiny"].items() if "class" not in k}
    unet = UNet2DConditionModel(in_channels=4, out_channels=4, **config)
    folder = write_sdxs(tmp_path_factory.mktemp("hub") / "stable", unet)
    (folder / "vae").rename(folder / "vae_tiny")
    (folder / "vae_large").rename(folder / "vae")
    write_text_encoder(folder, 64)
    return folder


def test_a_pipeline_with_its_autoencoder_prompt_and_licence(pipeline, latents):
    model, credits = starting_model(str(pipeline), "tiny")
    unet = UNet2DConditionModel.from_pretrained(pipeline / "unet")
    with torch.inference_mode():
        prompt = model.prompt.expand(2, -1, -1)
        expected = unet(latents, 999, encoder_hidden_states=prompt).sample
    assert model.prompt.shape == (1, 2, 64) and model.prompt.abs().sum() > 0
    assert torch.equal(step(model, latents), expected)
    assert model.autoencoder.config.scaling_factor == VAE["scaling_factor"]
    assert credits == [Credit("tiny", "stable", "openrail++", "origin")]
    assert not model.training


def test_as_many_channels_again_leave_the_prediction(pipeline, latents):
    model, _ = starting_model(str(pipeline), "tiny")
    wide, _ = starting_model(str(pipeline), "tiny", in_channels=8)
    assert wide.unet.conv_in.weight.shape[1] == 8
    half = model.unet.conv_in.weight / 2
    assert torch.equal(wide.unet.conv_in.weight, torch.cat([half, half], dim=1))
    twice = step(wide, torch.cat([latents, latents], dim=1))
    assert (twice - step(model, latents)).abs().max() < 1e-5


@pytest.mark.parametrize("channels", [4, 8])
def test_a_model_with_a_prior_keeps_the_weights_of_its_image_latents(channels, latents):
    bundled, credits = starting_model("d3epth-tiny")
    assert bundled.prior is not None and bundled.unet.config.in_channels == 52
    model, _ = starting_model("d3epth-tiny", in_channels=channels)
    assert model.prior is None and model.head is None
    assert not model.config.prior and model.config.decoder == "autoencoder"
    absent = torch.zeros(2, 48, 8, 8)
    repeated = torch.cat([latents] * (channels // 4), dim=1)
    expected = step(bundled, torch.cat([absent, latents], dim=1))
    assert (step(model, repeated) - expected).abs().max() < 1e-4
    assert credits == [Credit("d3epth-tiny", "d3epth-tiny", "apache-2.0", "origin")]
    assert all(p.requires_grad for p in model.unet.parameters())


def test_what_a_history_names_already_is_not_named_again(tmp_path):
    model = DepthModel.from_preset("tiny", seed=0)
    model.provenance = Provenance(credits=(Credit("Somebody", licence="mit"),))
    model.save_pretrained(tmp_path / "known")
    loaded, credits = starting_model(str(tmp_path / "known"))
    assert credits == [] and loaded.provenance == model.provenance
    assert starting_model("random:tiny")[1] == []


def test_other_weights_than_the_presets_are_refused(pipeline, tmp_path):
    with pytest.raises(ModelError, match="is not the architecture of preset sd2"):
        starting_model(str(pipeline))
    with pytest.raises(ModelError, match="there is no model 'nowhere'"):
        starting_model("nowhere")
    (tmp_path / "config.json").write_text(json.dumps({"_class_name": "other"}))
    with pytest.raises(ModelError, match="does not describe"):
        starting_model(str(tmp_path))
