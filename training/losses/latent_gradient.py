r"""L_latent of one-step video depth: latents and their gradients against a teacher's.

Source: One-step video depth estimation via self-distillation, section 3.2.1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.latent import latent_kd_loss


def latent_gradient_loss(
    student: Tensor, teacher: Tensor, gradient_share: float = 0.5
) -> tuple[Tensor, Tensor, Tensor]:
    r"""Squared error, and absolute gradients of the residual, of every channel and frame alike.

    .. math::
        L_{latent} = (1 - \lambda) L_{sm} + \lambda L_g , \quad
        L_{sm} = \| D \|^2 , \quad L_g = \frac{1}{M} \sum_i |\nabla_x D_i| + |\nabla_y D_i|

    with D the student's latents less the teacher's. Both are means over all channels and places:
    the paper's M are the places of a map, and it does not say how channels count. No gradient
    reaches the teacher.

    Args:
        student: clean latents (N, C, h, w); a clip is given frame by frame.
        teacher: the same, after several steps.
        gradient_share: λ in [0, 1].

    Returns:
        L_latent, L_sm and L_g, scalars ≥ 0. Micro-batches of equal size average to the whole batch.

    Raises:
        ValueError: the shapes differ.
    """
    score = latent_kd_loss(student, teacher)
    maps = [latents.flatten(0, 1)[:, None] for latents in (student, teacher.detach())]
    gradient = gradient_l1_loss(*maps, torch.ones_like(maps[1], dtype=torch.bool))
    return (1 - gradient_share) * score + gradient_share * gradient, score, gradient
