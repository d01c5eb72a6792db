r"""L_grad: absolute gradients of the residual.

Source: One-step video depth estimation via self-distillation, section 3.3.2 (gradient matching);
FiffDepth eq. 6, on latents; one scale of Ranftl et al. 2020 (MiDaS), L_reg.
"""

from __future__ import annotations

from torch import Tensor

from training.losses.gradient_matching import neighbour_pairs
from training.losses.masking import blank_invalid, quotient
from training.losses.precision import full_precision


@full_precision
def gradient_l1_loss(
    prediction: Tensor, target: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    r"""Absolute differences of neighbours in the residual, right and down, per valid pixel.

    .. math::
        L_{grad} = \frac{1}{M} \sum_i |\nabla_x K_i| + |\nabla_y K_i| , \quad K = p - g

    with M the valid pixels; the paper's 1/hw is the case where all are. A difference that touches
    an invalid pixel does not count. A clip is given frame by frame, as (B·T, 1, H, W).

    Args:
        prediction: disparity (B, 1, H, W), on the target's scale and shift.
        target: disparity (B, 1, H, W); its unit is the loss's.
        mask: (B, 1, H, W), > 0 where valid.
        count: M in place of the mask's own, see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without two valid neighbours.

    Raises:
        ValueError: the shapes differ.
    """
    prediction, target, weights = blank_invalid(prediction, target, mask)
    valid = weights > 0
    total = sum(
        ((after - before).abs() * (valid_after & valid_before)).sum()
        for (after, before), (valid_after, valid_before) in zip(
            neighbour_pairs(prediction - target)[:2], neighbour_pairs(valid)[:2], strict=True
        )
    )
    return quotient(total, valid.sum() if count is None else count)
