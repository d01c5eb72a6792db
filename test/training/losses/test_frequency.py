"""The frequency loss: weights by hand, NumPy's transform, what magnitudes cannot see, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.frequency import frequency_loss, radial_weights


def latents(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(seed))


def direct(prediction, target, strength, power) -> float:
    """Eq. 7 to 11, term by term."""
    ours, theirs = (
        np.abs(np.fft.fftshift(np.fft.fft2(z.numpy()), axes=(-2, -1))) for z in (prediction, target)
    )
    height, width = ours.shape[-2:]
    total = 0.0
    for u in range(height):
        for v in range(width):
            radius = math.hypot(u - height // 2, v - width // 2)
            weight = 1 + strength * radius / (math.hypot(height // 2, width // 2) + 1e-8)
            total += weight * (np.abs(ours[..., u, v] - theirs[..., u, v]) ** power).sum()
    return total / ours.size


def test_the_weights_by_hand():
    weights = radial_weights(4, 6, strength=2.0)
    assert weights[2, 3] == 1  # the zero frequency
    assert weights[0, 0].item() == pytest.approx(3)
    assert weights[2, 0].item() == pytest.approx(1 + 2 * 3 / math.sqrt(13))
    assert weights[3, 3].item() == pytest.approx(1 + 2 * 1 / math.sqrt(13))
    assert radial_weights(5, 5)[4, 4].item() == pytest.approx(2)  # odd: all corners alike
    assert radial_weights(1, 1).item() == 1
    assert (radial_weights(4, 6, 0.0) == 1).all()


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("strength", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("size", [(4, 6), (5, 3)])
def test_a_direct_evaluation(size, strength, power):
    prediction, target = latents(0, 2, 3, *size), latents(1, 2, 3, *size)
    loss = frequency_loss(prediction, target, None, strength, power)
    assert loss.item() == pytest.approx(direct(prediction, target, strength, power), rel=1e-9)


def test_a_constant_difference_is_all_at_the_centre():
    flat = torch.full((1, 1, 4, 8), 0.5)
    # 32 elements of 0.5 add up to a magnitude of 16 there, with weight 1: 16 / 32.
    assert frequency_loss(flat, torch.zeros_like(flat)).item() == pytest.approx(0.5)
    assert frequency_loss(flat, -flat).item() == 0  # a sign is a phase


@given(st.integers(0, 7), st.integers(0, 4), st.sampled_from([1, 2]))
def test_a_shift_around_the_edges_costs_nothing(down, right, power):
    prediction, target = latents(2, 1, 2, 8, 5), latents(3, 1, 2, 8, 5)
    shifted = prediction.roll((down, right), dims=(2, 3))
    assert frequency_loss(shifted, prediction, None, 1.0, power).item() < 1e-10
    expected = frequency_loss(prediction, target, None, 1.0, power).item()
    assert frequency_loss(shifted, target, None, 1.0, power).item() == pytest.approx(expected)


def test_what_is_invalid_reaches_neither_value_nor_gradient():
    prediction, target = latents(4, 2, 3, 4, 4), latents(5, 2, 3, 4, 4)
    mask = torch.rand(2, 1, 4, 4, generator=torch.manual_seed(6)) > 0.3
    expected = frequency_loss(prediction * mask, target * mask)
    prediction = prediction.masked_fill(~mask, math.nan).requires_grad_()
    loss = frequency_loss(prediction, target.masked_fill(~mask, math.inf), mask)
    assert loss.item() == pytest.approx(expected.item())
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert not prediction.grad[~mask.expand_as(prediction)].any()
    assert frequency_loss(prediction, target, torch.zeros_like(mask)).item() == 0


@pytest.mark.parametrize("power", [1, 2])
def test_gradients(power):
    prediction, target = latents(7, 1, 2, 3, 4).requires_grad_(), latents(8, 1, 2, 3, 4)
    mask = torch.ones(1, 1, 3, 4)
    mask[..., 0, 0] = 0
    assert torch.autograd.gradcheck(
        lambda z: frequency_loss(z, target, mask, 1.0, power), (prediction,)
    )
    flat = torch.zeros(1, 1, 4, 4, requires_grad=True)  # |F| = 0 has no derivative
    frequency_loss(flat, torch.ones(1, 1, 4, 4), None, 1.0, power).backward()
    assert flat.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    prediction = torch.full((1, 1, 64, 64), 100.0, dtype=dtype)  # the sum overflows float16
    with torch.autocast("cpu", torch.bfloat16):
        loss = frequency_loss(prediction, torch.zeros(1, 1, 64, 64))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(100)


def test_micro_batches_average_to_the_batch():
    prediction, target = latents(9, 4, 2, 4, 6), latents(10, 4, 2, 4, 6)
    mask = torch.rand(4, 1, 4, 6, generator=torch.manual_seed(11)) > 0.5
    parts = [frequency_loss(*(z[k : k + 2] for z in (prediction, target, mask))) for k in (0, 2)]
    whole = frequency_loss(prediction, target, mask)
    assert whole.item() == pytest.approx(sum(float(p) for p in parts) / 2)


def test_what_cannot_be_compared_is_refused():
    maps = torch.ones(2, 4, 4, 4)
    with pytest.raises(ValueError, match="latents differ in shape"):
        frequency_loss(maps, maps[:1])
    with pytest.raises(ValueError, match="mask must be"):
        frequency_loss(maps, maps, torch.ones(2, 1, 8, 8))
    with pytest.raises(ValueError, match="power must be 1 or 2"):
        frequency_loss(maps, maps, power=3)
