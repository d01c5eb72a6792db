"""L_Grad: the reverse Huber function and its sum over four directions, by hand and by property."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.gradient_matching import (
    gradient_matching_loss,
    neighbour_pairs,
    reverse_huber,
)

# Differences: horizontal 1, 2; vertical 2, 3; diagonals 4 (down right) and 1 (down left).
TARGET = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
ZERO = torch.zeros(1, 1, 2, 2)
ALL = torch.ones(1, 1, 2, 2)


def test_reverse_huber_by_hand():
    residual = torch.tensor([-2.0, -0.5, -0.25, 0.0, 0.25, 0.5, 2.0])
    expected = torch.tensor([2.125, 0.25, 0.125, 0.0, 0.125, 0.25, 2.125])
    torch.testing.assert_close(reverse_huber(residual, 0.5), expected)


@given(st.floats(1e-3, 1.0), st.sampled_from([-1.0, 1.0]))
def test_reverse_huber_is_continuous_with_slope_delta_on_both_sides(delta, sign):
    beside = delta * torch.tensor([1 - 1e-6, 1 + 1e-6], dtype=torch.float64) * sign
    beside.requires_grad_()
    values = reverse_huber(beside, delta)
    torch.testing.assert_close(values, torch.full_like(values, delta**2), rtol=3e-6, atol=0)
    values.sum().backward()
    expected = torch.full_like(values, sign * delta)
    torch.testing.assert_close(beside.grad, expected, rtol=3e-6, atol=0)


def test_directions():
    differences = [(after - before).flatten().tolist() for after, before in neighbour_pairs(TARGET)]
    assert differences == [[1, 2], [2, 3], [4], [1]]


def test_quadratic_by_hand():
    # r²/2 + 1/8 of 1, 2, 2, 3, 4, 1
    loss = gradient_matching_loss(ZERO, TARGET, ALL, delta=0.5)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(18.25 / 6)


def test_linear_by_hand():
    assert gradient_matching_loss(ZERO, TARGET, ALL, 10.0).item() == pytest.approx(130 / 6)


def test_both_branches_by_hand():
    # linear for 1, 2, 2, 1 (δ = 2), quadratic for 3 and 4: 2 + 4 + 4 + 2 + 6.5 + 10
    assert gradient_matching_loss(ZERO, TARGET, ALL, 2.0).item() == pytest.approx(28.5 / 6)


def test_a_difference_that_touches_an_invalid_pixel_does_not_count():
    target, prediction = TARGET.clone(), ZERO.clone().requires_grad_()
    target[..., 1, 1] = torch.nan
    mask = ALL.bool()
    mask[..., 1, 1] = False
    # what remains: 1 horizontal, 2 vertical, 1 down left
    loss = gradient_matching_loss(prediction, target, mask, delta=0.5)
    assert loss.item() == pytest.approx((0.625 + 2.125 + 0.625) / 3)
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[..., 1, 1].item() == 0


def test_a_difference_weighs_the_product_of_its_pixels():
    weights = torch.tensor([[[[1.0, 0.5], [0.0, 0.0]]]])
    # one horizontal difference of 1 with weight 1/2: the weight cancels in the mean
    assert gradient_matching_loss(ZERO, TARGET, weights, 0.5).item() == pytest.approx(0.625)
    weights[..., 1, 0] = 1
    # horizontal 1 (½), vertical 2 (1), down left 1 (½)
    expected = (0.5 * 0.625 + 2.125 + 0.5 * 0.625) / 2
    assert gradient_matching_loss(ZERO, TARGET, weights, 0.5).item() == pytest.approx(expected)


@pytest.mark.parametrize("pixels", [(), ((0, 0),), ((0, 0), (0, 2), (2, 0), (2, 2))])
def test_masks_without_neighbours_give_zero(pixels):
    mask = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    for y, x in pixels:
        mask[..., y, x] = True
    prediction = torch.randn(1, 1, 3, 3, generator=torch.manual_seed(0)).requires_grad_()
    loss = gradient_matching_loss(prediction, torch.where(mask, 1.0, torch.nan), mask)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_a_single_pixel_image_gives_zero():
    pixel = torch.ones(2, 1, 1, 1)
    assert gradient_matching_loss(pixel, 3 * pixel, pixel).item() == 0


def test_images_pool_their_differences():
    row = torch.tensor([[[[0.0, 1.0, 3.0]]]])
    mask = torch.tensor([[[[1.0, 1.0, 1.0]]], [[[1.0, 1.0, 0.0]]]])
    # differences 1, 2 of the first image and 1 of the second
    loss = gradient_matching_loss(torch.zeros(2, 1, 1, 3), row.repeat(2, 1, 1, 1), mask, 0.5)
    assert loss.item() == pytest.approx((0.625 + 2.125 + 0.625) / 3)


@given(st.integers(0, 2**32 - 1), st.floats(-5, 5))
def test_only_the_shape_matters(seed, shift):
    generator = torch.manual_seed(seed)
    prediction, target = torch.randn(2, 2, 1, 4, 5, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 4, 5, generator=generator) < 0.9
    loss = gradient_matching_loss(prediction, target, mask)
    torch.testing.assert_close(gradient_matching_loss(prediction + shift, target, mask), loss)
    assert gradient_matching_loss(target + shift, target, mask).item() < 1e-12
    # symmetric under both mirrorings: no direction is preferred
    for axis in (2, 3):
        mirrored = [values.flip(axis) for values in (prediction, target, mask)]
        torch.testing.assert_close(gradient_matching_loss(*mirrored), loss)


@pytest.mark.parametrize("delta", [1e-4, 0.7, 100.0])
def test_gradients(delta):
    generator = torch.manual_seed(4)
    prediction, target = torch.randn(2, 2, 1, 3, 4, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 3, 4, generator=generator) < 0.8
    assert torch.autograd.gradcheck(
        lambda p: gradient_matching_loss(p, target, mask, delta), (prediction.requires_grad_(),)
    )


def test_half_precision_is_computed_in_float32():
    # residual differences of 300: their squares overflow float16
    prediction = torch.tensor([[[[0.0, 300.0]]]], dtype=torch.float16)
    loss = gradient_matching_loss(prediction, torch.zeros(1, 1, 1, 2), torch.ones(1, 1, 1, 2))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(45000)


@pytest.mark.parametrize("delta", [0.0, -1.0, float("nan")])
def test_a_threshold_that_is_not_positive_is_refused(delta):
    with pytest.raises(ValueError, match="delta"):
        gradient_matching_loss(ZERO, TARGET, ALL, delta)
