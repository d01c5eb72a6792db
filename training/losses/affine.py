r"""Least-squares scale and shift of a prediction to its target.

Source: Ranftl et al. 2020 (MiDaS), section 5; D³epth section 4.2, above eq. 3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masking import blank_invalid, quotient
from training.losses.precision import full_precision

# A prediction whose spread, relative to its size, is below this many rounding errors is constant.
_ROUNDING_ERRORS = 10


@full_precision
def fit_scale_shift(prediction: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    r"""Fit, per image, the scale s and shift t that bring a prediction closest to its target.

    .. math::
        (s, t) = \arg\min \sum_i w_i (s\,p_i + t - g_i)^2 , \quad
        s = \frac{\sum_i w_i (p_i - \bar p)(g_i - \bar g)}{\sum_i w_i (p_i - \bar p)^2} , \quad
        t = \bar g - s\,\bar p

    with weighted means :math:`\bar p, \bar g`. The centred form loses far fewer digits than the
    determinant of the 2×2 normal equations. The result is differentiable in all three arguments.
    It is computed in float32 at least, whatever autocast says.

    The system is singular where fewer than two pixels are valid or the prediction is constant over
    the valid ones (spread below ten rounding errors). There s = 0 and t = :math:`\bar g`, or 0
    without any valid pixel, and no gradient reaches the prediction.

    Args:
        prediction: (B, 1, H, W), any range.
        target: (B, 1, H, W), any range.
        mask: (B, 1, H, W), bool or non-negative weights.

    Returns:
        Scale and shift, each (B, 1, 1, 1). The scale is negative where the two maps run opposite.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> prediction = torch.tensor([0.0, 1.0, 2.0]).view(1, 1, 1, 3)
        >>> scale, shift = fit_scale_shift(prediction, 2 * prediction + 1, prediction >= 0)
        >>> scale.item(), shift.item()
        (2.0, 1.0)
    """
    prediction, target, weights = blank_invalid(prediction, target, mask)
    total = _sum(weights)
    prediction_mean = quotient(_sum(weights * prediction), total)
    target_mean = quotient(_sum(weights * target), total)
    from_mean = prediction - prediction_mean
    variance = quotient(_sum(weights * from_mean.square()), total)
    covariance = quotient(_sum(weights * from_mean * (target - target_mean)), total)

    power = quotient(_sum(weights * prediction.square()), total)
    smallest = (_ROUNDING_ERRORS * torch.finfo(prediction.dtype).eps) ** 2 * power
    singular = variance <= smallest  # a single pixel is a constant, and no pixel is 0 ≤ 0
    scale = quotient(covariance, torch.where(singular, torch.zeros_like(variance), variance))
    return scale, target_mean - scale * prediction_mean


@full_precision
def align(prediction: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Bring a prediction to its target's scale and shift: s·p + t, see :func:`fit_scale_shift`.

    Args:
        prediction: (B, 1, H, W), any range.
        target: (B, 1, H, W), any range.
        mask: (B, 1, H, W), bool or non-negative weights; which pixels take part in the fit.

    Returns:
        (B, 1, H, W), float32 at least, all pixels of the prediction, the invalid ones too.

    Raises:
        ValueError: the shapes differ.
    """
    scale, shift = fit_scale_shift(prediction, target, mask)
    return scale * prediction + shift


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3), keepdim=True)
