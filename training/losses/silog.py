r"""L_silog: scale-invariant error of logarithms.

Source: One-step video depth estimation via self-distillation, section 3.3.2; Farooq Bhat et al.
2021 (AdaBins), where α and λ come from.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masking import blank_invalid_clip, quotient
from training.losses.precision import full_precision

#: Disparities below this count as this: the logarithm would make the far end weigh without bound.
FLOOR = 1e-3


def count_items(mask: Tensor) -> Tensor:
    """N of :func:`silog_loss`: the clips (or maps) with a valid pixel, a scalar.

    Args:
        mask: (B, T, 1, H, W) or (B, 1, H, W), > 0 where valid.
    """
    return (mask > 0).flatten(1).any(dim=1).sum()


@full_precision
def silog_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    alpha: float = 10.0,
    lam: float = 0.85,
    count: Tensor | None = None,
) -> Tensor:
    r"""Root of the second moment of log ratios, less a share of their squared mean.

    .. math::
        L_{silog} = \frac{\alpha}{N} \sum_{n=1}^{N}
            \sqrt{\overline{g^2}_n - \lambda\, \bar g_n^2} , \quad
        g = \log \max(p, 10^{-3}) - \log \max(t, 10^{-3})

    The means run over all valid pixels of a clip, so that one factor for all its frames is forgiven
    in part (λ = 1: entirely) and a factor of their own for some of them is not; the losses of the N
    clips that have a valid pixel are then averaged. Maps are clips of one frame.

    The radicand is computed as variance + (1 − λ) mean², which rounding cannot make negative. The
    gradient in the logarithms has at most the norm α / √pixels per clip, and is 0 where a clip fits
    exactly. A prediction below the floor counts as the floor and gets no gradient from this loss: a
    network whose whole output starts there would not learn from it.

    Args:
        prediction: disparity (B, T, 1, H, W) or (B, 1, H, W), in [0, 1] as the target.
        target: disparity of the same shape, normalised to [0, 1] over all frames of a clip.
        mask: the same shape, bool or non-negative weights.
        alpha: α, a factor of the whole loss.
        lam: λ in [0, 1].
        count: N in place of the mask's own (:func:`count_items`), see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 without valid pixels.

    Raises:
        ValueError: the shapes differ, or λ is outside [0, 1].

    Example:
        >>> target = torch.tensor([0.1, 0.2, 0.4]).view(1, 1, 1, 3)
        >>> loss = silog_loss(2 * target, target, target > 0, lam=1.0)
        >>> bool(loss < 1e-5)
        True
    """
    if not 0 <= lam <= 1:
        raise ValueError(f"lam must be in [0, 1], got {lam}")
    if prediction.ndim == 4:
        prediction, target, mask = (maps.unsqueeze(1) for maps in (prediction, target, mask))
    prediction, target, weights = blank_invalid_clip(prediction, target, mask)
    ratio = prediction.clamp(min=FLOOR).log() - target.clamp(min=FLOOR).log()
    total = _sum(weights)
    mean = quotient(_sum(weights * ratio), total)
    variance = quotient(_sum(weights * (ratio - mean).square()), total)
    losses = alpha * _root(variance + (1 - lam) * mean.square())
    return quotient(losses.sum(), count_items(weights) if count is None else count)


def _root(values: Tensor) -> Tensor:
    """Square root of values ≥ 0 with gradient 0, not infinity, at 0."""
    positive = values > 0
    return torch.where(positive, values.where(positive, 1.0).sqrt(), 0.0)


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2, 3, 4), keepdim=True)
