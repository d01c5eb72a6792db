r"""L_SSI: absolute error after the best scale and shift. Source: D³epth eq. 3."""

from __future__ import annotations

from torch import Tensor

from training.losses.affine import align
from training.losses.masking import blank_invalid, masked_mean
from training.losses.precision import full_precision


@full_precision
def scale_shift_invariant_loss(
    prediction: Tensor, target: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    r"""Mean absolute error of the aligned prediction.

    .. math::
        L_{SSI} = \frac{1}{\sum_i w_i} \sum_i w_i |g_i - (s\,p_i + t)|

    The sum runs over the batch, (s, t) is fitted per image (:func:`~training.losses.affine.align`)
    and gradients flow through the fit. The paper's 1/HW is the case where every pixel is valid.

    An image with one valid pixel, or with a constant prediction, cannot be aligned: it is measured
    against its mean target and sends no gradient to the prediction.

    Args:
        prediction: disparity (B, 1, H, W), any range.
        target: disparity (B, 1, H, W); its unit is the loss's.
        mask: (B, 1, H, W), bool or non-negative weights.
        count: Σ w in place of the mask's own, see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without valid pixels.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> import torch
        >>> target = torch.rand(2, 1, 4, 4)
        >>> loss = scale_shift_invariant_loss(3 * target - 1, target, target >= 0)
        >>> bool(loss < 1e-6)
        True
    """
    return aligned_absolute_error(align(prediction, target, mask), target, mask, count)


@full_precision
def aligned_absolute_error(
    aligned: Tensor, target: Tensor, mask: Tensor, count: Tensor | None = None
) -> Tensor:
    """L_SSI of a prediction that :func:`~training.losses.affine.align` has aligned before.

    For a step that needs the aligned map for the gradient loss too and fits only once. Arguments,
    result and errors as in :func:`scale_shift_invariant_loss`.
    """
    aligned, target, weights = blank_invalid(aligned, target, mask)
    return masked_mean((target - aligned).abs(), weights, count)
