"""Train a small DepthCrafter on rendered clips: ``python -m training.video_teacher``.

Its published weights are of full size alone. The objective is EDM's denoising score matching as
DepthCrafter has it (Hu et al., 2025, section 3; Karras et al., 2022): log σ ~ N(0.7, 1.6²), and the
error of the clean latents weighted by (σ² + 1) / σ². That weight is 1 / c_out², so that the loss is
the plain squared error of what the network itself gives.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from depth_distill_ros.models.depth_model import DepthModel, DepthModelConfig, prior_channels
from depth_distill_ros.models.edm import Preconditioning
from depth_distill_ros.models.presets import find_preset
from depth_distill_ros.models.provenance import Provenance
from depth_distill_ros.models.video_unet import build_video_unet, predict
from training.command import run_command
from training.config import CommonConfig
from training.data.clips import check_clip_kinds
from training.data.views import Batch
from training.history import next_stage
from training.latents import count_latents, encode_batch, load_model
from training.losses.latent import latent_mse
from training.objective import Counts, Losses, ModelObjective
from training.timing import span
from training.video_models import draw_noise


@dataclass(frozen=True)
class VideoTeacherRecipe(CommonConfig):
    """Recipe of a video teacher. A batch counts clips of ``data.frames`` frames.

    Attributes:
        name: of the saved model.
        parts: a model whose autoencoder and prior are taken, frozen: a folder, a bundled name, a
            pinned Hub id, or ``random:<preset>``.
        preset: of the UNet and the windows: "tiny-video", or "svd".
        noise_mean: of log σ, 0.7 in DepthCrafter.
        noise_deviation: of log σ, 1.6 in DepthCrafter.
    """

    name: str = "tiny-depthcrafter"
    parts: str = "d3epth-tiny"
    preset: str = "tiny-video"
    noise_mean: float = 0.7
    noise_deviation: float = 1.6


class VideoTeacherObjective(ModelObjective):
    """Denoising of the depth latents of clips, given the images'."""

    def __init__(self, recipe: VideoTeacherRecipe):
        super().__init__()
        check_clip_kinds(recipe.data)
        self._recipe = recipe
        parts, preset = load_model(recipe.parts, empty_unet=True), find_preset(recipe.preset)
        config = DepthModelConfig(
            name=recipe.name,
            prior=parts.prior is not None,
            prior_input=parts.config.prior_input,
            start="noise",
            frames=preset.frames,
            overlap=preset.overlap,
            resolution=tuple(recipe.data.size),
        )
        latents = parts.autoencoder.config.latent_channels
        channels = 2 * latents + prior_channels(config, parts.autoencoder, parts.prior)
        torch.manual_seed(recipe.run.seed)
        unet = build_video_unet(preset.unet, channels)
        before = Provenance(credits=parts.provenance.credits)
        history = next_stage(before, "training.video_teacher", recipe)
        self.model = DepthModel(config, unet, parts.autoencoder, parts.prior, provenance=history)
        self.freeze(*(part for part in (parts.autoencoder, parts.prior) if part is not None))

    def counts(self, batch: Batch) -> Counts:
        """The valid latents."""
        return {"latents": count_latents(_frames(batch))}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """The loss, "loss", over the latents whose depth is known."""
        latents = encode_batch(self.model, _frames(batch), None)
        condition = self.model.video_condition(latents.inputs)
        tensors = (latents.depth, draw_noise(latents.depth, generators), condition)
        clips = zip(*(each.chunk(len(generators)) for each in tensors), generators, strict=True)
        with span("student"):
            pairs = [self._denoise(*clip) for clip in clips]
        predicted, targets = (torch.cat(each) for each in zip(*pairs, strict=True))
        return {"loss": latent_mse(predicted, targets, latents.mask, counts["latents"])}

    def _denoise(
        self, clean: Tensor, noise: Tensor, condition: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """What the network gives for a clip (T, 4, h, w) at a σ of its own, and what it should."""
        mean, deviation = self._recipe.noise_mean, self._recipe.noise_deviation
        sigma = math.exp(mean + deviation * float(torch.randn((), generator=generator)))
        factor = Preconditioning.at(sigma)
        scaled, context = factor.into * (clean + sigma * noise), self.model.clip_context(None, 1)
        given = predict(self.model.unet, scaled[None], factor.noise, condition[None], context)
        return given[0], velocity(clean, noise, sigma)


def velocity(clean: Tensor, noise: Tensor, sigma: float) -> Tensor:
    """What the network gives where F is right: (x0 - c_skip (x0 + σ ε)) / c_out."""
    return (noise - sigma * clean) / math.hypot(sigma, 1)


def _frames(batch: Batch) -> Batch:
    """The frames of all clips as a batch of images."""
    return {name: batch[name].flatten(0, 1) for name in ("rgb", "disparity", "valid")}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.video_teacher``."""
    return run_command(VideoTeacherRecipe, VideoTeacherObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
