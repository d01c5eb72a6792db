"""An image stem in the place of a model's encoder: ``python -m training.stem --config RECIPE``.

The stem learns the encoder's latents by their mean squared error, and what the frozen UNet makes of
them: L_FeatKD of stage 1 (D³epth, eq. 2) between the UNet's own up blocks behind either. Stage 2
then trains stem, UNet and head together (``training.stage2``).
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import head_taps
from depth_distill_ros.models.image_stem import ImageStem
from depth_distill_ros.models.presets import build_head
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.history import next_stage
from training.latents import load_model
from training.losses.feature import feature_kd_loss
from training.losses.latent import latent_mse
from training.objective import Counts, Losses, ModelObjective
from training.timing import span


@dataclass(frozen=True)
class StemRecipe(CommonConfig):
    """Recipe of the stem.

    Attributes:
        name: of the saved model.
        model: whose encoder is replaced: its folder, a bundled name, a pinned Hub id or
            ``random:<preset>``.
        stem: preset of the stem.
        head_width: width of a new DPT head, which stage 2 will train, for a model without one.
        feature_weight: of the features' error; 0 leaves the UNet out.
    """

    name: str = "d3epth-fast"
    model: str = ""
    stem: str = "stem"
    head_width: int = 64
    feature_weight: float = 1.0


class StemObjective(ModelObjective):
    """A stem learns the latents, and the features behind them, of a frozen encoder."""

    def __init__(self, recipe: StemRecipe):
        super().__init__()
        self._recipe = recipe
        model = load_model(recipe.model)
        torch.manual_seed(recipe.run.seed)
        stem = ae.build_autoencoder(recipe.stem)
        if not isinstance(stem, ImageStem):
            raise ConfigError(f"stem: '{recipe.stem}' is a whole autoencoder, not an image stem")
        self.encoder = model.autoencoder
        head = model.head or build_head(model.unet, recipe.head_width)
        config = dataclasses.replace(model.config, name=recipe.name, decoder="head")
        history = next_stage(model.provenance, "training.stem", recipe)
        self.model = DepthModel(config, model.unet, stem, model.prior, head, model.prompt, history)
        frozen = (self.encoder, model.unet, model.prior, head)
        self.freeze(*(part for part in frozen if part is not None))

    def blocks(self) -> list[nn.Module]:
        """None: the stem is small."""
        return []

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "latent" and "feature", and their weighted sum."""
        images, recipe = batch["rgb"], self._recipe
        with span("encode"), torch.no_grad():  # the posterior's mean: what inference will see
            wanted = ae.encode(self.encoder, images)
            beside = [] if self.model.prior is None else [self.model.prior_latents(images)[0]]
        with span("student"):
            found = ae.encode(self.model.autoencoder, images)
        losses = {"latent": latent_mse(found, wanted)}
        if recipe.feature_weight:
            with span("teacher"), torch.no_grad():
                theirs = self._features(beside, wanted)
            with span("student"):
                ours = self._features(beside, found)
            losses["feature"] = feature_kd_loss(ours, theirs, [(name, name) for name in ours])
        weighted = recipe.feature_weight * losses.get("feature", 0.0)
        return {"loss": losses["latent"] + weighted, **losses}

    def _features(
        self, beside: Sequence[torch.Tensor], latents: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """What the head reads of the UNet behind ``[z_prior, z_rgb]``."""
        features = self.model.features_from(torch.cat([*beside, latents], dim=1))
        return dict(zip(head_taps(self.model.unet), features, strict=True))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stem``."""
    return run_command(StemRecipe, StemObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
