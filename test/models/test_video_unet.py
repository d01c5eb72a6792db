"""UNets of video: parameter counts, which parameters are of time, embeddings one a frame."""

import pytest
import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.edm import SIGMA_MAX, Preconditioning
from depth_distill_ros.models.video_unet import (
    TEMPORAL_NAMES,
    build_video_unet,
    denoise,
    predict,
    temporal_parameters,
)


@pytest.fixture(scope="module")
def model() -> DepthModel:
    return DepthModel.from_preset("tiny-video", seed=0).eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(6, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_parameters_of_stable_video_diffusion():
    with torch.device("meta"):
        unet = build_video_unet("svd")
    parameters = dict(unet.named_parameters())
    temporal = temporal_parameters(unet)
    assert sum(p.numel() for p in parameters.values()) == 1_524_623_082
    assert sum(parameters[name].numel() for name in temporal) == 656_076_838
    assert all(any(part in name for part in TEMPORAL_NAMES) for name in temporal)


def test_unknown_presets_are_refused():
    with pytest.raises(ConfigError, match="svd"):
        build_video_unet("svdd")


def test_denoise_is_skip_plus_out(model):
    draw = torch.Generator().manual_seed(0)
    noisy, condition = (torch.randn(1, 2, 4, 8, 8, generator=draw) for _ in range(2))
    context, sigma = torch.randn(1, 1, 64, generator=draw), 3.0
    factor = Preconditioning.at(sigma)
    with torch.no_grad():
        output = predict(model.unet, factor.into * noisy, factor.noise, condition, context)
        found = denoise(model.unet, noisy, sigma, condition, context)
    assert torch.allclose(found, 0.1 * noisy - 3 / 10**0.5 * output, atol=1e-5)


@torch.no_grad()
def test_the_frames_of_a_clip_are_seen_at_once_and_clips_are_not(model, images):
    together = model(images, frames=3)
    assert not torch.allclose(together, model(images), atol=1e-3)
    assert torch.allclose(together[3:], model(images[3:], frames=3), atol=1e-4)


@torch.no_grad()
def test_an_embedding_a_frame(model, images):
    latents = model.encode(images)[0]
    one = torch.randn(2, 1, 64, generator=torch.Generator().manual_seed(0))
    of_clips = model.one_step(latents, 3, one)
    repeated = one.repeat_interleave(3, dim=0)
    assert torch.allclose(of_clips, model.one_step(latents, 3, repeated), atol=1e-5)
    repeated[1] += 1
    changed = (model.one_step(latents, 3, repeated) - of_clips).abs().amax((1, 2, 3))
    assert changed[:3].max() > 1e-4
    assert changed[3:].max() == 0


@torch.no_grad()
def test_the_two_starts(model, images):
    latents = model.encode(images)[0]
    image = model.one_step(latents, 3)
    assert torch.equal(image, model.one_step(latents, 3, start=latents))
    noise = torch.randn(6, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    other = model.one_step(latents, 3, start=noise)
    assert not torch.allclose(image, other, atol=1e-3)
    # What is left of the start beside the network's answer at σ_max.
    size = (SIGMA_MAX**2 + 1) ** 0.5
    clip = latents.unflatten(0, (2, 3))
    output = predict(
        model.unet, clip, Preconditioning.at(SIGMA_MAX).noise, clip, model.clip_context(None, 2)
    )
    expected = clip / size - SIGMA_MAX / size * output
    assert torch.allclose(image, expected.flatten(0, 1), atol=1e-5)


@torch.no_grad()
def test_save_and_load(model, images, tmp_path):
    model.save_pretrained(tmp_path / "model")
    loaded = DepthModel.from_pretrained(tmp_path / "model")
    assert loaded.config == model.config
    assert torch.equal(loaded(images, frames=3), model(images, frames=3))
