"""Training the data-driven prior: anew, or on from a trained one."""

from __future__ import annotations

import pytest
import torch

from depth_distill_ros.errors import DataError
from depth_distill_ros.models.components import save_component
from depth_distill_ros.models.prior import DepthPrior
from training.config import DataConfig, RunConfig
from training.latents import load_prior
from training.prior import PriorObjective, PriorRecipe


def objective_from(model: str, **more) -> PriorObjective:
    run = RunConfig(output="out", steps=1, batch_size=1)
    return PriorObjective(PriorRecipe(run=run, data=DataConfig(), model=model, **more))


def test_goes_on_from_a_trained_prior(tmp_path):
    trained = DepthPrior((8, 16, 24, 32, 40), "lite1")
    save_component(trained, tmp_path)
    prior = objective_from(str(tmp_path), frozen_stages=1).prior
    assert prior.config.encoder_size == "lite1"
    for name, tensor in trained.state_dict().items():
        assert torch.equal(prior.state_dict()[name], tensor), name
    learns = {name for name, p in prior.named_parameters() if p.requires_grad}
    assert "encoder.stages.1.0.layers.0.weight" in learns
    assert "encoder.stages.0.0.layers.0.weight" not in learns
    assert all(name in learns for name, _ in prior.named_parameters() if "encoder" not in name)


def test_looks_at_one_scale_until_it_is_trained(tmp_path):
    save_component(DepthPrior((8, 16, 24, 32, 40), two_scales=True), tmp_path / "start")
    objective = objective_from(str(tmp_path / "start"), two_scales=True)
    assert not objective.prior.config.two_scales
    objective.save_model(tmp_path / "model")
    assert load_prior(str(tmp_path / "model")).config.two_scales
    assert not objective.prior.config.two_scales


def test_saves_the_average_with_other_trainings(tmp_path):
    for name, value in (("start", 1.0), ("other", 4.0)):
        prior = DepthPrior((8, 16, 24, 32, 40))
        for parameter in prior.parameters():
            torch.nn.init.constant_(parameter, value)
        save_component(prior, tmp_path / name)
    start, other = str(tmp_path / "start"), str(tmp_path / "other")
    objective = objective_from(start, average=(other, other), two_scales=True)
    before = {name: tensor.clone() for name, tensor in objective.state_dict().items()}
    objective.save_model(tmp_path / "model")
    saved = load_prior(str(tmp_path / "model"))
    assert saved.config.two_scales
    assert {float(p.detach().mean()) for p in saved.parameters()} == {3.0}
    for name, tensor in objective.state_dict().items():  # the training itself can go on
        assert torch.equal(tensor, before[name]), name


def test_averages_only_priors_of_the_same_layers(tmp_path):
    save_component(DepthPrior((8, 16, 24, 32, 40)), tmp_path / "narrow")
    save_component(DepthPrior((8, 16, 24, 32, 48)), tmp_path / "wide")
    with pytest.raises(DataError, match="wide' cannot be averaged"):
        objective_from(str(tmp_path / "narrow"), average=(str(tmp_path / "wide"),))


def test_goes_on_only_from_a_prior_that_it_trains(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the extra 'peers' is not installed")
    stages = ["stage1", "stage2", "stage3", "stage4"]
    backbone = transformers.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, patch_size=14, image_size=42,
        out_features=stages, reshape_hidden_states=False,
    )  # fmt: skip
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, patch_size=14, reassemble_hidden_size=16,
        neck_hidden_sizes=[8] * 4, fusion_hidden_size=8, head_hidden_size=8,
    )  # fmt: skip
    transformers.DepthAnythingForDepthEstimation(config).save_pretrained(tmp_path)
    with pytest.raises(DataError, match="no prior that this command trains"):
        objective_from(f"hf:{tmp_path}")
