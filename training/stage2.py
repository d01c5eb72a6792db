"""D³epth stage 2, pixel-space fine-tuning: ``python -m training.stage2 --config RECIPE``.

L_stage2 = λ_SSI · L_SSI + λ_Grad · L_Grad with dynamically averaged weights (section 4.2, eq. 3
to 6). Encoder and decoder stay frozen, gradients flow through the decoder into the UNet; the
reconstruction task is off. On the full-size UNet the same stage gives D²epth. Instead of the
autoencoder's decoder a DPT head can be trained on the UNet's decoder blocks.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.presets import build_head
from training.command import run_command
from training.config import CommonConfig
from training.data.batches import Batch
from training.latents import load_model
from training.losses.affine import fit_scale_shift
from training.losses.dynamic_weighting import DynamicWeightAverage
from training.losses.gradient_matching import gradient_matching_loss
from training.losses.masking import masked_mean
from training.losses.scale_shift_invariant import aligned_absolute_error
from training.trainer import Losses, Objective

_WEIGHTED = ("ssi", "gradient")


@dataclass(frozen=True)
class Stage2Recipe(CommonConfig):
    """Recipe of stage 2.

    Attributes:
        name: of the saved model.
        model: the model to start from: stage 1's folder, or ``random:<preset>``.
        head_width: width of a new DPT head; 0 decodes with what the model has.
        delta: δ of eq. 4, on disparity in [-1, 1]; the paper gives none.
        temperature: τ of eq. 5.
        anchor_weight: weight of the absolute error without alignment. Both of the paper's losses
            leave scale, shift and sign of the output free; the autoencoder's decoder ties them
            to [-1, 1], a new head needs this. 0 is the paper.
        resolution: (height, width) whose area images have at inference; ``data.size`` when None.
            It may be larger: random zoom crops magnify what the network sees in training.
    """

    name: str = "d3epth"
    model: str = ""
    head_width: int = 0
    delta: float = 0.01
    temperature: float = 2.0
    anchor_weight: float = 0.0
    resolution: tuple[int, int] | None = None


class Stage2Objective(Objective):
    """Affine-invariant and edge-aware losses on the decoded disparity."""

    def __init__(self, recipe: Stage2Recipe):
        super().__init__()
        self._recipe = recipe
        model = load_model(recipe.model)
        torch.manual_seed(recipe.run.seed)
        resolution = tuple(recipe.resolution or recipe.data.size)
        config = dataclasses.replace(model.config, name=recipe.name, resolution=resolution)
        head = model.head
        if recipe.head_width:
            head = build_head(model.unet, recipe.head_width)
            config = dataclasses.replace(config, decoder="head")
        self.model = DepthModel(
            config, model.unet, model.autoencoder, model.prior, head, model.prompt
        )
        self.freeze(*(m for m in (model.autoencoder, model.prior) if m is not None))
        self._weighting = DynamicWeightAverage(_WEIGHTED, recipe.temperature)

    def forward(self, batch: Batch, generator: torch.Generator) -> Losses:
        """ "ssi", "gradient", "anchor", and their weighted sum."""
        with torch.no_grad():  # the mean of the posterior: what inference will see
            latents, guide = self.model.encode(batch["rgb"])
        predicted = self.model.disparity_from(latents, guide).float()
        target, valid = batch["disparity"], batch["valid"]
        if predicted.shape != target.shape:
            size = target.shape[-2:]
            predicted = F.interpolate(predicted, size, mode="bilinear", align_corners=False)
        scale, shift = fit_scale_shift(predicted, target, valid)
        aligned = scale * predicted + shift
        # The fit would turn a map that lies inside out, and reward it: only the anchor sees those.
        counted = valid & (scale > 0) if self._recipe.anchor_weight else valid
        ssi = aligned_absolute_error(aligned, target, counted)
        gradient = gradient_matching_loss(aligned, target, counted, self._recipe.delta)
        anchor = masked_mean((predicted - target).abs(), valid)
        weights = self._weighting.weights
        loss = weights["ssi"] * ssi + weights["gradient"] * gradient
        return {
            "loss": loss + self._recipe.anchor_weight * anchor,
            "ssi": ssi,
            "gradient": gradient,
            "anchor": anchor,
        }

    def end_epoch(self, means: dict[str, float]) -> None:
        """Update λ from the means of the epoch that ended (eq. 5)."""
        self._weighting.update({name: means[name] for name in _WEIGHTED})

    def extra_state(self) -> dict:
        """The history of the dynamic weighting."""
        return {"weighting": self._weighting.state_dict()}

    def load_extra_state(self, state: dict) -> None:
        """Take back the history of the dynamic weighting."""
        self._weighting.load_state_dict(state["weighting"])

    def save_model(self, folder: Path) -> None:
        """Save the whole model."""
        self.model.save_pretrained(folder)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stage2``."""
    return run_command(Stage2Recipe, Stage2Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
