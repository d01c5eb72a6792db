r"""Losses between latents: L_Latent and L_LatentKD of stage 1. Source: D³epth section 4.1, eq. 2."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from training.losses.masking import check_latents, check_map, masked_mean
from training.losses.precision import full_precision


def latent_mask(mask: Tensor, factor: int = 8) -> Tensor:
    """Bring a mask of pixels to the size of the latents: a block with a hole is a hole.

    The *invalid* pixels are max-pooled, as in Lotus' training on Virtual KITTI: one invalid pixel
    anywhere in a block of ``factor`` × ``factor`` invalidates its latent, because the encoder has
    mixed that pixel into it.

    Args:
        mask: (B, 1, H, W), bool or weights; > 0 is valid.
        factor: pixels per latent along each side.

    Returns:
        bool (B, 1, H / factor, W / factor).

    Raises:
        ValueError: H or W is no multiple of ``factor``.
    """
    check_map(mask, "mask")
    if mask.shape[-2] % factor or mask.shape[-1] % factor:
        raise ValueError(f"mask sides {tuple(mask.shape[-2:])} are no multiples of {factor}")
    invalid = (mask <= 0) if mask.is_floating_point() else ~mask.bool()
    return F.max_pool2d(invalid.float(), factor) == 0


@full_precision
def latent_mse(
    prediction: Tensor, target: Tensor, mask: Tensor | None = None, count: Tensor | None = None
) -> Tensor:
    r"""Mean squared error of latents, over the valid ones.

    .. math::
        \frac{1}{C \sum_i w_i} \sum_i w_i \sum_c (p_{ci} - z_{ci})^2

    Args:
        prediction: (B, C, h, w).
        target: (B, C, h, w).
        mask: (B, 1, h, w) at the latents' size (:func:`latent_mask`), bool or non-negative
            weights; None takes all.
        count: Σ w of the mask in place of the mask's own, see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0; 0 where nothing is valid.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    check_latents(prediction, target, mask)
    if mask is None:
        return F.mse_loss(prediction, target.to(prediction.dtype))
    valid = mask > 0
    error = prediction.where(valid, 0.0) - target.to(prediction.dtype).where(valid, 0.0)
    total = None if count is None else count * prediction.shape[1]
    return masked_mean(error.square(), mask.to(error.dtype), total)


def latent_loss(
    depth_prediction: Tensor,
    depth_target: Tensor,
    image_prediction: Tensor,
    image_target: Tensor,
    mask: Tensor | None = None,
    count: Tensor | None = None,
) -> Tensor:
    r"""L_Latent: target supervision of the depth task plus the reconstruction task, 1 : 1.

    .. math::
        L_{Latent} = \| z_d - S(z_x, T, s_d) \|^2 + \| z_x - S(z_x, T, s_x) \|^2

    each a mean (:func:`latent_mse`). The mask holds for the depth task alone: the image is known
    where depth is not (Lotus, ``train_lotus_d.py``).

    Args:
        depth_prediction: S(z_x, T, s_d), (B, C, h, w), scaled latents.
        depth_target: z_d, the latent of the normalised disparity, (B, C, h, w).
        image_prediction: S(z_x, T, s_x), (B, C, h, w).
        image_target: z_x, (B, C, h, w).
        mask: (B, 1, h, w), see :func:`latent_mask`; None takes all.
        count: Σ w of the mask in place of the mask's own, see :mod:`training.losses`.

    Returns:
        A scalar ≥ 0.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    depth = latent_mse(depth_prediction, depth_target, mask, count)
    return depth + latent_mse(image_prediction, image_target)


def latent_kd_loss(student: Tensor, teacher: Tensor, mask: Tensor | None = None) -> Tensor:
    r"""L_LatentKD: the student's output latents against the teacher's.

    .. math::
        L_{LatentKD} = \| T(z_x, T, s) - S(z_x, T, s) \|^2

    a mean (:func:`latent_mse`). No gradient reaches the teacher.

    Args:
        student: (B, C, h, w), any tasks stacked along B.
        teacher: (B, C, h, w), the same tasks in the same order.
        mask: (B, 1, h, w); None, the paper's case, takes all: a teacher answers everywhere.

    Returns:
        A scalar ≥ 0.

    Raises:
        ValueError: shapes that do not fit each other.
    """
    return latent_mse(student, teacher.detach(), mask)
