"""FiffDepth: three roles of one UNet, what reaches what, and the model that comes out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models.depth_model import DepthModel
from training.config import DataConfig, RunConfig, parse_recipe
from training.data.batches import Feed, StepBatches
from training.data.pairs import photos_of
from training.data.shards import Shards
from training.data.views import Batch
from training.fiffdepth import FiffDepthObjective, FiffDepthRecipe, main
from training.latents import encode_batch
from training.pseudo_labels import PhotoConfig

RECIPES = Path(__file__).parents[2] / "config" / "training"
PRIOR = "prior:d3epth-tiny"
PAPER = {"mae": 1.0, "gradient": 0.5, "label_mae": 1.0, "label_gradient": 0.5, "trajectory": 0.2}


@pytest.fixture
def recipe(uneven_shards, photos, labels) -> FiffDepthRecipe:
    return FiffDepthRecipe(
        run=RunConfig(output="unused", steps=4, batch_size=2),
        data=DataConfig(folder=str(uneven_shards), size=(64, 64)),
        model="random:tiny",
        photos=PhotoConfig(str(photos), str(labels), PRIOR),
    )


class Step:
    """One training step, with what the UNet was given and what it answered in each role."""

    def __init__(self, recipe: FiffDepthRecipe):
        self.objective = FiffDepthObjective(recipe).train()
        feeds = self.objective.feeds([Feed(Shards(recipe.data.folder))])
        self.batches = StepBatches(feeds, recipe.data, recipe.run)
        self.calls: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        unet = self.objective.model.unet
        unet.register_forward_hook(self._note, with_kwargs=True)

    def _note(self, unet, arguments, named, output) -> None:
        latents, timestep = arguments
        self.calls.append((latents, torch.as_tensor(timestep), output.sample))

    def losses(self, number: int = 0) -> dict[str, torch.Tensor]:
        self.batch: Batch = self.batches[number].tensors
        self.calls.clear()
        generators = [torch.Generator().manual_seed(k) for k in range(2)]
        return self.objective(self.batch, generators, self.objective.counts(self.batch))

    def latents(self):
        model = self.objective.model
        return encode_batch(model, self.batch, None), encode_batch(
            model, photos_of(self.batch), None
        )


def test_the_roles_and_the_weights_of_the_paper(recipe):
    step = Step(recipe)
    losses = step.losses()
    (depth_in, at_depth, depth_out), (filter_in, at_filter, _), (_, at_steps, _) = step.calls
    synthetic, real = step.latents()
    assert torch.equal(depth_in, torch.cat([synthetic.image, real.image])) and at_depth == 0
    assert torch.equal(filter_in, depth_out[2:]) and at_filter == -1
    assert at_steps.shape == (2,) and (at_steps >= 1).all() and (at_steps <= 999).all()
    expected = sum(weight * losses[name] for name, weight in PAPER.items())
    assert set(losses) == {"loss", *PAPER}
    torch.testing.assert_close(losses["loss"], expected)


def test_mean_absolute_error_and_gradient_matching_by_hand(recipe):
    """Eq. 5 and 6 as sums in NumPy, over the latents that no pixel without depth reaches."""
    step = Step(recipe)
    losses = step.losses(1)
    synthetic, _ = step.latents()
    residual = (step.calls[0][2][:2] - synthetic.depth).detach().numpy()
    mask = synthetic.mask.numpy()
    assert 0 < mask.mean() < 1
    count = 4 * mask.sum()
    across = np.abs(np.diff(residual, axis=3)) * (mask[..., 1:] & mask[..., :-1])
    down = np.abs(np.diff(residual, axis=2)) * (mask[..., 1:, :] & mask[..., :-1, :])
    losses = {name: value.detach() for name, value in losses.items()}
    assert float(losses["mae"]) == pytest.approx((np.abs(residual) * mask).sum() / count, rel=1e-5)
    gradient = (across.sum() + down.sum()) / count
    assert float(losses["gradient"]) == pytest.approx(gradient, rel=1e-5)


def test_the_trajectory_is_of_blends_with_depth(recipe):
    step = Step(recipe)
    losses = step.losses(1)
    noisy, steps, predicted = step.calls[2]
    synthetic, _ = step.latents()
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    kept = (1 - betas).cumprod(0)[steps].view(2, 1, 1, 1)
    blend = 0.5 * synthetic.image + 0.5 * synthetic.depth  # γ = 0.5
    noise = (noisy - kept.sqrt() * blend) / (1 - kept).sqrt()
    drawn = []
    for k in range(2):  # after t, each sample's noise from its own generator
        generator = torch.Generator().manual_seed(k)
        assert torch.randint(1, 1000, (1,), generator=generator) == steps[k]
        drawn.append(torch.randn(4, 8, 8, generator=generator))
    torch.testing.assert_close(noise.float(), torch.stack(drawn), atol=1e-3, rtol=0)
    velocity = kept.sqrt() * noise - (1 - kept).sqrt() * blend
    clean = kept.sqrt() * noisy - (1 - kept).sqrt() * velocity
    torch.testing.assert_close(clean.float(), blend, atol=1e-5, rtol=0)
    error = ((predicted - velocity).square() * synthetic.mask).sum() / (4 * synthetic.mask.sum())
    assert float(losses["trajectory"].detach()) == pytest.approx(float(error.detach()), rel=1e-4)


def test_noise_and_velocity_by_hand(recipe):
    """x = 2, ε = -1 where ᾱ = 0.36: x_t = 0.6·2 - 0.8, v = -0.6 - 0.8·2, x = 0.6·x_t - 0.8·v."""
    scheduler = FiffDepthObjective(recipe)._noise
    assert len(scheduler.alphas_cumprod) == 1000
    assert float(scheduler.alphas_cumprod[0]) == pytest.approx(1 - 0.00085)
    assert float(scheduler.alphas_cumprod[-1]) == pytest.approx(0.00466, abs=1e-5)
    scheduler.alphas_cumprod[7] = 0.36
    clean, noise = torch.full((1, 4, 2, 2), 2.0), -torch.ones(1, 4, 2, 2)
    noisy = scheduler.add_noise(clean, noise, torch.tensor([7]))
    velocity = scheduler.get_velocity(clean, noise, torch.tensor([7]))
    torch.testing.assert_close(noisy, torch.full_like(clean, 0.4))
    torch.testing.assert_close(velocity, torch.full_like(clean, -2.2))
    torch.testing.assert_close(0.6 * noisy - 0.8 * velocity, clean)


def test_blends_of_the_image_alone(recipe):
    step = Step(replace(recipe, blend=1.0))
    step.losses()
    noisy, steps, _ = step.calls[2]
    scheduler, image = step.objective._noise, step.latents()[0].image
    noise = []
    for k in range(2):
        generator = torch.Generator().manual_seed(k)
        torch.randint(1, 1000, (1,), generator=generator)
        noise.append(torch.randn(4, 8, 8, generator=generator))
    torch.testing.assert_close(noisy, scheduler.add_noise(image, torch.stack(noise), steps))


def gradient_at_depth(step: Step, losses: dict, *names: str) -> torch.Tensor:
    """Of the sum of some losses with respect to d_0, (4, 4, 8, 8): two synthetic, two real."""
    return torch.autograd.grad(sum(losses[name] for name in names), step.calls[0][2])[0]


def test_the_labels_reach_the_depth_through_the_filter(recipe):
    step = Step(recipe)
    losses = step.losses()
    gradient = gradient_at_depth(step, losses, "label_mae", "label_gradient")
    assert gradient[:2].abs().max() == 0, "photos alone"
    assert (gradient[2:].abs().amax(dim=(1, 2, 3)) > 0).all()
    assert step.calls[1][0].requires_grad, "not cut off at the filter's input"


def test_the_ablations(recipe):
    direct = Step(replace(recipe, pseudo_labels="direct"))
    losses = direct.losses()
    assert [int(call[1].flatten()[0]) for call in direct.calls][0] == 0 and len(direct.calls) == 2
    count = 4 * direct.latents()[1].mask.sum()
    gradient = gradient_at_depth(direct, losses, "label_mae")[2:]
    torch.testing.assert_close(gradient.abs(), torch.full_like(gradient, 1 / count))

    off = Step(replace(recipe, pseudo_labels="off", photos=PhotoConfig()))
    losses = off.losses()
    assert set(losses) == {"loss", "mae", "gradient", "trajectory"}
    assert off.calls[0][0].shape[0] == 2 and not photos_of(off.batch)

    lone = Step(replace(recipe, trajectory_weight=0.0, gradient_weight=0.0))
    losses = lone.losses()
    assert len(lone.calls) == 2 and "trajectory" not in losses
    torch.testing.assert_close(losses["loss"], losses["mae"] + losses["label_mae"])


@pytest.mark.parametrize("sees", [False, True])
def test_a_prior_of_the_models_own_stays_in_front(recipe, sees):
    step = Step(replace(recipe, model="random:tiny-prior", filter_prior=sees))
    step.losses()
    synthetic, real = step.latents()
    prior = synthetic.inputs.shape[1] - 4
    (depth_in, *_), (filter_in, *_), (noisy, *_) = step.calls
    assert prior > 0 and torch.equal(depth_in[:2], synthetic.inputs)
    assert torch.equal(noisy[:, :prior], synthetic.inputs[:, :prior])
    expected = real.inputs[:, :prior] if sees else torch.zeros_like(filter_in[:, :prior])
    assert torch.equal(filter_in[:, :prior], expected)
    assert torch.equal(filter_in[:, prior:], step.calls[0][2][2:])


def test_the_timesteps_of_the_roles_are_defined_and_distinct(recipe):
    """The sinusoidal embedding: sines of -1 are those of 1 mirrored, cosines the same."""
    unet = FiffDepthObjective(recipe).model.unet
    sample = torch.zeros(1, 4, 8, 8)
    embedded = [unet.get_time_embed(sample, timestep)[0] for timestep in (-1, 0, 1)]
    assert all(torch.isfinite(e).all() for e in embedded)
    before, now, after = embedded
    cosine, sine = before.chunk(2)  # flip_sin_to_cos
    torch.testing.assert_close(torch.cat([cosine, -sine]), after)
    assert (
        torch.equal(now.chunk(2)[0], torch.ones_like(cosine)) and now.chunk(2)[1].abs().sum() == 0
    )
    assert min((a - b).abs().max() for a, b in ((before, now), (before, after))) > 0.5


def test_the_command_makes_its_labels_and_a_model_of_one_step(shards, photos, tmp_path):
    config = str(RECIPES / "debug_fiffdepth.yaml")
    places = ["--run.output", str(tmp_path / "run"), "--data.folder", str(shards)]
    places += ["--photos.folder", str(photos), "--photos.labels", str(tmp_path / "labels")]
    few = ["--run.steps", "2", "--model", "random:tiny-prior"]
    assert main(["--config", config, *places, *few]) == 0
    estimator = DepthEstimator.from_pretrained(tmp_path / "run" / "model", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    assert np.isfinite(estimator(image).disparity).all()
    model = DepthModel.from_pretrained(tmp_path / "run" / "model")
    assert (model.config.timestep, model.config.decoder) == (0, "autoencoder")
    assert model.config.teachers == ("d3epth-tiny (its prior) (apache-2.0)",)
    assert {credit.role for credit in model.provenance.credits} == {"teacher", "data"}

    recipe = parse_recipe(FiffDepthRecipe, "", ["--config", config, *places, *few])[0]
    before = FiffDepthObjective(recipe).model.state_dict()
    after = model.state_dict()
    frozen = [name for name in before if name.startswith(("autoencoder.", "prior."))]
    assert len(frozen) > 100 and all(torch.equal(before[name], after[name]) for name in frozen)
    trained = [name for name in before if name.startswith("unet.")]
    changed = [not torch.equal(before[name], after[name]) for name in trained]
    assert sum(changed) > 0.9 * len(changed)
