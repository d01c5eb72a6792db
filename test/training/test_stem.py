"""A stem learns to give the UNet the latents that it knows; stage 2 goes on from there."""

from __future__ import annotations

import pytest
import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.image_stem import ImageStem
from training.config import RunConfig
from training.stage2 import Stage2Objective, Stage2Recipe
from training.stem import StemObjective, StemRecipe


def recipe(**changes) -> StemRecipe:
    fields = {"model": "random:tiny", "stem": "tiny-stem", "head_width": 16, **changes}
    return StemRecipe(run=RunConfig(output=""), **fields)


@pytest.fixture
def batch() -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(0)
    images = torch.rand(2, 3, 64, 64, generator=draw) * 2 - 1
    disparity = images.mean(1, keepdim=True)
    return {"rgb": images, "disparity": disparity, "valid": torch.ones_like(disparity).bool()}


@torch.no_grad()
def test_losses_are_those_of_the_latents_and_of_the_blocks_behind_them(batch):
    objective = StemObjective(recipe(feature_weight=0.5))
    losses = objective(batch, [], {})
    model, images = objective.model, batch["rgb"]
    wanted, found = (ae.encode(a, images) for a in (objective.encoder, model.autoencoder))
    assert losses["latent"] == pytest.approx((wanted - found).square().mean().item(), rel=1e-5)
    pairs = zip(model.features_from(wanted), model.features_from(found), strict=True)
    feature = sum((theirs - ours).square().mean() for theirs, ours in pairs)
    assert losses["feature"] == pytest.approx(feature.item(), rel=1e-4)
    assert losses["loss"] == pytest.approx((losses["latent"] + 0.5 * feature).item(), rel=1e-4)


def test_the_stem_alone_learns(batch):
    objective = StemObjective(recipe())
    trained = {name for name, value in objective.named_parameters() if value.requires_grad}
    assert trained and all(name.startswith("model.autoencoder.") for name in trained)
    optimizer = torch.optim.Adam((p for p in objective.parameters() if p.requires_grad), 3e-3)
    values = []
    for _ in range(20):
        losses = objective(batch, [], {})
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        values.append({name: value.item() for name, value in losses.items()})
    assert values[-1]["latent"] < 0.7 * values[0]["latent"]
    assert values[-1]["feature"] < values[0]["feature"]
    assert all(p.grad is not None for p in objective.model.autoencoder.parameters())


def test_stage_2_trains_the_stem_along_but_no_encoder(batch, tmp_path):
    StemObjective(recipe(name="fast")).save_model(tmp_path / "model")
    model = DepthModel.from_pretrained(tmp_path / "model")
    assert model.config.name == "fast" and isinstance(model.autoencoder, ImageStem)
    assert model.provenance.stages[-1]["command"] == "python -m training.stem"
    stage2 = Stage2Recipe(run=RunConfig(output=""), model=str(tmp_path / "model"))
    objective = Stage2Objective(stage2)
    objective(batch, [], objective.counts(batch))["loss"].backward()
    gradients = [p.grad for p in objective.model.autoencoder.parameters()]
    assert all(gradient is not None for gradient in gradients)
    whole = Stage2Recipe(run=RunConfig(output=""), model="random:tiny", head_width=16)
    encoder = Stage2Objective(whole).model.autoencoder
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_a_whole_autoencoder_is_no_stem():
    with pytest.raises(ConfigError, match="'tiny' is a whole autoencoder"):
        StemObjective(recipe(stem="tiny"))
