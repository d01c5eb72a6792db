"""FiffDepth: ``python -m training.fiffdepth --config RECIPE``.

One UNet in three roles that the timestep alone tells apart: at t = 0 an image's latents become
those of its depth (eq. 1); at t = -1 it takes the detail from that depth again, so that a
data-driven prior's pseudo-labels can correct it on photos without blurring it (eq. 4); at t = 1 …
it goes on denoising, blends of image and depth, as what it was before (eq. 2, 3). Inference is t = 0.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from diffusers import DDPMScheduler
from torch import Tensor

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.provenance import Credit, public_name
from training.command import run_command
from training.config import CommonConfig
from training.data.batches import Feed
from training.data.pairs import Pairs, photos_of
from training.data.views import Batch
from training.history import next_stage
from training.label_priors import prior_credit
from training.latents import LatentBatch, count_latents, encode_batch
from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.latent import latent_mse
from training.losses.scale_shift_invariant import aligned_absolute_error
from training.objective import Counts, Losses, ModelObjective
from training.pseudo_labels import PhotoConfig, open_photos
from training.starting import starting_model
from training.timing import span

DEPTH, FILTER = 0, -1


@dataclass(frozen=True)
class FiffDepthRecipe(CommonConfig):
    """Recipe of FiffDepth. A batch counts images with depth; each has a photo beside it.

    Attributes:
        name: of the saved model.
        model: a Stable Diffusion pipeline that predicts v (folder or pinned Hub id), or a model of
            this package (also ``random:<preset>``), whose head is left out.
        unet: preset of a pipeline's UNet.
        photos: see :class:`training.pseudo_labels.PhotoConfig`.
        pseudo_labels: what the photos' labels teach. "filter": the output at t = -1, as the paper
            does; "direct": that at t = 0, its ablation (section 4.2); "off": there are no photos.
        filter_prior: where the model has a prior of its own, let the filter see its channels, and
            not zeros. Where that prior also made the labels, the filter could copy them from there,
            and would teach the depth nothing. The paper's filter sees the depth alone (eq. 4).
        posterior: "mean" of the autoencoder's posterior, which inference takes, or "sample"; the
            paper does not say.
        blend: γ, the image's share of what is denoised (eq. 2, section 4.1); 1 is the ablation
            without depth.
        mae_weight: λ_MAE (eq. 7, section 4.1).
        gradient_weight: λ_GM, of gradient matching (eq. 6); 0 turns it off.
        trajectory_weight: λ_k, of denoising (eq. 3); 0 turns it off.
        diffusion_steps: of the noise schedule, 1000 (section 4.1). What is denoised is at t = 1 …
            999 of the network's own numbering, whose t = 0, the least noise, is the depth's now.
        beta_schedule, beta_start, beta_end: of the noise. "The original DDPM noise scheduler"
            (section 4.1) names no values: those that Stable Diffusion was trained with.
        resolution: (height, width) whose area images have at inference; ``data.size`` when None.
    """

    name: str = "fiffdepth"
    model: str = ""
    unet: str = "sd2"
    photos: PhotoConfig = field(default_factory=PhotoConfig)
    pseudo_labels: Literal["filter", "direct", "off"] = "filter"
    filter_prior: bool = False
    posterior: Literal["mean", "sample"] = "mean"
    blend: float = 0.5
    mae_weight: float = 1.0
    gradient_weight: float = 0.5
    trajectory_weight: float = 0.2
    diffusion_steps: int = 1000
    beta_schedule: str = "scaled_linear"
    beta_start: float = 0.00085
    beta_end: float = 0.012
    resolution: tuple[int, int] | None = None


class FiffDepthObjective(ModelObjective):
    """Depth, filter and trajectory of one UNet."""

    def __init__(self, recipe: FiffDepthRecipe):
        super().__init__()
        self._recipe = recipe
        torch.manual_seed(recipe.run.seed)
        start, credits = starting_model(recipe.model, recipe.unet)
        teachers = start.config.teachers
        if recipe.pseudo_labels != "off":
            prior = prior_credit(recipe.photos.prior, recipe.photos.prior_licence)
            licence = f" ({prior.licence})" if prior.licence else ""
            teachers = tuple(dict.fromkeys((*teachers, prior.name + licence)))
            photos = Credit("Photos", public_name(recipe.photos.folder), role="data")
            credits = [*credits, prior, photos]
        config = dataclasses.replace(
            start.config,
            name=recipe.name,
            timestep=DEPTH,
            decoder="autoencoder",
            resolution=tuple(recipe.resolution or recipe.data.size),
            teachers=teachers,
        )
        history = next_stage(start.provenance, "training.fiffdepth", recipe, *credits)
        parts = start.unet, start.autoencoder, start.prior
        self.model = DepthModel(config, *parts, prompt=start.prompt, provenance=history)
        self.freeze(*(part for part in parts[1:] if part is not None))
        self._noise = DDPMScheduler(
            recipe.diffusion_steps, recipe.beta_start, recipe.beta_end, recipe.beta_schedule
        )

    def feeds(self, feeds: Sequence[Feed]) -> Sequence[Feed]:
        """A photo beside every image; pseudo-labels that are missing are made."""
        if self._recipe.pseudo_labels == "off":
            return feeds
        photos = open_photos(self._recipe.photos, self._recipe.data)
        return [dataclasses.replace(feed, source=Pairs(feed.source, photos)) for feed in feeds]

    def counts(self, batch: Batch) -> Counts:
        """The latents whose depth, and whose pseudo-label, is known."""
        counts = {"latents": count_latents(batch)}
        if self._recipe.pseudo_labels != "off":
            counts["photo_latents"] = count_latents(photos_of(batch))
        return counts

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "mae" and "gradient" of the depth, "label_mae" and "label_gradient" of the photos,
        "trajectory", and their weighted sum."""
        recipe = self._recipe
        drawn = generators if recipe.posterior == "sample" else None
        seen = [encode_batch(self.model, batch, drawn)]
        if recipe.pseudo_labels != "off":
            seen.append(encode_batch(self.model, photos_of(batch), drawn))
        with span("student"):
            inputs = torch.cat([latents.inputs for latents in seen])
            depth, *labelled = self._step(inputs, DEPTH).split(len(seen[0].inputs))
            losses = _latent_losses("", depth, seen[0], counts["latents"])
            if labelled and recipe.pseudo_labels == "filter":
                labelled = [self._step(self._filter_input(seen[1], labelled[0]), FILTER)]
            if labelled:
                count = counts["photo_latents"]
                losses |= _latent_losses("label_", labelled[0], seen[1], count)
            if recipe.trajectory_weight:
                losses["trajectory"] = self._trajectory(seen[0], generators, counts["latents"])
        weights = {"mae": recipe.mae_weight, "gradient": recipe.gradient_weight}
        weights |= {f"label_{name}": weight for name, weight in weights.items()}
        weights["trajectory"] = recipe.trajectory_weight
        return {"loss": sum(weights[name] * losses[name] for name in losses), **losses}

    def _step(self, inputs: Tensor, timestep: int | Tensor) -> Tensor:
        return self.model.predict_latents(inputs, timestep=timestep).float()

    def _filter_input(self, seen: LatentBatch, depth: Tensor) -> Tensor:
        prior = _prior_channels(seen)
        return torch.cat(
            [prior if self._recipe.filter_prior else torch.zeros_like(prior), depth], dim=1
        )

    def _trajectory(
        self, seen: LatentBatch, generators: Sequence[torch.Generator], count: Tensor
    ) -> Tensor:
        """L_k of blends with the true depth, where it is known (eq. 2, 3); section 4.1 keeps the
        trajectory on synthetic images."""
        blend = self._recipe.blend * seen.image + (1 - self._recipe.blend) * seen.depth
        last = self._recipe.diffusion_steps
        steps = torch.cat([torch.randint(1, last, (1,), generator=g) for g in generators])
        noise = torch.stack([torch.randn(blend.shape[1:], generator=g) for g in generators])
        steps, noise = steps.to(blend.device), noise.to(blend)
        noisy = self._noise.add_noise(blend, noise, steps)
        predicted = self._step(torch.cat([_prior_channels(seen), noisy], dim=1), steps)
        velocity = self._noise.get_velocity(blend, noise, steps)
        return latent_mse(predicted, velocity, seen.mask, count)


def _prior_channels(seen: LatentBatch) -> Tensor:
    """What the model's own prior puts in front of the image's latents; no channels without one."""
    return seen.inputs[:, : -seen.image.shape[1]]


def _latent_losses(prefix: str, predicted: Tensor, seen: LatentBatch, count: Tensor) -> Losses:
    """Mean absolute error and gradient matching of latents, each channel a map (eq. 5, 6)."""
    mask = seen.mask.expand_as(predicted)
    maps = [values.flatten(0, 1)[:, None] for values in (predicted, seen.depth, mask)]
    total = count * predicted.shape[1]
    losses = {"mae": aligned_absolute_error, "gradient": gradient_l1_loss}
    return {prefix + name: loss(*maps, total) for name, loss in losses.items()}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.fiffdepth``."""
    return run_command(FiffDepthRecipe, FiffDepthObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
