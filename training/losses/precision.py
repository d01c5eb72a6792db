"""Islands of full precision: sums over many pixels and quotients lose too much in half precision."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_HALF = (torch.float16, torch.bfloat16)


def full_precision(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Run a function of tensors with autocast off and half-precision arguments cast to float32.

    Tensors given directly, by position or by name, are cast; those inside containers are not.
    float32 and float64 pass as they are, so gradient checks in float64 stay in float64. Gradients
    flow through the cast.
    """

    @functools.wraps(function)
    def island(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        with autocast_off(tensors[0].device.type if tensors else "cpu"):
            return function(
                *(_widen(value) for value in args),
                **{name: _widen(value) for name, value in kwargs.items()},
            )

    return island


def autocast_off(device_type: str):
    """A context without autocast on this kind of device ("cpu", "cuda", …)."""
    if not torch.amp.is_autocast_available(device_type):
        return nullcontext()
    return torch.autocast(device_type, enabled=False)


def _widen(value):
    if isinstance(value, Tensor) and value.dtype in _HALF:
        return value.float()
    return value
