"""Which of a recipe's precisions a device has arithmetic for."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import torch

from training.config import CommonConfig

Recipe = TypeVar("Recipe", bound=CommonConfig)


def has_bfloat16(device_type: str) -> bool:
    """Whether a kind of device ("cpu", "cuda", …) multiplies bfloat16; others are not asked."""
    if device_type != "cpu":
        return True
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return supported is None or supported()


def suited(recipe: Recipe, device_type: str) -> Recipe:
    """The recipe, with float32 for bfloat16 on a CPU that would have to emulate it.

    Emulated (AVX2 and older), a matrix product takes a hundred times as long as in float32.
    """
    if has_bfloat16(device_type):
        return recipe
    run, speed = recipe.run, recipe.speed
    if run.mixed_precision == "bf16":
        run = dataclasses.replace(run, mixed_precision="no")
    if speed.frozen_dtype == "bfloat16":
        speed = dataclasses.replace(speed, frozen_dtype="float32")
    return dataclasses.replace(recipe, run=run, speed=speed)
