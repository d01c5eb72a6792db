"""Losses of the parts of a batch, with the parts' mean count, average to the loss of the whole."""

from __future__ import annotations

import pytest
import torch

from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.gradient_matching import count_differences, gradient_matching_loss
from training.losses.latent import latent_loss, latent_mse
from training.losses.masking import masked_mean
from training.losses.midas import affine_invariant_loss, count_pixels
from training.losses.scale_shift_invariant import scale_shift_invariant_loss
from training.losses.silog import count_items, silog_loss
from training.losses.temporal_gradient import count_temporal, temporal_gradient_loss

SHAPE = (4, 1, 12, 10)


def masked_mse(prediction, target, mask, count=None):
    return masked_mean((prediction - target).square(), mask.to(prediction.dtype), count)


def both_tasks(prediction, target, mask, count=None):
    channels = (prediction.repeat(1, 3, 1, 1), target.repeat(1, 3, 1, 1))
    return latent_loss(*channels, *channels, mask, count)


def as_clip(maps):
    """Four frames of 3 × 10 in place of one image of 12 × 10."""
    return maps.unflatten(2, (4, 3)).transpose(1, 2)


def temporal(prediction, target, mask, count=None):
    clips = (as_clip(maps) for maps in (prediction, target, mask))
    return temporal_gradient_loss(*clips, cuts(target), 1.5, count)


def cuts(target):
    """Scene cuts that go with the targets: where the first pixel of a frame is large."""
    return as_clip(target)[:, :, 0, 0, 0] > 0.5


CASES = {
    "masked_mean": (masked_mse, lambda target, mask: mask.sum()),
    "latent_mse": (latent_mse, lambda target, mask: mask.sum()),
    "latent_loss": (both_tasks, lambda target, mask: mask.sum()),
    "ssi": (scale_shift_invariant_loss, lambda target, mask: mask.sum()),
    "gradient": (gradient_matching_loss, lambda target, mask: count_differences(mask)),
    "gradient_l1": (gradient_l1_loss, lambda target, mask: mask.sum()),
    "silog": (silog_loss, lambda target, mask: count_items(mask)),
    "silog of clips": (
        lambda *maps, count=None: silog_loss(*(as_clip(m) for m in maps), count=count),
        lambda target, mask: count_items(as_clip(mask)),
    ),
    "temporal": (
        temporal,
        lambda target, mask: count_temporal(as_clip(target), as_clip(mask), cuts(target), 1.5),
    ),
    "midas": (affine_invariant_loss, count_pixels),
}


def uneven(seed: int = 0):
    generator = torch.manual_seed(seed)
    prediction, target = torch.randn(2, *SHAPE, dtype=torch.float64, generator=generator)
    shares = torch.tensor([1.0, 0.5, 0.1, 0.0]).view(4, 1, 1, 1)  # the last has no valid pixel
    return prediction, target, torch.rand(SHAPE, generator=generator) < shares


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("parts", [2, 4])
def test_parts_average_to_the_whole(name, parts):
    loss, counts = CASES[name]
    whole_input, target, mask = uneven()
    whole_input.requires_grad_()
    whole = loss(whole_input, target, mask)
    (whole_gradient,) = torch.autograd.grad(whole, whole_input)

    part_input = whole_input.detach().requires_grad_()
    pieces = list(zip(*(t.chunk(parts) for t in (part_input, target, mask)), strict=True))
    count = torch.stack([counts(*piece[1:]) for piece in pieces]).double().mean(dim=0)
    mean = sum(loss(*piece, count=count) for piece in pieces) / parts
    (gradient,) = torch.autograd.grad(mean, part_input)
    assert mean.item() == pytest.approx(whole.item(), rel=1e-12)
    assert torch.allclose(gradient, whole_gradient, atol=1e-12)


@pytest.mark.parametrize("name", set(CASES) - {"latent_loss"})
def test_without_the_counts_they_do_not(name):
    loss, _ = CASES[name]
    prediction, target, mask = uneven()
    pieces = zip(*(t.chunk(2) for t in (prediction, target, mask)), strict=True)
    naive = sum(float(loss(*piece)) for piece in pieces) / 2
    assert naive != pytest.approx(float(loss(prediction, target, mask)), rel=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_a_batch_without_any_valid_pixel_is_zero(name):
    loss, counts = CASES[name]
    prediction, target, _ = uneven()
    mask = torch.zeros(SHAPE, dtype=torch.bool)
    prediction.requires_grad_()
    value = loss(prediction, target, mask, count=counts(target, mask).double())
    value = value - (0 if name != "latent_loss" else loss(prediction, target, mask))
    assert value.item() == 0
    assert not torch.autograd.grad(value, prediction)[0].any()
