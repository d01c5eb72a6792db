"""The average of models' weights ("model soups", Wortsman et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from depth_distill_ros.models.depth_model import DepthModel


@torch.no_grad()
def average_models(models: Sequence[DepthModel], shares: Sequence[float]) -> DepthModel:
    """The first model with the average of all weights of UNet and head.

    It holds for models that were trained on from each other. A weight that some of them lack (the
    temporal modules of a head without) is the average of those that have it.

    Args:
        models: the first has all the weights; it is changed and returned.
        shares: positive, one a model, relative to each other.
    """
    for part in ("unet", "head"):
        _average([getattr(model, part) for model in models], shares)
    return models[0]


def _average(networks: Sequence[nn.Module], shares: Sequence[float]) -> None:
    tables = [dict(network.named_parameters()) for network in networks]
    for name, parameter in tables[0].items():
        found = [(t[name], s) for t, s in zip(tables, shares, strict=True) if name in t]
        total = sum(share for _, share in found)
        parameter.copy_(sum(value.double() * (share / total) for value, share in found))
