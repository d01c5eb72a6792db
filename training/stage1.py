"""D³epth stage 1, latent distillation: ``python -m training.stage1 --config RECIPE``.

L_stage1 = L_Latent + λ_LatentKD · L_LatentKD + λ_FeatKD · L_FeatKD (eq. 2, section 4.1): target
supervision on the depth and the reconstruction task, the teacher's predicted latents, and the
teacher's features over block pairs of equal shape.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from depth_distill_ros.models.feature_taps import FeatureTaps
from training.command import run_command
from training.config import CommonConfig
from training.data.batches import Batch
from training.latents import compose, encode_batch, load_model
from training.losses.feature import block_pairs, check_pairs, feature_kd_loss
from training.losses.latent import latent_kd_loss, latent_loss
from training.trainer import Losses, Objective

TASKS = ("depth", "reconstruction")


@dataclass(frozen=True)
class Stage1Recipe(CommonConfig):
    """Recipe of stage 1.

    Attributes:
        name: of the saved model.
        student: preset of the student's UNet.
        teacher: model folder, bundled name, pinned Hub id, or ``random:<preset>``. The student
            shares its frozen autoencoder and prior.
        teacher_licence: what the student's card says of the teacher.
        pairs: feature pairs of Table 3.
        latent_kd_weight: λ_LatentKD; the paper gives no value, BK-SDM's is 1.
        feature_kd_weight: λ_FeatKD; the paper gives no value, BK-SDM's is 1.
    """

    name: str = "d3epth-stage1"
    student: str = "sdxs09"
    teacher: str = ""
    teacher_licence: str = ""
    pairs: Literal["shallow", "intermediate", "full"] = "full"
    latent_kd_weight: float = 1.0
    feature_kd_weight: float = 1.0


class Stage1Objective(Objective):
    """The student learns the teacher's latents and features beside the targets."""

    def __init__(self, recipe: Stage1Recipe):
        super().__init__()
        self._recipe = recipe
        self._pairs = block_pairs(recipe.pairs)
        self.teacher = load_model(recipe.teacher)
        source = self.teacher.config.name
        if recipe.teacher_licence:
            source += f" ({recipe.teacher_licence})"
        torch.manual_seed(recipe.run.seed)
        self.model = compose(
            recipe.name,
            recipe.student,
            self.teacher.autoencoder,
            self.teacher.prior,
            recipe.data.size,
            teachers=(source,),
        )
        self.freeze(self.teacher)
        self._check_pairs(recipe.data.size)

    @torch.no_grad()
    def _check_pairs(self, size: tuple[int, int]) -> None:
        images = torch.zeros(1, 3, *size)
        inputs, _ = self.model.encode(images)
        with self._student_taps() as ours, self._teacher_taps() as theirs:
            self.model.predict_latents(inputs)
            self.teacher.predict_latents(inputs)
        check_pairs(ours, theirs, self._pairs)

    def _student_taps(self) -> FeatureTaps:
        return FeatureTaps(self.model.unet, [student for student, _ in self._pairs])

    def _teacher_taps(self) -> FeatureTaps:
        return FeatureTaps(self.teacher.unet, [teacher for _, teacher in self._pairs])

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        """ "latent", "latent_kd" and "feature_kd", and their weighted sum."""
        latents = encode_batch(self.teacher, batch, generator)
        with torch.no_grad(), self._teacher_taps() as theirs:
            taught = self.teacher.predict_latents(latents.inputs, TASKS)
        with self._student_taps() as ours:
            predicted = self.model.predict_latents(latents.inputs, TASKS)
        depth, image = predicted.chunk(2)
        latent = latent_loss(depth, latents.depth, image, latents.image, latents.mask)
        latent_kd = latent_kd_loss(predicted, taught)
        feature_kd = feature_kd_loss(ours, theirs, self._pairs)
        weights = self._recipe
        loss = latent + weights.latent_kd_weight * latent_kd
        return {
            "loss": loss + weights.feature_kd_weight * feature_kd,
            "latent": latent,
            "latent_kd": latent_kd,
            "feature_kd": feature_kd,
        }

    def save_model(self, folder: Path) -> None:
        """Save the student; the teacher is named in its configuration."""
        self.model.save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stage1``."""
    return run_command(Stage1Recipe, Stage1Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
