"""D³epth stage 2, pixel-space fine-tuning: ``python -m training.stage2 --config RECIPE``.

L_stage2 = λ_SSI · L_SSI + λ_Grad · L_Grad with dynamically averaged weights (section 4.2, eq. 3
to 6). Encoder and decoder stay frozen, gradients flow through the decoder into the UNet; the
reconstruction task is off. On the full-size UNet the same stage gives D²epth. Instead of the
autoencoder's decoder a DPT head can be trained on the UNet's decoder blocks, and with it an image
stem where one stands in the encoder's place.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.image_stem import ImageStem
from depth_distill_ros.models.presets import build_head
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.history import autoencoder_credit, next_stage
from training.latents import load_autoencoder, load_model
from training.losses.affine import fit_scale_shift
from training.losses.dynamic_weighting import DynamicWeightAverage
from training.losses.gradient_matching import count_differences, gradient_matching_loss
from training.losses.masking import masked_mean
from training.losses.relative_depth import count_within, relative_depth_loss
from training.losses.scale_shift_invariant import aligned_absolute_error
from training.objective import Counts, Losses, ModelObjective
from training.timing import span

_WEIGHTED = {"hybrid": ("ssi", "gradient"), "ssi": ("ssi",)}


@dataclass(frozen=True)
class Stage2Recipe(CommonConfig):
    """Recipe of stage 2.

    Attributes:
        name: of the saved model.
        model: the model to start from: stage 1's folder; for D²epth Lotus-D, as a pipeline's
            folder, a pinned Hub id or a model of this package; or ``random:<preset>``.
        autoencoder: "model" keeps the model's; else a folder, a pinned Hub id or
            ``random:<preset>`` whose encoder and decoder take its place. The paper names none.
        losses: "hybrid" is the paper's pair; "ssi" its ablation without the gradient loss (Table 4).
        head_width: width of a new DPT head; 0 decodes with what the model has.
        delta: δ of eq. 4, on disparity in [-1, 1]; the paper gives none.
        temperature: τ of eq. 5.
        relative_weight: weight of the relative error of depth after alignment
            (``training.losses.relative_depth``), for data in metres. 0 is the paper.
        anchor_weight: weight of the absolute error without alignment. Both of the paper's losses
            leave scale, shift and sign of the output free; the autoencoder's decoder ties them
            to [-1, 1], a new head needs this. 0 is the paper.
        resolution: (height, width) whose area images have at inference; ``data.size`` when None.
            It may be larger: random zoom crops magnify what the network sees in training.
    """

    name: str = "d3epth"
    model: str = ""
    autoencoder: str = "model"
    losses: Literal["hybrid", "ssi"] = "hybrid"
    head_width: int = 0
    delta: float = 0.01
    temperature: float = 2.0
    relative_weight: float = 0.0
    anchor_weight: float = 0.0
    resolution: tuple[int, int] | None = None


class Stage2Objective(ModelObjective):
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
        autoencoder, credits = model.autoencoder, []
        if recipe.autoencoder != "model":
            autoencoder = load_autoencoder(recipe.autoencoder)
            credits.append(autoencoder_credit(recipe.autoencoder, autoencoder))
        history = next_stage(model.provenance, "training.stage2", recipe, *credits)
        self.model = DepthModel(
            config, model.unet, autoencoder, model.prior, head, model.prompt, history
        )
        # A stem stands in the place of an encoder that has no decoder to agree with: it learns too.
        self._learns_input = isinstance(autoencoder, ImageStem)
        frozen = (None if self._learns_input else autoencoder, model.prior)
        self.freeze(*(part for part in frozen if part is not None))
        if self.model.head is not None:  # it reads the blocks; the UNet's own output is not used
            self.freeze(self.model.unet.conv_norm_out, self.model.unet.conv_out)
        self._weighting = DynamicWeightAverage(_WEIGHTED[recipe.losses], recipe.temperature)

    def counts(self, batch: Batch) -> Counts:
        """The valid pixels, the pairs of them that have a gradient, those with a relative error."""
        valid = batch["valid"]
        counts = {"pixels": valid.sum(), "differences": count_differences(valid)}
        if self._recipe.relative_weight:
            counts["within"] = count_within(batch["inverse_depth"], valid)
        return counts

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "ssi", "gradient", "anchor", "relative" where it has a weight, and their weighted sum."""
        # The posterior's mean: what inference will see
        with span("encode"), torch.set_grad_enabled(self._learns_input):
            latents, guide = self.model.encode(batch["rgb"])
        with span("student"):
            predicted = self.model.disparity_from(latents, guide).float()
        target, valid, pixels = batch["disparity"], batch["valid"], counts["pixels"]
        if predicted.shape != target.shape:
            size = target.shape[-2:]
            predicted = F.interpolate(predicted, size, mode="bilinear", align_corners=False)
        scale, shift = fit_scale_shift(predicted, target, valid)
        aligned = scale * predicted + shift
        # The fit would turn a map that lies inside out, and reward it: only the anchor sees those.
        # They stay in the denominators, which are known before the forward pass.
        counted = valid & (scale > 0) if self._recipe.anchor_weight else valid
        ssi = aligned_absolute_error(aligned, target, counted, pixels)
        delta, differences = self._recipe.delta, counts["differences"]
        gradient = gradient_matching_loss(aligned, target, counted, delta, differences)
        anchor = masked_mean((predicted - target).abs(), valid, pixels)
        losses = {"ssi": ssi, "gradient": gradient, "anchor": anchor}
        weighted = sum(weight * losses[name] for name, weight in self._weighting.weights.items())
        loss = weighted + self._recipe.anchor_weight * anchor
        if self._recipe.relative_weight:
            depth, within = batch["inverse_depth"], counts["within"]
            losses["relative"] = relative_depth_loss(predicted, depth, valid, count=within)
            loss = loss + self._recipe.relative_weight * losses["relative"]
        return {"loss": loss, **losses}

    def end_epoch(self, means: dict[str, float]) -> None:
        """Update λ from the means of the epoch that ended (eq. 5)."""
        self._weighting.update({name: means[name] for name in self._weighting.names})

    def extra_state(self) -> dict:
        """The history of the dynamic weighting."""
        return {"weighting": self._weighting.state_dict()}

    def load_extra_state(self, state: dict) -> None:
        """Take back the history of the dynamic weighting."""
        self._weighting.load_state_dict(state["weighting"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stage2``."""
    return run_command(Stage2Recipe, Stage2Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
