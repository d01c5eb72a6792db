"""Masked arithmetic shared by the losses: shape checks, blanked pixels, means that may be empty."""

from __future__ import annotations

import torch
from torch import Tensor


def blank_invalid(
    prediction: Tensor, target: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Set invalid pixels of both maps to 0, so that NaN or infinity there stays without effect.

    Multiplying by the mask would not do: 0 · NaN is NaN, in the value and in the gradient.

    Args:
        prediction: (B, 1, H, W).
        target: (B, 1, H, W).
        mask: (B, 1, H, W), bool or non-negative weights; 0 is invalid.

    Returns:
        Prediction, target and weights, each (B, 1, H, W), the weights in the prediction's type.

    Raises:
        ValueError: the three shapes differ (broadcasting would silently compare the wrong pixels).
    """
    check_map(prediction, "prediction")
    return _blank(prediction, target, mask)


def blank_invalid_clip(
    prediction: Tensor, target: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """:func:`blank_invalid` for clips: all three, and what is returned, are (B, T, 1, H, W)."""
    if prediction.ndim != 5 or prediction.shape[2] != 1:
        raise ValueError(f"a clip must be (B, T, 1, H, W), got {tuple(prediction.shape)}")
    return _blank(prediction, target, mask)


def _blank(prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    if target.shape != prediction.shape or mask.shape != prediction.shape:
        raise ValueError(
            "prediction, target and mask must have one shape, got "
            f"{tuple(prediction.shape)}, {tuple(target.shape)} and {tuple(mask.shape)}"
        )
    valid = mask > 0
    zero = prediction.new_zeros(())
    return (
        torch.where(valid, prediction, zero),
        torch.where(valid, target.to(prediction.dtype), zero),
        mask.to(prediction.dtype),
    )


def check_map(tensor: Tensor, name: str) -> None:
    """Raise ValueError unless the tensor is a single-channel map (B, 1, H, W)."""
    if tensor.ndim != 4 or tensor.shape[1] != 1:
        raise ValueError(f"{name} must be (B, 1, H, W), got {tuple(tensor.shape)}")


def check_latents(prediction: Tensor, target: Tensor, mask: Tensor | None) -> None:
    """Raise ValueError unless latents (B, C, h, w) have one shape and the mask is (B, 1, h, w)."""
    if target.shape != prediction.shape:
        raise ValueError(
            f"latents differ in shape: {tuple(prediction.shape)} and {tuple(target.shape)}"
        )
    if mask is None:
        return
    batch, _, height, width = prediction.shape
    if mask.shape != (batch, 1, height, width):
        raise ValueError(
            f"mask must be {(batch, 1, height, width)} for latents {tuple(prediction.shape)}, "
            f"got {tuple(mask.shape)}"
        )


def masked_mean(values: Tensor, weights: Tensor, count: Tensor | None = None) -> Tensor:
    """Weighted mean of all elements, Σ w·v / Σ w; 0 with zero gradients where all weights are 0.

    Args:
        values: any shape, finite everywhere.
        weights: broadcastable to ``values``, non-negative.
        count: a scalar in place of Σ w, the sum of the weights broadcast to ``values``.

    Returns:
        A scalar.
    """
    total = weights.expand_as(values).sum() if count is None else count
    return quotient((weights * values).sum(), total)


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Numerator / denominator, and 0 with zero gradients where the denominator is not positive."""
    positive = denominator > 0
    # The inner `where` keeps the division finite: a 0/0 that is only discarded afterwards still
    # puts NaN in the gradient.
    ratio = numerator / torch.where(positive, denominator, torch.ones_like(denominator))
    return torch.where(positive, ratio, torch.zeros_like(ratio))
