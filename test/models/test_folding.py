"""Folded models give the numbers of the models that they were made of."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch.utils.flop_counter import FlopCounterMode

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folded_upsampling import UpsampledConv
from depth_distill_ros.models.folding import fold
from depth_distill_ros.models.presets import build_head
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.unet import UNET_PRESETS, build_unet

TOLERANCE = 1e-5


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def worn(model: DepthModel) -> DepthModel:
    """The model with no parameter at its initial 0 or 1, and running statistics of some data."""
    draw = torch.Generator().manual_seed(5)
    for parameter in model.parameters():
        change = 0.1 * torch.randn(parameter.shape, generator=draw)
        parameter.data += change * (1.0 if parameter.dim() == 1 else parameter.std())
    for name, buffer in model.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0, generator=draw)
        elif name.endswith("running_mean"):
            buffer.normal_(0.0, 0.1, generator=draw)
    return model.eval()


def relative_error(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@torch.inference_mode()
def assert_same(model: DepthModel) -> None:
    images = noise(2, 3, model.multiple, 2 * model.multiple)
    expected = model(images)
    found = fold(model)(images)
    assert found.shape == expected.shape
    assert relative_error(found, expected) < TOLERANCE


def with_prompt(model: DepthModel, tokens: int) -> DepthModel:
    model.prompt = 3 * noise(1, tokens, model.prompt.shape[-1], seed=tokens)
    return model


@pytest.mark.parametrize("name", ["d3epth-tiny", "d3epth-tiny-stream"])
def test_bundled_models(name):
    assert_same(DepthModel.from_pretrained(name))


@pytest.mark.parametrize("preset", ["tiny", "tiny-prior", "tiny-teacher"])
@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_any_number_of_prompt_tokens(preset, tokens):
    assert_same(with_prompt(worn(DepthModel.from_preset(preset, seed=0)), tokens))


def test_the_models_own_timestep_counts():
    models = [worn(DepthModel.from_preset("tiny", seed=0, timestep=step)) for step in (1, 999)]
    assert_same(models[0])
    images = noise(1, 3, 32, 32)
    assert relative_error(fold(models[0])(images), fold(models[1])(images)) > 1e-3


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_tiny_autoencoder(scale):
    torch.manual_seed(0)
    autoencoder = AutoencoderTiny(
        encoder_block_out_channels=(16,) * 4,
        decoder_block_out_channels=(16,) * 4,
        scaling_factor=scale,
    )
    model = DepthModel.from_preset("tiny", seed=0)
    assert_same(with_prompt(worn(DepthModel(model.config, model.unet, autoencoder)), 2))


def test_an_autoencoder_without_convolutions_between_its_halves_and_the_latents():
    torch.manual_seed(0)
    model = DepthModel.from_preset("tiny", seed=0)
    fields = {**model.autoencoder.config, "use_quant_conv": False, "use_post_quant_conv": False}
    autoencoder = AutoencoderKL.from_config({**fields, "scaling_factor": 0.6})
    assert_same(worn(DepthModel(model.config, model.unet, autoencoder)))


def test_a_priors_map_through_the_autoencoder():
    base = DepthModel.from_preset("tiny", seed=0, prior=False)
    torch.manual_seed(0)
    changes = {"prior": True, "prior_input": "latents", "decoder": "head", "name": "apdepth"}
    config = type(base.config)(**{**vars(base.config), **changes})
    unet = build_unet("tiny", 8)
    head = build_head(unet, 16)
    model = DepthModel(config, unet, base.autoencoder, DepthPrior(), head)
    assert_same(worn(model))


def test_projections_as_convolutions_and_a_plain_block():
    fields = {**UNET_PRESETS["tiny-teacher"], "use_linear_projection": False}
    torch.manual_seed(0)
    base = DepthModel.from_preset("tiny", seed=0)
    unet = UNet2DConditionModel(**fields)
    assert "DownBlock2D" in unet.config.down_block_types
    assert_same(with_prompt(worn(DepthModel(base.config, unet, base.autoencoder)), 2))


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 4)])
def test_a_convolution_behind_an_upsampling_sees_the_small_map(size):
    conv, maps = torch.nn.Conv2d(3, 5, 3, padding=1), noise(2, 3, *size)
    expected = conv(torch.nn.functional.interpolate(maps, scale_factor=2.0, mode="nearest"))
    assert relative_error(UpsampledConv(conv)(maps), expected) < 1e-6


@torch.inference_mode()
def test_the_weights_of_equal_neighbours_add_up():
    conv = torch.nn.Conv2d(1, 1, 3, padding=1)
    conv.weight.copy_(torch.arange(1.0, 10.0).view(1, 1, 3, 3))
    phases = UpsampledConv(conv).phases.weight[:, 0]
    # Even rows see the row above and, twice, their own; odd ones their own twice and the next.
    assert phases[0].tolist() == [[1, 2 + 3], [4 + 7, 5 + 6 + 8 + 9]]
    assert phases[3].tolist() == [[1 + 2 + 4 + 5, 3 + 6], [7 + 8, 9]]


@torch.inference_mode()
def test_a_step_with_a_memory(stream_model):
    # In float64: in float32 what is kept differed by 2.5e-5 on a CPU with AVX2 alone
    model = DepthModel.from_pretrained(stream_model).double()
    folded = fold(model)
    assert folded.temporal_window == model.temporal_window == 4
    memory = [noise(*kept.shape).double() for kept in model.new_memory(2, 64, 96)]
    assert [kept.shape for kept in folded.new_memory(2, 64, 96)] == [kept.shape for kept in memory]
    intervals = torch.tensor([[0.1, 0.4, torch.inf]] * 2)
    arguments = noise(2, 3, 64, 96).double(), intervals, memory
    expected, entries = model.step(*arguments)
    found, kept = folded.step(*arguments)
    assert relative_error(found, expected) < 1e-12
    assert max(map(relative_error, kept, entries)) < 1e-12


@torch.inference_mode()
@pytest.mark.parametrize("prior_input", ["features", "latents"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lowered_precision_spares_the_prior_in_float16(dtype, prior_input):
    base = DepthModel.from_preset("tiny-prior", seed=0)
    unet = base.unet if prior_input == "features" else build_unet("tiny", 8)
    config = dataclasses.replace(base.config, prior_input=prior_input)
    model = worn(DepthModel(config, unet, base.autoencoder, base.prior, base.head))
    folded, images = fold(model).lower(dtype), noise(1, 3, 64, 96)
    types = {name.split(".")[0]: values.dtype for name, values in folded.named_parameters()}
    prior = torch.float32 if dtype == torch.float16 else dtype
    assert types == {"encoder": dtype, "prior": prior, "head": dtype, "unet": dtype}
    for values in (*folded.prior.buffers(), *folded.prior.parameters()):
        assert values.dtype == prior
    error = relative_error(folded(images).float(), fold(model)(images))
    assert error < (5e-3 if dtype == torch.float16 else 5e-2)


def test_the_model_is_left_as_it_was():
    model = worn(DepthModel.from_preset("tiny-prior", seed=0))
    before = copy.deepcopy(model.state_dict())
    state = torch.get_rng_state()
    folded = fold(model)
    assert torch.equal(torch.get_rng_state(), state)
    for parameter in folded.parameters():
        assert not parameter.requires_grad
        parameter.zero_()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.requires_grad for parameter in model.unet.parameters())


def test_a_fold_has_no_batch_norm_and_computes_less():
    model = worn(DepthModel.from_preset("tiny-prior", seed=0))
    folded, images = fold(model), noise(1, 3, 64, 96)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    flops = []
    for network in (model, folded):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        flops.append(counter.get_total_flops())
    assert flops[1] < flops[0]


def test_what_cannot_be_folded_is_refused():
    with pytest.raises(ConfigError, match="video"):
        fold(DepthModel.from_preset("tiny-video", seed=0))
    model = DepthModel.from_preset("tiny", seed=0)
    model.unet.register_to_config(resnet_time_scale_shift="scale_shift")
    with pytest.raises(ConfigError, match="scale_shift"):
        fold(model)


@pytest.mark.slow
def test_the_full_size_student():
    assert_same(with_prompt(DepthModel.from_preset("d3epth", seed=0).eval(), 2))
