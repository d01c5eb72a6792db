"""Latent losses and the pooling of masks to latent size."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.latent import latent_kd_loss, latent_loss, latent_mask, latent_mse


@given(st.integers(0, 15), st.integers(0, 23))
def test_one_invalid_pixel_invalidates_its_block_alone(y, x):
    mask = torch.ones(1, 1, 16, 24, dtype=torch.bool)
    mask[..., y, x] = False
    expected = torch.ones(1, 1, 2, 3, dtype=torch.bool)
    expected[..., y // 8, x // 8] = False
    assert torch.equal(latent_mask(mask), expected)
    assert torch.equal(latent_mask(mask.float()), expected)
    assert torch.equal(latent_mask(mask.to(torch.uint8)), expected)


def test_other_factors():
    mask = torch.tensor([[[[1, 1, 1, 0], [1, 1, 1, 1]]]], dtype=torch.bool)
    assert latent_mask(mask, factor=2).tolist() == [[[[True, False]]]]
    assert torch.equal(latent_mask(mask, factor=1), mask)


def test_sides_that_are_no_multiples_are_refused():
    with pytest.raises(ValueError, match="multiples of 8"):
        latent_mask(torch.ones(1, 1, 16, 20))


# squared errors 1, 4, 9, 16 in the first channel, 0 in the second
PREDICTION = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]]])
TARGET = torch.zeros(1, 2, 2, 2)


def test_mse_by_hand():
    assert latent_mse(PREDICTION, TARGET).item() == pytest.approx(30 / 8)
    mask = torch.tensor([[[[True, False], [True, False]]]])
    assert latent_mse(PREDICTION, TARGET, mask).item() == pytest.approx(10 / 4)
    weights = torch.tensor([[[[1.0, 0.0], [0.5, 0.0]]]])
    assert latent_mse(PREDICTION, TARGET, weights).item() == pytest.approx(5.5 / 3)


def test_a_full_mask_is_no_mask():
    generator = torch.manual_seed(0)
    a, b = torch.randn(2, 3, 4, 5, 6, generator=generator)
    full = torch.ones(3, 1, 5, 6, dtype=torch.bool)
    torch.testing.assert_close(latent_mse(a, b, full), latent_mse(a, b))


def test_what_invalid_latents_hold_does_not_matter_and_empty_masks_give_zero():
    target = TARGET.clone()
    target[..., 0, 0] = torch.nan
    prediction = PREDICTION.clone().requires_grad_()
    mask = torch.tensor([[[[False, True], [True, True]]]])
    loss = latent_mse(prediction, target, mask)
    assert loss.item() == pytest.approx(29 / 6)
    loss.backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[..., 0, 0].abs().max() == 0

    prediction.grad = None
    empty = latent_mse(prediction, target, torch.zeros_like(mask))
    empty.backward()
    assert empty.item() == 0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_target_supervision_masks_the_depth_task_alone():
    mask = torch.tensor([[[[True, False], [False, False]]]])
    loss = latent_loss(PREDICTION, TARGET, PREDICTION, TARGET, mask)
    assert loss.item() == pytest.approx(1 / 2 + 30 / 8)
    assert latent_loss(PREDICTION, TARGET, TARGET, TARGET).item() == pytest.approx(30 / 8)
    assert latent_loss(TARGET, TARGET, PREDICTION, TARGET).item() == pytest.approx(30 / 8)


def test_distillation_leaves_the_teacher_alone():
    student, teacher = PREDICTION.clone().requires_grad_(), TARGET.clone().requires_grad_()
    loss = latent_kd_loss(student, teacher)
    assert loss.item() == pytest.approx(30 / 8)
    loss.backward()
    torch.testing.assert_close(student.grad, 2 * PREDICTION / 8)
    assert teacher.grad is None
    mask = torch.tensor([[[[True, False], [True, False]]]])
    assert latent_kd_loss(student, teacher, mask).item() == pytest.approx(10 / 4)


def test_gradients():
    generator = torch.manual_seed(1)
    a, b, c, d = torch.randn(4, 2, 3, 2, 3, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 1, 2, 3, generator=generator) < 0.6
    predictions = (a.requires_grad_(), c.requires_grad_())
    assert torch.autograd.gradcheck(lambda p, q: latent_loss(p, b, q, d, mask), predictions)


def test_half_precision_is_computed_in_float32():
    prediction = torch.full((1, 4, 2, 2), 300.0, dtype=torch.float16)  # 300² overflows float16
    with torch.autocast("cpu", torch.bfloat16):
        for mask in (None, torch.ones(1, 1, 2, 2)):
            loss = latent_mse(prediction, torch.zeros(1, 4, 2, 2), mask)
            assert loss.dtype == torch.float32
            assert loss.item() == pytest.approx(90000)


@pytest.mark.parametrize(
    "target, mask",
    [
        ((1, 2, 2, 3), None),
        ((1, 1, 2, 2), None),
        ((1, 2, 2, 2), (1, 1, 16, 16)),
        ((1, 2, 2, 2), (1, 2, 2, 2)),
    ],
)
def test_shapes_that_would_broadcast_are_refused(target, mask):
    with pytest.raises(ValueError, match=r"\(1, 2, 2, 2\)"):
        latent_mse(PREDICTION, torch.zeros(target), None if mask is None else torch.ones(mask))
