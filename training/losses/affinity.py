r"""L_feature: which positions of a feature map are alike, in the student as in the teacher.

Source: One-step video depth estimation via self-distillation, section 3.3.1; after Liu et al. 2019
(Structured knowledge distillation for semantic segmentation).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training.losses.precision import full_precision


@full_precision
def affinity_loss(student: Tensor, teacher: Tensor, grid: int = 32) -> Tensor:
    r"""Mean squared difference of two maps' cosine similarities of all pairs of positions.

    .. math::
        L_{feature} = \frac{1}{(hw)^2} \sum_{i,j} \big( a_s^{ij} - a_t^{ij} \big)^2 , \quad
        a^{ij} = \frac{\langle m(i), m(j) \rangle}{\|m(i)\| \, \|m(j)\|}

    and the mean over the batch. The paper divides the (hw)² terms by hw, so that its loss grows
    with the map; a mean does not, and lies in [0, 4]. Channels may differ, for only similarities
    within one map are compared. Sizes may too: both maps are first averaged to one grid, which
    also bounds the (hw)² similarities. A position whose features are all 0 has similarity 0 to
    every other, and no gradient reaches it.

    No gradient reaches the teacher. Computed in float32 at least, whatever autocast says. A clip is
    given frame by frame, as (B·T, C, h, w).

    Args:
        student: (B, C, h, w), any scale.
        teacher: (B, C', h', w').
        grid: the most cells along each side; fewer where either map has fewer.

    Returns:
        A scalar in [0, 4]. Micro-batches of equal size average to the whole batch: no pixel is
        masked and there is nothing to count.

    Raises:
        ValueError: not two batches of feature maps of one length, or no grid.
    """
    if student.ndim != 4 or teacher.ndim != 4 or student.shape[0] != teacher.shape[0]:
        raise ValueError(
            "student and teacher must be (B, C, h, w) with one B, got "
            f"{tuple(student.shape)} and {tuple(teacher.shape)}"
        )
    if grid < 1:
        raise ValueError(f"grid must be at least 1, got {grid}")
    sides = zip(student.shape[-2:], teacher.shape[-2:], strict=True)
    cells = tuple(min(grid, ours, theirs) for ours, theirs in sides)
    teacher = teacher.detach().to(student.dtype)
    return F.mse_loss(_affinity(student, cells), _affinity(teacher, cells))


def _affinity(features: Tensor, cells: tuple[int, ...]) -> Tensor:
    """Cosine similarities (B, hw, hw) of a map averaged to h × w cells."""
    vectors = F.adaptive_avg_pool2d(features, cells).flatten(2)  # (B, C, hw)
    power = vectors.square().sum(dim=1, keepdim=True)
    # Divided by a length that is never 0 (a small epsilon in its place would make the gradient
    # there as large as that is small).
    positive = power > 0
    units = torch.where(positive, vectors * power.where(positive, 1.0).rsqrt(), 0.0)
    return units.transpose(1, 2) @ units
