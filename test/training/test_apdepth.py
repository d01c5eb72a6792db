"""ApDepth: what the UNet sees, what each stage differentiates, what is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.prior import DepthPrior
from depth_distill_ros.models.provenance import Credit
from depth_distill_ros.models.unet import build_unet
from training.apdepth import ApDepthObjective, ApDepthRecipe, main
from training.config import DataConfig, RunConfig
from training.data.batches import StepBatches
from training.data.shards import Shards
from training.latents import load_prior
from training.losses.frequency import frequency_loss
from training.teacher import TeacherObjective, TeacherRecipe

CONFIG = str(Path(__file__).parents[2] / "config" / "training" / "debug_apdepth.yaml")


def recipe_of(shards: Path, **changes) -> ApDepthRecipe:
    run = RunConfig(output="unused", batch_size=2)
    data = DataConfig(folder=str(shards), size=(64, 64))
    fields = {"model": "random:tiny", "prior": "d3epth-tiny", **changes}
    return ApDepthRecipe(run=run, data=data, **fields)


def losses_of(objective: ApDepthObjective, shards: Path) -> tuple[dict[str, float], dict]:
    recipe = objective._recipe
    batch = StepBatches(Shards(shards), recipe.data, recipe.run)[0].tensors
    generators = [torch.Generator()] * 2
    losses = objective(batch, generators, objective.counts(batch))
    return {name: loss.item() for name, loss in losses.items()}, batch


def train(shards: Path, output: Path, *overrides: str) -> DepthModel:
    few = ["--run.steps", "2", "--run.save_every", "2", "--data.size", "[64, 64]"]
    places = ["--run.output", str(output), "--data.folder", str(shards)]
    assert main(["--config", CONFIG, *few, *places, *overrides]) == 0
    return DepthModel.from_pretrained(output / "model")


def predict(model: Path) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    return DepthEstimator.from_pretrained(model, device="cpu")(image).disparity


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return all(torch.equal(first[name], second[name]) for name in first.keys() | second.keys())


@torch.no_grad()
def losses_by_hand(objective: ApDepthObjective, batch: dict) -> tuple[float, float]:
    """Mean squared error and frequency loss, from the networks' parts."""
    model, rgb = objective.model, batch["rgb"]
    disparity = model.prior(rgb)[0].flatten(1)
    low, high = (torch.quantile(disparity, q, dim=1)[:, None] for q in (0.02, 0.98))
    maps = (2 * (disparity - low) / (high - low) - 1).clamp(-1, 1).view(2, 1, 32, 32)
    maps = F.interpolate(maps, (64, 64), mode="bilinear")
    prior, image, target = (
        model.autoencoder.encode(x).latent_dist.mode() * model.autoencoder.config.scaling_factor
        for x in (maps.repeat(1, 3, 1, 1), rgb, batch["disparity"].repeat(1, 3, 1, 1))
    )
    token = torch.tensor([np.sin(1), 0, np.cos(1), 1]).float().expand(2, -1)
    predicted = model.unet(
        torch.cat([prior, image], dim=1),
        1,
        encoder_hidden_states=model.prompt.expand(2, -1, -1),
        class_labels=token,
    ).sample
    mask = F.avg_pool2d(batch["valid"].float(), 8) == 1
    error = (predicted - target).square() * mask
    frequency = frequency_loss(predicted * mask, target * mask)
    return float(error.sum() / (4 * mask.sum())), float(frequency)


def test_each_stage_differentiates_its_own_loss(uneven_shards, tmp_path):
    one = ApDepthObjective(recipe_of(uneven_shards)).train()
    losses, batch = losses_of(one, uneven_shards)
    assert 0 < batch["valid"].float().mean() < 1
    latent, frequency = losses_by_hand(one, batch)
    assert losses["loss"] == losses["latent"] == pytest.approx(latent, rel=1e-4)
    assert losses["frequency"] == pytest.approx(frequency, rel=1e-4)
    one.save_model(tmp_path / "one")
    two = ApDepthObjective(recipe_of(uneven_shards, stage=2, model=str(tmp_path / "one"))).train()
    losses, _ = losses_of(two, uneven_shards)
    assert losses["loss"] == pytest.approx(0.5 * frequency, rel=1e-4)
    assert losses["latent"] == pytest.approx(latent, rel=1e-4)


def test_the_ablations_of_stage_2(uneven_shards):
    def loss(**changes) -> dict:
        recipe = recipe_of(uneven_shards, stage=2, **changes)
        return losses_of(ApDepthObjective(recipe).train(), uneven_shards)[0]

    plain = loss(latent_weight=1.0, frequency_weight=0.0)
    assert plain["loss"] == plain["latent"]
    for changes in ({"frequency_power": 2}, {"frequency_strength": 0.0}):
        changed = loss(**changes)
        assert changed["frequency"] != pytest.approx(plain["frequency"], rel=0.01)
        assert changed["loss"] == pytest.approx(0.5 * changed["frequency"])


def test_both_stages_train_the_unet_alone_and_save_the_prior(shards, tmp_path):
    one = train(shards, tmp_path / "one")
    two = train(shards, tmp_path / "two", "--stage", "2", "--model", f"{tmp_path}/one/model")
    start = DepthModel.from_preset("tiny", seed=0)
    bundled = load_prior("d3epth-tiny")
    for model in (one, two):
        assert same(model.prior, bundled) and same(model.autoencoder, start.autoencoder)
        config = model.config
        assert (config.prior_input, config.timestep, config.decoder) == (
            "latents",
            1,
            "autoencoder",
        )
    for before, after in ((start, one), (one, two)):
        pairs = dict(after.unet.named_parameters())
        changed = [
            not torch.equal(value, pairs[name])
            for name, value in before.unet.named_parameters()
            if name != "conv_in.weight"
        ]
        assert sum(changed) > 0.9 * len(changed)
    half = start.unet.conv_in.weight / 2
    assert (one.unet.conv_in.weight - torch.cat([half, half], dim=1)).abs().max() < 2e-3
    assert [stage["recipe"]["stage"] for stage in two.provenance.stages] == [1, 2]
    prior = Credit("d3epth-tiny (prior)", "d3epth-tiny", "apache-2.0", "origin")
    assert prior in two.provenance.credits
    disparity = predict(tmp_path / "two" / "model")
    assert disparity.shape == (64, 96) and np.isfinite(disparity).all()


def test_the_start_is_the_source_where_both_latents_are_alike(shards):
    model = ApDepthObjective(recipe_of(shards)).model.eval()
    source = DepthModel.from_preset("tiny", seed=0).eval()
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        twice = model.predict_latents(torch.cat([latents, latents], dim=1))
        assert (twice - source.predict_latents(latents, timestep=1)).abs().max() < 1e-5


def test_without_a_prior_it_sees_the_image_alone(shards, tmp_path):
    objective = ApDepthObjective(recipe_of(shards, prior=""))
    assert objective.model.prior is None and objective.model.unet.config.in_channels == 4
    assert losses_of(objective, shards)[0]["loss"] > 0
    objective.save_model(tmp_path / "model")
    assert np.isfinite(predict(tmp_path / "model")).all()


def test_a_network_of_transformers_is_the_prior(shards, tmp_path):
    pytest.importorskip("transformers")
    from depth_networks import depth_anything, publish

    folder = publish(depth_anything(), tmp_path / "published", 56)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    overrides = ("--prior", f"hf:{folder}", "--speed.frozen_dtype", "bfloat16")
    model = train(shards, tmp_path / "run", *overrides)
    assert same(model.prior, load_prior(f"hf:{folder}"))  # in float32, as it was
    assert Credit("published (prior)", "published", "apache-2.0", "origin") in (
        model.provenance.credits
    )
    assert np.isfinite(predict(tmp_path / "run" / "model")).all()
    assert same(load_prior(str(tmp_path / "run" / "model")), model.prior)
    with pytest.raises(ModelError, match="gives a map and no features"):
        TeacherObjective(TeacherRecipe(run=RunConfig(output="unused"), prior=f"hf:{folder}"))


def test_priors_by_name(tmp_path):
    assert load_prior("") is None
    assert isinstance(load_prior("d3epth-tiny"), DepthPrior)
    model = DepthModel.from_preset("tiny-prior", seed=0)
    model.save_pretrained(tmp_path / "model")
    for folder in (tmp_path / "model", tmp_path / "model" / "prior"):
        assert same(load_prior(str(folder)), model.prior)
    with pytest.raises(ModelError, match="there is no prior in 'nowhere'"):
        load_prior("nowhere")


def test_stage_2_goes_on_from_stage_1(shards):
    with pytest.raises(ConfigError, match="stage 2 goes on from the model of stage 1"):
        ApDepthObjective(recipe_of(shards, stage=2, model="d3epth-tiny"))


def test_the_full_size_unet():
    with torch.device("meta"):
        narrow, wide = (build_unet("sd2", channels) for channels in (4, 8))
    plain, ours = (sum(p.numel() for p in unet.parameters()) for unet in (narrow, wide))
    assert plain == 865_910_724  # Stable Diffusion 2's
    assert ours == plain + 320 * 4 * 3 * 3 == 865_922_244


def test_the_prior_stands_before_the_image(shards):
    objective = ApDepthObjective(recipe_of(shards))
    images = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        latents, guide = objective.model.encode(images)
        expected = ae.encode(objective.model.autoencoder, images)
    assert guide is None and latents.shape == (1, 8, 8, 8)
    assert torch.equal(latents[:, 4:], expected)
    assert not torch.allclose(latents[:, :4], expected)
