"""Absolute gradients of the residual: by hand, at holes, and as one scale of MiDaS' loss."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.midas import multi_scale_gradient_loss

# Differences: right 1, 2; down 2, 3.
TARGET = torch.tensor([[[[0.0, 1.0], [2.0, 4.0]]]])
ZERO = torch.zeros(1, 1, 2, 2)
ALL = torch.ones(1, 1, 2, 2)


def test_by_hand():
    loss = gradient_l1_loss(ZERO, TARGET, ALL)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(8 / 4)
    assert gradient_l1_loss(ZERO, TARGET, ALL, torch.tensor(16.0)).item() == pytest.approx(8 / 16)


def test_it_is_of_the_residual_not_of_sizes():
    # The same gradient with the other sign is twice as wrong.
    assert gradient_l1_loss(-TARGET, TARGET, ALL).item() == pytest.approx(4)
    assert gradient_l1_loss(TARGET + 7, TARGET, ALL).item() == 0


def test_differences_that_touch_an_invalid_pixel_do_not_count():
    target, mask = TARGET.clone(), ALL.bool()
    target[..., 1, 1], mask[..., 1, 1] = torch.nan, False
    prediction = ZERO.clone().requires_grad_()
    loss = gradient_l1_loss(prediction, target, mask)
    assert loss.item() == pytest.approx((1 + 2) / 3)  # over three valid pixels
    loss.backward()
    torch.testing.assert_close(prediction.grad, torch.tensor([[[[2.0, -1], [-1, 0]]]]) / 3)


@pytest.mark.parametrize("pixels", [(), ((0, 0),), ((0, 0), (1, 1))])
def test_masks_without_neighbours_give_zero(pixels):
    mask = torch.zeros(1, 1, 2, 2, dtype=torch.bool)
    for y, x in pixels:
        mask[..., y, x] = True
    prediction = TARGET.clone().requires_grad_()
    loss = gradient_l1_loss(prediction, torch.where(mask, 1.0, torch.nan), mask)
    loss.backward()
    assert loss.item() == 0
    assert not prediction.grad.any()


@given(st.integers(0, 2**32 - 1))
def test_one_scale_of_midas(seed):
    generator = torch.manual_seed(seed)
    prediction, target = torch.randn(2, 2, 1, 4, 5, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 4, 5, generator=generator) < 0.8
    loss = gradient_l1_loss(prediction, target, mask)
    torch.testing.assert_close(multi_scale_gradient_loss(prediction, target, mask, 1), loss)


def test_gradients():
    generator = torch.manual_seed(4)
    prediction, target = torch.randn(2, 2, 1, 3, 4, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 3, 4, generator=generator) < 0.8
    assert torch.autograd.gradcheck(
        lambda p: gradient_l1_loss(p, target, mask), (prediction.requires_grad_(),)
    )


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        gradient_l1_loss(ZERO, TARGET[..., :1], ALL)
