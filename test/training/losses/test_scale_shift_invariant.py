"""L_SSI: hand values, invariance, empty masks, gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.affine import align
from training.losses.scale_shift_invariant import (
    aligned_absolute_error,
    scale_shift_invariant_loss,
)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def random_maps(seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.manual_seed(seed)
    prediction, target = torch.randn(2, 2, 1, 5, 6, dtype=torch.float64, generator=generator)
    return prediction, target, torch.rand(2, 1, 5, 6, generator=generator) < 0.7


def test_by_hand():
    # aligned: 1.5, 2, 2.5 against 1, 3, 2
    loss = scale_shift_invariant_loss(row(0, 1, 2), row(1, 3, 2), torch.ones(1, 1, 1, 3))
    assert loss.shape == ()
    assert loss.item() == pytest.approx(2 / 3)


def test_every_valid_pixel_of_the_batch_counts_once():
    prediction = torch.cat([row(0, 1, 2, 9), row(0, 9, 9, 1)])
    target = torch.cat([row(1, 3, 2, 9), row(4, 9, 9, 7)])
    mask = torch.cat([row(1, 1, 1, 0), row(1, 0, 0, 1)])
    # the second image's two pixels fit exactly
    assert scale_shift_invariant_loss(prediction, target, mask).item() == pytest.approx(2 / 5)


@given(
    st.integers(0, 2**32 - 1),
    st.floats(0.01, 100),
    st.sampled_from([-1, 1]),
    st.floats(-10, 10),
)
def test_scale_and_shift_of_the_prediction_do_not_matter(seed, scale, sign, shift):
    prediction, target, mask = random_maps(seed)
    loss = scale_shift_invariant_loss(prediction, target, mask)
    moved = scale_shift_invariant_loss(sign * scale * prediction + shift, target, mask)
    torch.testing.assert_close(moved, loss, rtol=1e-7, atol=1e-9)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-10, 10))
def test_zero_at_a_perfect_prediction_and_not_elsewhere(seed, scale, shift):
    prediction, target, mask = random_maps(seed)
    assert scale_shift_invariant_loss(scale * target + shift, target, mask).item() < 1e-12
    assert scale_shift_invariant_loss(prediction, target, mask).item() > 1e-3


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 10), st.floats(-10, 10))
def test_it_scales_with_the_target(seed, scale, shift):
    prediction, target, mask = random_maps(seed)
    loss = scale_shift_invariant_loss(prediction, target, mask)
    moved = scale_shift_invariant_loss(prediction, scale * target + shift, mask)
    torch.testing.assert_close(moved, scale * loss)


@pytest.mark.parametrize("valid", [0, 1])
def test_masks_that_allow_no_fit(valid):
    prediction = torch.tensor([[[[0.2, torch.nan, 0.4]]]], requires_grad=True)
    mask = row(*[1.0] * valid, *[0.0] * (3 - valid)).bool()
    loss = scale_shift_invariant_loss(prediction, row(1, torch.inf, torch.nan), mask)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-7)
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_an_image_without_valid_pixels_changes_nothing():
    prediction, target, mask = random_maps(0)
    mask[1] = False
    prediction.requires_grad_()
    loss = scale_shift_invariant_loss(prediction, target, mask)
    alone = scale_shift_invariant_loss(prediction[:1], target[:1], mask[:1])
    torch.testing.assert_close(loss, alone)
    loss.backward()
    assert prediction.grad[0].abs().max() > 0
    assert prediction.grad[1].abs().max() == 0


def test_an_aligned_map_gives_the_same_loss():
    prediction, target, mask = random_maps(1)
    torch.testing.assert_close(
        aligned_absolute_error(align(prediction, target, mask), target, mask),
        scale_shift_invariant_loss(prediction, target, mask),
    )


def test_gradients_flow_through_the_fit():
    prediction, target, mask = random_maps(2)
    prediction.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: scale_shift_invariant_loss(p, target, mask), (prediction,)
    )
    # Invariance to scale and shift: the gradient is orthogonal to both, image by image.
    scale_shift_invariant_loss(prediction, target, mask).backward()
    gradient = prediction.grad
    assert gradient.abs().max() > 1e-4
    torch.testing.assert_close(gradient.sum(dim=(1, 2, 3)), torch.zeros(2, dtype=torch.float64))
    along_scale = (gradient * prediction.detach()).sum(dim=(1, 2, 3))
    torch.testing.assert_close(along_scale, torch.zeros(2, dtype=torch.float64))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_predictions(dtype):
    prediction, target, mask = random_maps(3)
    half = prediction.to(dtype).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = scale_shift_invariant_loss(half, target.float(), mask)
    assert loss.dtype == torch.float32
    expected = scale_shift_invariant_loss(half.detach().float(), target.float(), mask)
    assert torch.equal(loss, expected)
    loss.backward()
    assert half.grad.dtype == dtype
    assert half.grad.abs().max() > 0
