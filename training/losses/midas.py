r"""Affine-invariant loss for a data-driven depth prior: robust normalisation, trimming, edges.

Source: Ranftl et al. 2020 (Towards robust monocular depth estimation, MiDaS), section 5. Sums are
normalised over the batch, not image by image, so that an image with few valid pixels does not
outweigh the others.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.masking import blank_invalid, check_map, quotient
from training.losses.precision import full_precision

# A map whose deviation, relative to its size, is below this many rounding errors is constant.
_ROUNDING_ERRORS = 10


@full_precision
def median_mad_normalise(disparity: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    r"""Normalise each image by its median and its mean absolute deviation from it.

    .. math::
        \hat d = \frac{d - t}{s} , \quad t = \mathrm{median}(d) , \quad
        s = \frac1M \sum_i |d_i - t|

    over the M valid pixels; of an even number the lower of the two middle values is
    the median. Where the map is constant (s below ten rounding errors of its size) s is 1.

    Args:
        disparity: (B, 1, H, W), any range.
        mask: (B, 1, H, W), > 0 where valid.

    Returns:
        The normalised maps (B, 1, H, W), 0 where invalid, and bool (B, 1, 1, 1): which images have
        a spread to speak of.

    Raises:
        ValueError: the shapes differ.
    """
    check_map(disparity, "disparity")
    if mask.shape != disparity.shape:
        raise ValueError(f"mask {tuple(mask.shape)} is not of shape {tuple(disparity.shape)}")
    valid = mask > 0
    count = valid.sum(dim=(1, 2, 3), keepdim=True)
    values = disparity.where(valid, torch.nan).flatten(1)
    median = values.nanmedian(dim=1).values.view(-1, 1, 1, 1)  # NaN where no pixel is valid
    centred = (disparity - median).where(valid, 0.0)
    deviation = _sum(centred.abs()) / count.clamp(min=1)
    size = _sum(disparity.where(valid, 0.0).abs()) / count.clamp(min=1)
    spread = deviation > _ROUNDING_ERRORS * torch.finfo(disparity.dtype).eps * size
    return centred / deviation.where(spread, 1.0), spread


@full_precision
def count_pixels(target: Tensor, mask: Tensor, scales: int = 4) -> Tensor:
    r"""M_k of :func:`affine_invariant_loss`: the pixels that count at each scale.

    Args:
        target: disparity (B, 1, H, W).
        mask: (B, 1, H, W), > 0 where valid.
        scales: K ≥ 1.

    Returns:
        (K,), M_0 first: the valid pixels of the images that tell something.
    """
    _, informative = median_mad_normalise(target, mask)
    return _count_at_scales((mask > 0) & informative, scales)


@full_precision
def trimmed_absolute_error(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    trim: float = 0.1,
    count: Tensor | None = None,
) -> Tensor:
    r"""Mean absolute error without each image's largest residuals (MiDaS, L_ssitrim).

    .. math::
        \frac{1}{2 \sum_n M_n} \sum_n \sum_{j=1}^{U_n} |r_n|_{(j)} , \quad
        |r|_{(1)} \le |r|_{(2)} \le \dots , \quad U_n = M_n - \lfloor \mathrm{trim} \cdot M_n
        \rfloor

    Args:
        prediction: normalised disparity (B, 1, H, W).
        target: normalised disparity (B, 1, H, W).
        mask: (B, 1, H, W), > 0 where valid.
        trim: share of the residuals to drop, in [0, 1). MiDaS drops 0.2 of its noisy labels;
            rendered depth is exact, what is to be ignored there is thin structure.
        count: Σ M_n in place of the mask's own, see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without valid pixels.

    Raises:
        ValueError: the shapes differ, or trim is outside [0, 1).
    """
    if not 0 <= trim < 1:
        raise ValueError(f"trim must be in [0, 1), got {trim}")
    prediction, target, weights = blank_invalid(prediction, target, mask)
    valid = (weights > 0).flatten(1)
    number = valid.sum(dim=1, keepdim=True)
    kept = number - (trim * number.double()).floor().to(number.dtype)
    residual = (prediction - target).abs().flatten(1).where(valid, torch.inf)
    ordered = residual.sort(dim=1).values
    rank = torch.arange(ordered.shape[1], device=ordered.device)
    total = number.sum() if count is None else count
    return quotient(ordered.where(rank < kept, 0.0).sum(), 2 * total)


@full_precision
def multi_scale_gradient_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    scales: int = 4,
    count: Tensor | None = None,
) -> Tensor:
    r"""Absolute gradients of the residual at several scales (MiDaS, L_reg).

    .. math::
        \sum_{k=0}^{K-1} \frac{1}{M_k} \sum_i |\nabla_x R_i^k| + |\nabla_y R_i^k| , \quad R = p - g

    Scale k keeps every 2ᵏ-th pixel of each side and M_k of them are valid. Each scale is a
    :func:`~training.losses.gradient_l1.gradient_l1_loss`; one too small for any difference adds 0.

    Args:
        prediction: normalised disparity (B, 1, H, W).
        target: normalised disparity (B, 1, H, W).
        mask: (B, 1, H, W), > 0 where valid.
        scales: K ≥ 1.
        count: (K,), M_k in place of the mask's own (:func:`count_pixels`), see
            :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without two valid neighbours.

    Raises:
        ValueError: the shapes differ, or there is no scale.
    """
    if scales < 1:
        raise ValueError(f"scales must be at least 1, got {scales}")
    valid = mask > 0
    counts = _count_at_scales(valid, scales) if count is None else count
    return sum(
        gradient_l1_loss(*(_at_scale(maps, k) for maps in (prediction, target, valid)), counts[k])
        for k in range(scales)
    )


@full_precision
def affine_invariant_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    trim: float = 0.1,
    scales: int = 4,
    gradient_weight: float = 0.5,
    count: Tensor | None = None,
) -> Tensor:
    r"""Trimmed error plus α times the multi-scale gradients of normalised maps (MiDaS).

    Unlike a least-squares fit, the prediction's own median and deviation bring it to scale, so a
    map that runs opposite to its target cannot be turned round for free. An image whose target is
    constant tells nothing about relative depth and is left out.

    Args:
        prediction: disparity (B, 1, H, W), any scale > 0 and shift.
        target: disparity (B, 1, H, W), any scale > 0 and shift.
        mask: (B, 1, H, W), > 0 where valid.
        trim: see :func:`trimmed_absolute_error`.
        scales: see :func:`multi_scale_gradient_loss`.
        gradient_weight: α; 0.5 in MiDaS.
        count: (K,), see :func:`count_pixels`, in place of this batch's own, see
            :mod:`training.losses`.

    Returns:
        A scalar ≥ 0, in units of the target's mean absolute deviation; 0 without valid pixels.

    Raises:
        ValueError: the shapes differ, or trim or scales are out of range.
    """
    prediction, target, weights = blank_invalid(prediction, target, mask)
    target, informative = median_mad_normalise(target, weights)
    weights = weights * informative
    prediction, _ = median_mad_normalise(prediction, weights)
    pixels = None if count is None else count[0]
    loss = trimmed_absolute_error(prediction, target, weights, trim, pixels)
    edges = multi_scale_gradient_loss(prediction, target, weights, scales, count)
    return loss + gradient_weight * edges


def _at_scale(maps: Tensor, scale: int) -> Tensor:
    return maps[..., :: 2**scale, :: 2**scale]


def _count_at_scales(valid: Tensor, scales: int) -> Tensor:
    return torch.stack([_at_scale(valid, scale).sum() for scale in range(scales)])


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3), keepdim=True)
