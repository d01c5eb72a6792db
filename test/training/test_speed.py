"""Memory against time: the same gradients, the same saved model, whatever the settings."""

from __future__ import annotations

import contextlib

import pytest
import torch
from diffusers import UNet2DConditionModel
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.feature_taps import FeatureTaps, named_blocks
from training import speed as speed_module
from training.config import DataConfig, RunConfig, SpeedConfig
from training.prior import PriorObjective, PriorRecipe
from training.speed import apply_speed, as_target, frozen_networks
from training.stage1 import Stage1Objective, Stage1Recipe
from training.stage2 import Stage2Objective, Stage2Recipe

COMMON = {"run": RunConfig(output="unused"), "data": DataConfig(size=(64, 128))}
STAGES = {
    "stage1": lambda: Stage1Objective(
        Stage1Recipe(student="tiny", teacher="random:tiny-teacher", **COMMON)
    ),
    "stage2": lambda: Stage2Objective(Stage2Recipe(model="random:tiny", **COMMON)),
    "stage2-head": lambda: Stage2Objective(Stage2Recipe(model="random:tiny-prior", **COMMON)),
}


def batch() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        "rgb": torch.rand(2, 3, 64, 128, generator=generator) * 2 - 1,
        "disparity": torch.rand(2, 1, 64, 128, generator=generator) * 2 - 1,
        "valid": torch.rand(2, 1, 64, 128, generator=generator) > 0.001,
    }


def step(objective, autocast: torch.dtype | None = None):
    """Losses and gradients of one micro-batch."""
    objective.train()
    tensors = batch()
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    context = torch.autocast("cpu", autocast) if autocast else contextlib.nullcontext()
    with context:
        losses = objective(tensors, generators, objective.counts(tensors))
    losses["loss"].backward()
    gradients = {n: p.grad for n, p in objective.named_parameters() if p.requires_grad}
    return {name: float(value.detach()) for name, value in losses.items()}, gradients


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Distance of two sets of gradients, relative to the first."""
    assert one.keys() == other.keys()
    distance = sum(float((one[k] - other[k]).square().sum()) for k in one)
    return (distance / sum(float(g.square().sum()) for g in one.values())) ** 0.5


@pytest.fixture(scope="module")
def plain():
    return {name: step(build()) for name, build in STAGES.items()}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("settings", "tolerance"),
    [({"gradient_checkpointing": True}, 1e-6), ({"channels_last": True}, 1e-3)],
)
def test_gradients_stay_the_same(stage, settings, tolerance, plain):
    objective = STAGES[stage]()
    apply_speed(objective, SpeedConfig(**settings))
    losses, gradients = step(objective)
    assert losses == pytest.approx(plain[stage][0], rel=1e-5)
    assert difference(plain[stage][1], gradients) < tolerance


def test_checkpointing_recomputes_inside_blocks_and_taps_fire_once():
    objective = STAGES["stage1"]()
    apply_speed(objective, SpeedConfig(gradient_checkpointing=True))
    unet = objective.model.unet
    calls = {"block": 0, "resnet": 0}
    block = named_blocks(unet)["d1"]
    block.register_forward_hook(lambda *_: calls.__setitem__("block", calls["block"] + 1))
    resnet = block.resnets[0]
    # not a hook behind it: the recomputation stops at the last tensor that is needed
    resnet.register_forward_pre_hook(lambda *_: calls.__setitem__("resnet", calls["resnet"] + 1))
    step(objective)
    assert calls == {"block": 1, "resnet": 2}


def test_checkpointing_reaches_the_frozen_decoder():
    objective = STAGES["stage2"]()
    decoder = objective.model.autoencoder.decoder
    calls = []
    decoder.up_blocks[0].resnets[0].register_forward_pre_hook(lambda *_: calls.append(1))
    apply_speed(objective, SpeedConfig(gradient_checkpointing=True))
    step(objective)
    assert len(calls) == 2


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("autocast", [None, torch.bfloat16])
def test_frozen_networks_in_half_precision(stage, autocast, plain):
    objective = STAGES[stage]()
    exact = {k: v.clone() for k, v in objective.model.autoencoder.state_dict().items()}
    applied = apply_speed(objective, SpeedConfig(frozen_dtype="bfloat16"))
    networks = frozen_networks(objective)
    assert networks and all(n.dtype == torch.bfloat16 for n in networks)
    trained = [p for p in objective.parameters() if p.requires_grad]
    assert all(p.dtype == torch.float32 for p in trained)
    for module in objective.modules():  # running variances may exceed what half precision holds
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var.dtype == torch.float32
    latents = objective.model.encode(batch()["rgb"])[0]
    assert latents.dtype == torch.float32
    losses, gradients = step(objective, autocast)
    assert losses == pytest.approx(plain[stage][0], rel=0.02)
    assert all(g.isfinite().all() for g in gradients.values() if g is not None)
    if stage == "stage1":
        assert difference(plain[stage][1], gradients) < 0.05
    applied.restore()
    saved = objective.model.autoencoder.state_dict()
    assert all(torch.equal(exact[k], saved[k]) for k in exact), "a saved model is not rounded"
    assert objective.model.autoencoder.decode(latents[:, -4:]).sample.dtype == torch.float32


def test_gradients_through_float16_are_refused():
    objective = STAGES["stage2"]()
    apply_speed(objective, SpeedConfig(frozen_dtype="float16"))
    with pytest.raises(ConfigError, match="bfloat16"):
        step(objective)


def test_frozen_layers_of_a_trained_network_keep_their_precision():
    objective = PriorObjective(PriorRecipe(imagenet=False, **COMMON))
    objective.freeze(objective.prior.encoder.stem)
    apply_speed(objective, SpeedConfig(frozen_dtype="bfloat16"))
    assert {p.dtype for p in objective.parameters()} == {torch.float32}


def test_the_teacher_runs_in_inference_mode_and_its_outputs_may_be_kept():
    objective = STAGES["stage1"]()
    modes = []
    objective.teacher.unet.register_forward_hook(
        lambda *_: modes.append(torch.is_inference_mode_enabled())
    )
    step(objective)
    assert modes == [True]
    with torch.inference_mode():
        made = torch.ones(3)
    kept = as_target(made)
    weight = torch.ones(3, requires_grad=True)
    (weight * kept).square().sum().backward()  # keeps `kept` for the backward pass
    assert weight.grad.tolist() == [2.0, 2.0, 2.0]
    with pytest.raises(RuntimeError, match="[Ii]nference"):
        weight * made


@pytest.mark.slow
def test_compiled_blocks_give_the_same_and_taps_stay_outside(monkeypatch):
    compile_ = torch.compile
    # without a code generator: seconds instead of minutes, the same graphs
    monkeypatch.setattr(
        speed_module.torch, "compile", lambda f, **k: compile_(f, backend="aot_eager", **k)
    )
    unet = UNet2DConditionModel(
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        mid_block_type=None,
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=4,
        attention_head_dim=2,
        cross_attention_dim=8,
    ).eval()
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        with torch.no_grad(), FeatureTaps(unet, ("d0", "u1")) as taps:
            return unet(latents, 999, torch.zeros(1, 2, 8)).sample, dict(taps)

    sample, features = run()
    names = list(unet.state_dict())
    speed_module._compile_blocks(unet)
    for _ in range(2):  # compiling, and compiled, each with taps of its own
        compiled, tapped = run()
        torch.testing.assert_close(compiled, sample, rtol=1e-4, atol=1e-5)
        for name, value in features.items():
            torch.testing.assert_close(tapped[name], value, rtol=1e-4, atol=1e-5)
    assert list(unet.state_dict()) == names


def test_an_empty_unet_takes_no_memory(tmp_path):
    DepthModel.from_preset("tiny", seed=1).save_pretrained(tmp_path / "model")
    whole = DepthModel.from_pretrained(tmp_path / "model")
    for model in (
        DepthModel.from_preset("tiny", seed=1, empty_unet=True),
        DepthModel.from_pretrained(tmp_path / "model", empty_unet=True),
    ):
        assert {p.device.type for p in model.unet.parameters()} == {"meta"}
        own, theirs = (m.autoencoder.state_dict() for m in (model, whole))
        assert all(torch.equal(own[k], theirs[k]) for k in theirs)
