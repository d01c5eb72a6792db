"""Train a latent-space teacher from rendered scenes: ``python -m training.teacher``.

Lotus' objective (He et al., 2024): one step at t = 999, the depth task and the reconstruction
task told apart by the task token, mean squared errors in latent space, one to one. It is D³epth's
L_Latent (eq. 1) alone; the full-size teacher's weights are Lotus-D's own.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.latents import compose, count_latents, encode_batch, load_autoencoder, load_prior
from training.losses.latent import latent_loss
from training.objective import Counts, Losses, ModelObjective


@dataclass(frozen=True)
class TeacherRecipe(CommonConfig):
    """Recipe of the teacher.

    Attributes:
        name: of the saved model.
        unet: preset of the UNet.
        autoencoder: folder of the trained autoencoder, or ``random:<preset>``.
        prior: folder of a trained prior; empty for none.
    """

    name: str = "tiny-teacher"
    unet: str = "tiny-teacher"
    autoencoder: str = "random:tiny"
    prior: str = ""


class TeacherObjective(ModelObjective):
    """Depth and reconstruction latents from one UNet step."""

    def __init__(self, recipe: TeacherRecipe):
        super().__init__()
        autoencoder, prior = load_autoencoder(recipe.autoencoder), load_prior(recipe.prior)
        torch.manual_seed(recipe.run.seed)
        self.model = compose(recipe.name, recipe.unet, autoencoder, prior, recipe.data.size)
        self.freeze(*(m for m in (autoencoder, prior) if m is not None))

    def counts(self, batch: Batch) -> Counts:
        """The valid latents of the depth task."""
        return {"latents": count_latents(batch)}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """L_Latent of both tasks."""
        latents = encode_batch(self.model, batch, generators)
        predicted = self.model.predict_latents(latents.inputs, ("depth", "reconstruction"))
        depth, image = predicted.chunk(2)
        count = counts["latents"]
        loss = latent_loss(depth, latents.depth, image, latents.image, latents.mask, count)
        return {"loss": loss}


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.teacher``."""
    return run_command(TeacherRecipe, TeacherObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
