"""One-step video depth, stage 1: ``python -m training.video_stage1 --config RECIPE``.

DepthCrafter with five Euler steps, frozen, teaches its own UNet to be done after the first one, at
σ_max = 700 (section 3.2). L_latent = (1 - λ) L_sm + λ L_g: the clean latents of both, and the
gradients of their difference. The student's first input is noise (section 3.2.1) or the image's
latents (3.2.2). Images alone are needed: of any videos.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.edm import euler_sample
from depth_distill_ros.models.video_unet import denoise
from training.command import run_command
from training.config import CommonConfig
from training.data.clips import check_clip_kinds
from training.data.views import Batch
from training.history import next_stage, teacher_credit
from training.losses.latent_gradient import latent_gradient_loss
from training.objective import Counts, Losses, ModelObjective
from training.speed import as_target
from training.timing import span
from training.video_models import copied, draw_noise, freeze_temporal, load_video_model


@dataclass(frozen=True)
class VideoStage1Recipe(CommonConfig):
    """Recipe of stage 1. A batch counts clips of ``data.frames`` frames.

    Attributes:
        name: of the saved model.
        teacher: DepthCrafter's UNet as it is published, a folder or pinned Hub id; or a model of
            this package: a folder (``training.video_teacher``), ``random:svd``, …
        pipeline: Stable Video Diffusion, a folder or pinned Hub id, whose autoencoder and CLIP go
            with a UNet alone.
        teacher_licence: what the model's card says of it; empty takes what its folder says.
        teacher_steps: Euler steps of the teacher: 5 (section 4.1).
        start: the student's first input: "image" latents, deterministic (section 3.2.2), or
            "noise", stochastic (3.2.1): the teacher's own, so that both begin alike. The paper has
            one symbol for the noise of both.
        gradient_share: λ, 0.5 (section 4.1).
        train_temporal: train the layers in time too. The paper freezes them (section 4.1, Table 3).
        image_noise: deviation of noise on the images that are encoded: 0.02 in DepthCrafter's
            pipeline, which the paper does not mention. A saved model sees none.
    """

    name: str = "one-step-video"
    teacher: str = ""
    pipeline: str = ""
    teacher_licence: str = ""
    teacher_steps: int = 5
    start: Literal["image", "noise"] = "image"
    gradient_share: float = 0.5
    train_temporal: bool = False
    image_noise: float = 0.0


class VideoStage1Objective(ModelObjective):
    """One step against several."""

    def __init__(self, recipe: VideoStage1Recipe):
        super().__init__()
        check_clip_kinds(recipe.data)
        self._recipe = recipe
        self.teacher = teacher = load_video_model(recipe.teacher, recipe.pipeline)
        credit = teacher_credit(teacher, recipe.teacher, recipe.teacher_licence)
        config = dataclasses.replace(
            teacher.config,
            name=recipe.name,
            start=recipe.start,
            resolution=tuple(recipe.data.size),
            teachers=(f"{credit.name} ({credit.licence})" if credit.licence else credit.name,),
        )
        precisions = (recipe.speed.frozen_dtype, recipe.run.mixed_precision)
        shares = precisions[0] == "float32" or precisions == ("bfloat16", "bf16")
        self.model = DepthModel(
            config,
            copied(teacher.unet, shares and not recipe.train_temporal),
            teacher.autoencoder,
            teacher.prior,
            prompt=teacher.prompt.clone(),
            provenance=next_stage(teacher.provenance, "training.video_stage1", recipe, credit),
            image_encoder=teacher.image_encoder,
        )
        self.freeze(teacher)
        if not recipe.train_temporal:
            freeze_temporal(self.model.unet)

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "score" (L_sm) and "gradient" (L_g) of the latents, and their weighted sum."""
        recipe, frames = self._recipe, batch["rgb"].shape[1]
        images = batch["rgb"].flatten(0, 1)
        with span("encode"), torch.no_grad():
            context = self.model.context(images)
            if recipe.image_noise:
                images = images + recipe.image_noise * draw_noise(images, generators)
            latents, _ = self.model.encode(images)
            noise = draw_noise(latents[:, -4:], generators)
        with span("teacher"), torch.inference_mode():
            taught = self._teach(latents, context, noise, frames)
        with span("student"):
            start = noise if recipe.start == "noise" else None
            predicted = self.model.one_step(latents, frames, context, start)
        maps = predicted.float(), as_target(taught).float()
        loss, score, gradient = latent_gradient_loss(*maps, recipe.gradient_share)
        return {"loss": loss, "score": score, "gradient": gradient}

    def _teach(self, latents: Tensor, context: Tensor | None, noise: Tensor, frames: int) -> Tensor:
        """The teacher's clean latents (B·T, 4, h, w)."""
        teacher = self.teacher
        condition = teacher.video_condition(latents).unflatten(0, (-1, frames))
        seen = condition, teacher.clip_context(context, len(condition))
        start, steps = noise.unflatten(0, (-1, frames)), self._recipe.teacher_steps
        clean = euler_sample(lambda x, sigma: denoise(teacher.unet, x, sigma, *seen), start, steps)
        return clean.flatten(0, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.video_stage1``."""
    return run_command(VideoStage1Recipe, VideoStage1Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
