r"""One scale and one shift for all frames of a scene: what flickers must not be fitted away.

Source: one-step video depth, section 3.3 (disparity is normalised over all frames of a clip), and
the video protocol of DepthCrafter (one least-squares fit a clip).
"""

from __future__ import annotations

import torch
from torch import Tensor

from training.losses.affine import fit_scale_shift
from training.losses.precision import full_precision


def scene_numbers(starts: Tensor) -> Tensor:
    """The scene that each frame belongs to, counted from 0 in each clip, (B, T) as ``starts``."""
    return starts.long().cumsum(1)


@full_precision
def align_clips(
    prediction: Tensor, target: Tensor, mask: Tensor, starts: Tensor
) -> tuple[Tensor, Tensor]:
    r"""Bring clips to their targets' scale and shift, one fit a scene.

    .. math::
        (s, t) = \arg\min \sum_{k} \sum_i w_{k,i} (s\,p_{k,i} + t - g_{k,i})^2

    over all pixels i of all frames k of a scene (:func:`~training.losses.affine.fit_scale_shift`,
    whose degenerate cases hold here as well).

    Args:
        prediction: (B, T, 1, H, W), any range.
        target: (B, T, 1, H, W).
        mask: (B, T, 1, H, W), bool or non-negative weights.
        starts: bool (B, T), True where another scene begins.

    Returns:
        s·p + t, (B, T, 1, H, W), and the scale of each frame's scene, (B, T, 1, 1, 1).

    Raises:
        ValueError: the shapes differ.
    """
    scenes = scene_numbers(starts)[:, :, None, None, None]
    scale, shift = (prediction.new_zeros(*prediction.shape[:2], 1, 1, 1) for _ in range(2))
    flat = [maps.flatten(1, 3)[:, None] for maps in (prediction, target)]  # (B, 1, T·H, W)
    for scene in range(int(scenes.max()) + 1):
        mine = scenes == scene
        weights = (mask * mine).flatten(1, 3)[:, None]
        fitted = fit_scale_shift(*flat, weights)
        scale, shift = (
            torch.where(mine, new[..., None], old)
            for new, old in zip(fitted, (scale, shift), strict=True)
        )
    return scale * prediction + shift, scale
