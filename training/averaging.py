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
        average_networks([getattr(model, part) for model in models], shares)
    return models[0]


@torch.no_grad()
def average_networks(networks: Sequence[nn.Module], shares: Sequence[float]) -> None:
    """Give the first network the average of all weights and running statistics.

    Args:
        networks: the first has all the weights; what others lack is the average of those that
            have it.
        shares: positive, one a network, relative to each other.
    """
    tables = [network.state_dict() for network in networks]
    for name, tensor in tables[0].items():
        if not tensor.is_floating_point():
            continue  # a counter of batches
        found = [
            (t[name].to(tensor.device), s) for t, s in zip(tables, shares, strict=True) if name in t
        ]
        total = sum(share for _, share in found)
        tensor.copy_(sum(value.double() * (share / total) for value, share in found))
