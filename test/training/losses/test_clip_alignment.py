"""One fit a scene: hand values, scenes apart from each other, flicker kept, gradients."""

from __future__ import annotations

import torch

from training.losses.clip_alignment import align_clips, scene_numbers


def clip(values) -> torch.Tensor:
    """Frames of two pixels each, (1, T, 1, 1, 2)."""
    return torch.tensor(values, dtype=torch.float64).view(1, -1, 1, 1, 2)


def test_one_scale_and_shift_for_all_frames():
    prediction = clip([[0, 1], [2, 3]])
    target = 2 * prediction - 1
    starts = torch.zeros(1, 2, dtype=torch.bool)
    aligned, scale = align_clips(prediction, target, torch.ones_like(target), starts)
    assert torch.allclose(aligned, target) and torch.allclose(scale, torch.tensor(2.0).double())


def test_flicker_is_not_fitted_away():
    target = clip([[0, 1], [0, 1]])
    prediction = target + clip([[0.1, 0.1], [-0.1, -0.1]])
    starts = torch.zeros(1, 2, dtype=torch.bool)
    aligned, _ = align_clips(prediction, target, torch.ones_like(target), starts)
    # x = (.1, 1.1, -.1, .9), y = (0, 1, 0, 1): s = 0.25 / 0.26, and the frames stay 0.2 s apart
    assert torch.allclose(aligned[0, 0] - aligned[0, 1], torch.tensor(0.2 * 0.25 / 0.26).double())


def test_scenes_are_fitted_apart_and_invalid_pixels_do_not_count():
    starts = torch.tensor([[False, False, True, False]])
    assert scene_numbers(starts).tolist() == [[0, 0, 1, 1]]
    target = clip([[0, 1], [1, 2], [5, 3], [4, 2]])
    prediction = target.clone()
    prediction[:, :2] = (target[:, :2] - 1) / 3
    prediction[:, 2:] = -target[:, 2:]
    valid = torch.ones_like(target, dtype=torch.bool)
    valid[0, 1, 0, 0, 1] = False
    prediction[0, 1, 0, 0, 1] = 1e3
    aligned, scale = align_clips(prediction, target, valid, starts)
    assert torch.allclose(aligned[valid], target[valid])
    assert torch.allclose(scale.flatten(), torch.tensor([3.0, 3, -1, -1]).double())


def test_gradients():
    generator = torch.Generator().manual_seed(0)
    prediction, target = (
        torch.rand(2, 3, 1, 2, 3, dtype=torch.float64, generator=generator) for _ in range(2)
    )
    starts = torch.tensor([[False, True, False], [False, False, False]])
    mask = torch.rand(2, 3, 1, 2, 3, dtype=torch.float64, generator=generator)
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: align_clips(p, target, mask, starts), (prediction,))
