"""Memory layout of convolutions."""

from __future__ import annotations

import torch
from torch import nn


def to_channels_last(module: nn.Module) -> nn.Module:
    """The same module, its convolutions' weights with the channels last, which outputs follow.

    Weights of convolutions in time, of five dimensions, stay as they are.
    """
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return module
