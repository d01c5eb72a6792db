"""ApDepth: a data-driven prior's depth map beside the image: ``python -m training.apdepth --stage 1``.

The UNet sees [z_prior, z_rgb], two maps through one autoencoder (section 3.2), and predicts the
depth latents in one step at t = 1, told of an empty prompt. Stage 1 learns them by their mean
squared error, stage 2 goes on from stage 1's model with the latent frequency loss (sections 3.3
and 3.4). Prior and autoencoder stay frozen and are saved with the model.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.history import next_stage
from training.label_priors import prior_credit
from training.latents import count_latents, encode_batch, load_model, load_prior
from training.losses.frequency import frequency_loss
from training.losses.latent import latent_mse
from training.objective import Counts, Losses, ModelObjective
from training.starting import starting_model
from training.timing import span


@dataclass(frozen=True)
class ApDepthRecipe(CommonConfig):
    """Recipe of both stages.

    Attributes:
        name: of the saved model.
        stage: 1 or 2.
        model: what to start from. Stage 1: a Stable Diffusion pipeline or a model of this package
            (``training.starting``; section 4.1 takes Stable Diffusion 2.1); stage 2: stage 1's.
        unet: preset of a pipeline's UNet.
        prior: whose depth map the UNet sees (``training.latents.load_prior``); the paper's is
            Depth Anything V2 (section 3.2) and does not say which size. Empty is the ablation
            without a prior, on 4 channels. Stage 2 keeps stage 1's.
        prior_licence: what the model's card says of the prior; empty takes what its folder says.
        latent_weight: of the mean squared error in stage 2. Section 3.3 can be read as adding the
            frequency loss to it; the authors' code trains with the frequency loss alone: 0.
        frequency_weight: of the frequency loss in stage 2: 0.5 in the authors' code.
        frequency_power: p of eq. 11, which section 3.4 leaves at 1 or 2; 1 in the authors' code.
        frequency_strength: λ of eq. 10, without a value in section 3.4; 1 in the authors' code.
    """

    name: str = "apdepth"
    stage: Literal[1, 2] = 1
    model: str = ""
    unet: str = "sd2"
    prior: str = "hf:models/Depth-Anything-V2-Small-hf"
    prior_licence: str = ""
    latent_weight: float = 0.0
    frequency_weight: float = 0.5
    frequency_power: Literal[1, 2] = 1
    frequency_strength: float = 1.0


class ApDepthObjective(ModelObjective):
    """Depth latents from the latents of the image and of a prior's map."""

    def __init__(self, recipe: ApDepthRecipe):
        super().__init__()
        self._recipe = recipe
        torch.manual_seed(recipe.run.seed)
        self.model = _first_model(recipe) if recipe.stage == 1 else _next_model(recipe)
        frozen = (self.model.autoencoder, self.model.prior)
        self.freeze(*(module for module in frozen if module is not None))
        weights = (
            (1.0, 0.0) if recipe.stage == 1 else (recipe.latent_weight, recipe.frequency_weight)
        )
        self._weights = dict(zip(("latent", "frequency"), weights, strict=True))

    def counts(self, batch: Batch) -> Counts:
        """The valid latents."""
        return {"latents": count_latents(batch)}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "latent" and "frequency" in both stages, and what the stage makes of them."""
        recipe, latents = self._recipe, encode_batch(self.model, batch, None)
        with span("student"):
            predicted = self.model.predict_latents(latents.inputs)
        maps = (predicted, latents.depth, latents.mask)
        strength, power = recipe.frequency_strength, recipe.frequency_power
        losses = {
            "latent": latent_mse(*maps, counts["latents"]),
            "frequency": frequency_loss(*maps, strength, power),
        }
        return {"loss": sum(self._weights[name] * losses[name] for name in losses), **losses}


def _first_model(recipe: ApDepthRecipe) -> DepthModel:
    """The source's UNet with the prior's channels in front, and its autoencoder."""
    prior = load_prior(recipe.prior)
    start, credits = starting_model(recipe.model, recipe.unet, 4 if prior is None else 8)
    if prior is not None:
        credit = prior_credit(recipe.prior, recipe.prior_licence)
        name = f"{credit.name} (prior)"
        credits.append(dataclasses.replace(credit, name=name, role="origin"))
    config = dataclasses.replace(
        start.config,
        name=recipe.name,
        prior=prior is not None,
        prior_input="latents",
        timestep=1,
        resolution=tuple(recipe.data.size),
    )
    history = next_stage(start.provenance, "training.apdepth", recipe, *credits)
    return DepthModel(config, start.unet, start.autoencoder, prior, None, start.prompt, history)


def _next_model(recipe: ApDepthRecipe) -> DepthModel:
    """Stage 1's model, renamed and with one more entry in its history."""
    model = load_model(recipe.model)
    if model.head is not None:
        raise ConfigError(f"stage 2 goes on from the model of stage 1, and {recipe.model} is none")
    model.config = dataclasses.replace(model.config, name=recipe.name)
    model.provenance = next_stage(model.provenance, "training.apdepth", recipe)
    return model


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.apdepth``."""
    return run_command(ApDepthRecipe, ApDepthObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
