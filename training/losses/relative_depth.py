r"""Relative error of depth after alignment in disparity: near and far count alike.

Source: AbsRel as relative depth is evaluated (Ranftl et al. 2020, section 6), made differentiable.
Losses on disparity itself hardly see what is far, where a relative error of depth is a tiny
difference of disparity.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.affine import fit_scale_shift
from training.losses.masking import blank_invalid, masked_mean
from training.losses.precision import full_precision

FAR = 80.0
"""Metres; what is farther does not count, as in the evaluation."""

_SLOPE = 0.25  # below the floor, of the logarithm's own at the floor: beyond FAR, AbsRel levels off


@full_precision
def count_within(inverse_depth: Tensor, mask: Tensor, far: float = FAR) -> Tensor:
    """How many pixels :func:`relative_depth_loss` averages over, a scalar."""
    return _within(inverse_depth, mask, far).sum()


@full_precision
def relative_depth_loss(
    prediction: Tensor,
    inverse_depth: Tensor,
    mask: Tensor,
    far: float = FAR,
    count: Tensor | None = None,
) -> Tensor:
    r"""Mean absolute difference of logarithms of the aligned prediction and the inverse depth.

    .. math::
        \frac{1}{M} \sum_i |\ell(s\,p_i + t) - \ell(g_i)| , \quad
        \ell(x) = \log x \text{ for } x \ge f , \quad
        \ell(x) = \log f - \frac{f - x}{4 f} \text{ below} , \quad f = \frac{1}{2 \cdot far}

    (s, t) is the least-squares fit per image, and gradients flow through it. A map that runs
    opposite to its target is flattened (s = 0), not turned round: it needs another loss to turn.

    Args:
        prediction: disparity (B, 1, H, W), any scale > 0 and shift.
        inverse_depth: (B, 1, H, W) in 1/m; 0 is infinitely far.
        mask: (B, 1, H, W), > 0 where valid; pixels beyond ``far`` are left out too.
        far: in metres.
        count: M in place of the mask's own (:func:`count_within`), see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0, about AbsRel where errors are small; 0 without pixels that count.

    Raises:
        ValueError: the shapes differ.
    """
    within = _within(inverse_depth, mask, far)
    prediction, target, weights = blank_invalid(prediction, inverse_depth, within)
    scale, shift = fit_scale_shift(prediction, target, weights)
    total = weights.sum(dim=(1, 2, 3), keepdim=True).clamp(min=1)
    flat = (weights * target).sum(dim=(1, 2, 3), keepdim=True) / total
    aligned = torch.where(scale > 0, scale * prediction + shift, flat)
    floor = 0.5 / far
    error = (_logarithm(aligned, floor) - _logarithm(target, floor)).abs()
    return masked_mean(error, weights, count)


def _within(inverse_depth: Tensor, mask: Tensor, far: float) -> Tensor:
    return (mask > 0) & (inverse_depth > 1 / far)


def _logarithm(values: Tensor, floor: float) -> Tensor:
    """log, continued below the floor by a straight line."""
    above = values.clamp(min=floor)
    return above.log() - (above - values) * (_SLOPE / floor)
