"""Train the tiny autoencoder on images and disparity maps: ``python -m training.autoencoder``.

Absolute error, absolute error of the gradients and a light KL term (Rombach et al., 2022,
appendix G, without the perceptual and adversarial losses, which need pretrained networks). Half
of the work is on disparity maps repeated to three channels: latents of both are needed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from depth_distill_ros.models.autoencoder import build_autoencoder
from depth_distill_ros.models.components import save_component
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.objective import Counts, Losses, Objective


@dataclass(frozen=True)
class AutoencoderRecipe(CommonConfig):
    """Recipe of the autoencoder.

    Attributes:
        preset: which AutoencoderKL to train.
        gradient_weight: weight of the gradients' error.
        kl_weight: weight of the KL divergence from a standard normal posterior.
    """

    preset: str = "tiny"
    gradient_weight: float = 0.5
    kl_weight: float = 1e-6


class AutoencoderObjective(Objective):
    """Reconstruction of images and disparity maps through sampled latents."""

    def __init__(self, recipe: AutoencoderRecipe):
        super().__init__()
        torch.manual_seed(recipe.run.seed)
        self.autoencoder = build_autoencoder(recipe.preset)
        self._recipe = recipe
        self._mean_square = 1.0

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """Losses of a batch, "reconstruction", "gradient", "kl", and the latents' "power"."""
        images = torch.cat([batch["rgb"], batch["disparity"].expand(-1, 3, -1, -1)])
        posterior = self.autoencoder.encode(images).latent_dist
        latents = posterior.sample([*generators, *generators])
        decoded = self.autoencoder.decode(latents).sample
        error = decoded.float() - images
        reconstruction = error.abs().mean()
        gradient = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
        kl = posterior.kl().mean()
        loss = reconstruction + self._recipe.gradient_weight * gradient
        return {
            "loss": loss + self._recipe.kl_weight * kl,
            "reconstruction": reconstruction,
            "gradient": gradient,
            "kl": kl,
            "power": latents.detach().float().square().mean(),
        }

    def end_step(self, means: dict[str, float]) -> None:
        """Follow the mean square of the latents."""
        self._mean_square += 0.02 * (means["power"] - self._mean_square)

    def extra_state(self) -> dict:
        """The running mean square of the latents."""
        return {"mean_square": self._mean_square}

    def load_extra_state(self, state: dict) -> None:
        """Take back the running mean square."""
        self._mean_square = state["mean_square"]

    def save_model(self, folder: Path) -> None:
        """Save with the ``scaling_factor`` that brings the latents to unit variance."""
        self.autoencoder.register_to_config(scaling_factor=self._mean_square**-0.5)
        save_component(self.autoencoder, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.autoencoder``."""
    return run_command(AutoencoderRecipe, AutoencoderObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
