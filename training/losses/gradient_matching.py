r"""L_Grad: reverse Huber loss between image gradients. Source: D³epth section 4.2, eq. 4."""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masking import blank_invalid, quotient
from training.losses.precision import full_precision


def reverse_huber(residual: Tensor, delta: float) -> Tensor:
    r"""The reverse of Huber: linear near zero, quadratic far out (D³epth eq. 4).

    .. math::
        h(r) = \begin{cases} \delta |r| & |r| \le \delta \\
                             \tfrac12 r^2 + \tfrac12 \delta^2 & \text{otherwise} \end{cases}

    Value δ² and slope δ agree on both sides of δ.

    Args:
        residual: any shape.
        delta: the threshold, > 0, in the residual's unit.

    Returns:
        Same shape, ≥ 0.
    """
    size = residual.abs()
    return torch.where(size <= delta, delta * size, 0.5 * (size.square() + delta * delta))


def neighbour_pairs(values: Tensor) -> tuple[tuple[Tensor, Tensor], ...]:
    """Each pixel beside its right, lower, lower right and lower left neighbour.

    Args:
        values: (..., H, W).

    Returns:
        Four pairs (neighbour, pixel) of views: horizontal (..., H, W−1), vertical (..., H−1, W)
        and the two diagonals (..., H−1, W−1).
    """
    return (
        (values[..., :, 1:], values[..., :, :-1]),
        (values[..., 1:, :], values[..., :-1, :]),
        (values[..., 1:, 1:], values[..., :-1, :-1]),
        (values[..., 1:, :-1], values[..., :-1, 1:]),
    )


def count_differences(mask: Tensor) -> Tensor:
    """N of :func:`gradient_matching_loss`: the differences of neighbours that count, a scalar.

    Args:
        mask: (B, 1, H, W), bool or non-negative weights.
    """
    weights = mask if mask.is_floating_point() else mask.float()
    return sum((after * before).sum() for after, before in neighbour_pairs(weights))


@full_precision
def gradient_matching_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    delta: float = 0.01,
    count: Tensor | None = None,
) -> Tensor:
    r"""Mean reverse Huber loss of the gradients' differences in four directions.

    .. math::
        L_{Grad} = \frac{1}{N} \sum_{k=1}^{4} \sum_i h\big(\nabla_k g_i - \nabla_k p_i\big)

    with ∇ₖ the plain difference of neighbours, horizontal, vertical and on both diagonals (not
    divided by √2, as the paper shows no such factor), h of :func:`reverse_huber` and N the number
    of differences that count. A difference that touches an invalid pixel does not count; with
    weights, the product of its two pixels' weights is its own.

    Args:
        prediction: disparity (B, 1, H, W), already aligned to the target
            (:func:`training.losses.affine.align`).
        target: disparity (B, 1, H, W), [-1, 1] in D³epth.
        mask: (B, 1, H, W), bool or non-negative weights.
        delta: threshold of the reverse Huber loss, > 0, in the target's unit. The paper gives no
            value; 0.01 is 0.5 % of the range [-1, 1].
        count: N in place of the mask's own (:func:`count_differences`), see
            :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without two valid neighbours.

    Raises:
        ValueError: the shapes differ, or delta is not positive.
    """
    if not delta > 0:
        raise ValueError(f"delta must be positive, got {delta}")
    prediction, target, weights = blank_invalid(prediction, target, mask)
    # Differences are linear, so those of the residual are the differences of the gradients.
    total = weights.new_zeros(())
    for (after, before), (weight_after, weight_before) in zip(
        neighbour_pairs(target - prediction), neighbour_pairs(weights), strict=True
    ):
        weight = weight_after * weight_before
        total = total + (weight * reverse_huber(after - before, delta)).sum()
    return quotient(total, count_differences(weights) if count is None else count)
