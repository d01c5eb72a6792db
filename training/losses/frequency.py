r"""L_freq: magnitude spectra of latents, high frequencies weighted more.

Source: ApDepth, section 3.4 (latent frequency loss), eq. 7 to 11.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.masking import check_latents
from training.losses.precision import full_precision

_EPSILON = 1e-8


@full_precision
def frequency_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor | None = None,
    strength: float = 1.0,
    power: int = 1,
) -> Tensor:
    r"""Weighted distance of the magnitudes of two unnormalised Fourier transforms.

    .. math::
        L_{freq} = \frac{1}{N} \sum_{u,v} W(u,v) \,
        \Big| \, |\mathcal{F}_{\hat D}(u,v)| - |\mathcal{F}_D(u,v)| \, \Big|^p

    over each channel of the latents, N all elements of the batch. What is invalid is 0 on both
    sides before the transform, as it has no place in a spectrum. Magnitudes do not know where
    things are: a map shifted around its edges costs nothing.

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        mask: (B, 1, h, w), > 0 where valid; None takes all.
        strength: λ of :func:`radial_weights`.
        power: p, 1 or 2.

    Returns:
        A scalar ≥ 0; 0 where nothing is valid. Micro-batches of equal size average to the whole
        batch: there is nothing to count.

    Raises:
        ValueError: shapes that do not fit each other, or another power.
    """
    check_latents(prediction, target, mask)
    if power not in (1, 2):
        raise ValueError(f"power must be 1 or 2 (ApDepth, eq. 9), got {power}")
    target = target.to(prediction.dtype)
    if mask is not None:
        prediction, target = (z.where(mask > 0, 0.0) for z in (prediction, target))
    error = (_magnitudes(prediction) - _magnitudes(target)).abs()
    weights = radial_weights(*error.shape[-2:], strength).to(error)
    return (weights * error**power).mean()


def radial_weights(height: int, width: int, strength: float = 1.0) -> Tensor:
    r"""W of eq. 10, float64 (height, width), the zero frequency at (height // 2, width // 2).

    .. math::
        W(u,v) = 1 + \lambda \frac{\sqrt{(u-u_c)^2 + (v-v_c)^2}}{\sqrt{u_c^2+v_c^2} + \epsilon}

    1 at the centre, 1 + λ at the corner (0, 0).
    """
    centre = height // 2, width // 2
    rows, columns = (
        torch.arange(side, dtype=torch.float64) - middle
        for side, middle in zip((height, width), centre, strict=True)
    )
    distance = torch.hypot(rows[:, None], columns[None])
    largest = (centre[0] ** 2 + centre[1] ** 2) ** 0.5
    return 1 + strength * distance / (largest + _EPSILON)


def _magnitudes(maps: Tensor) -> Tensor:
    """|F(u, v)| of maps (B, C, h, w), the zero frequency in the middle."""
    return torch.fft.fftshift(torch.fft.fft2(maps), dim=(-2, -1)).abs()
