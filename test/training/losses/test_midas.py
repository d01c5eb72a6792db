"""The prior's loss: normalisation, trimming and gradients by hand, invariance, degenerate maps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.midas import (
    affine_invariant_loss,
    median_mad_normalise,
    multi_scale_gradient_loss,
    trimmed_absolute_error,
)


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


def random_maps(seed: int, share: float = 0.8) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.manual_seed(seed)
    prediction, target = torch.randn(2, 2, 1, 9, 11, dtype=torch.float64, generator=generator)
    return prediction, target, torch.rand(2, 1, 9, 11, generator=generator) < share


def test_normalisation_by_hand():
    # median 3, mean absolute deviation (2 + 1 + 0 + 1 + 6) / 5 = 2
    normalised, spread = median_mad_normalise(row(1, 4, 9, 2, 3), torch.ones(1, 1, 1, 5))
    torch.testing.assert_close(normalised, row(-1, 0.5, 3, -0.5, 0))
    assert spread.tolist() == [[[[True]]]]


def test_normalisation_of_an_even_number_of_valid_pixels():
    # of 1, 2, 4, 9 the lower middle value is the median: deviations 1, 0, 2, 7
    normalised, _ = median_mad_normalise(row(4, torch.nan, 1, 9, 2), row(1, 0, 1, 1, 1))
    torch.testing.assert_close(normalised, row(0.8, 0, -0.4, 2.8, 0))


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1))
def test_each_image_has_median_zero_and_deviation_one(seed, share):
    disparity, _, mask = random_maps(seed, share)
    normalised, spread = median_mad_normalise(disparity, mask)
    for image in range(2):
        values = normalised[image][mask[image]].numpy()
        assert spread[image].item() == (len(values) > 1)
        if len(values) > 1:
            assert np.sort(values)[(len(values) - 1) // 2] == 0
            assert np.abs(values).mean() == pytest.approx(1)


@pytest.mark.parametrize("value", [0.0, 0.1, -7.3])
def test_maps_without_spread(value):
    disparity = torch.full((2, 1, 9, 7), value, requires_grad=True)
    mask = torch.ones(2, 1, 9, 7, dtype=torch.bool)
    mask[1] = False
    normalised, spread = median_mad_normalise(disparity, mask)
    assert not spread.any()
    assert normalised.abs().max() == 0
    normalised.sum().backward()
    assert disparity.grad.isfinite().all()


def test_trimming_by_hand():
    residuals = row(3, -1, 2, -4, 5, 6, -10, 8, 9, 7)
    full = torch.ones_like(residuals)
    zero = torch.zeros_like(residuals)
    # 1 … 9 remain of 1 … 10, and the sum is over twice the number of pixels
    assert trimmed_absolute_error(residuals, zero, full).item() == pytest.approx(45 / 20)
    assert trimmed_absolute_error(zero, residuals, full, trim=0.2).item() == pytest.approx(36 / 20)
    assert trimmed_absolute_error(residuals, zero, full, trim=0).item() == pytest.approx(55 / 20)
    # too few to drop one
    half = row(1, 1, 1, 1, 1, 0, 0, 0, 0, 0)
    assert trimmed_absolute_error(residuals, zero, half).item() == pytest.approx(15 / 10)


def test_trimmed_residuals_send_no_gradient():
    residuals = row(3, -1, 2, -4, 5, 6, -10, 8, 9, 7).requires_grad_()
    trimmed_absolute_error(residuals, torch.zeros(1, 1, 1, 10), torch.ones(1, 1, 1, 10)).backward()
    torch.testing.assert_close(residuals.grad, row(1, -1, 1, -1, 1, 1, 0, 1, 1, 1) / 20)


def test_each_image_is_trimmed_on_its_own():
    residuals = torch.cat([row(*[100.0] * 10), row(*[1.0] * 10)])
    mask = torch.ones_like(residuals)
    # one of each image, not two of the first
    loss = trimmed_absolute_error(residuals, torch.zeros_like(residuals), mask)
    assert loss.item() == pytest.approx((900 + 9) / 40)


@pytest.mark.parametrize("trim", [-0.1, 1.0, float("nan")])
def test_impossible_trims_are_refused(trim):
    with pytest.raises(ValueError, match="trim"):
        trimmed_absolute_error(row(1), row(1), row(1), trim)


def test_gradients_at_several_scales_by_hand():
    # scale 0: differences 1, 2, 3, 4 over 5 pixels; scale 1 (0, 3, 10): 3, 7 over 3 pixels;
    # scale 2 (0, 10): 10 over 2 pixels; scale 3: a single pixel
    residual, zero, full = row(0, 1, 3, 6, 10), torch.zeros(1, 1, 1, 5), torch.ones(1, 1, 1, 5)
    for scales, expected in enumerate((2.0, 2 + 10 / 3, 7 + 10 / 3, 7 + 10 / 3), start=1):
        loss = multi_scale_gradient_loss(residual, zero, full, scales)
        assert loss.item() == pytest.approx(expected)
        # the same down the columns
        columns = [values.transpose(2, 3) for values in (residual, zero, full)]
        assert multi_scale_gradient_loss(*columns, scales).item() == pytest.approx(expected)


def test_gradients_skip_invalid_pixels():
    residual, mask = row(0, 1, torch.nan, 6, 10), row(1, 1, 0, 1, 1)
    # scale 0: 1 and 4 over 4 pixels; scale 1: pixels 0, 2, 4, nothing beside another
    loss = multi_scale_gradient_loss(residual, torch.zeros(1, 1, 1, 5), mask, scales=2)
    assert loss.item() == pytest.approx(5 / 4)


def test_scales_must_be_positive():
    with pytest.raises(ValueError, match="scales"):
        multi_scale_gradient_loss(row(1), row(1), row(1), 0)


def test_the_sum_weighs_its_parts():
    prediction, target, mask = random_maps(0)
    p, t = (median_mad_normalise(values, mask)[0] for values in (prediction, target))
    expected = trimmed_absolute_error(p, t, mask, 0.2) + 3 * multi_scale_gradient_loss(
        p, t, mask, 2
    )
    loss = affine_invariant_loss(prediction, target, mask, 0.2, scales=2, gradient_weight=3)
    torch.testing.assert_close(loss, expected)


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 20), st.floats(-10, 10))
def test_positive_scale_and_shift_of_either_map_do_not_matter(seed, scale, shift):
    prediction, target, mask = random_maps(seed)
    loss = affine_invariant_loss(prediction, target, mask)
    moved = affine_invariant_loss(scale * prediction + shift, target, mask)
    torch.testing.assert_close(moved, loss, rtol=1e-6, atol=1e-8)
    moved = affine_invariant_loss(prediction, scale * target + shift, mask)
    torch.testing.assert_close(moved, loss, rtol=1e-6, atol=1e-8)
    assert affine_invariant_loss(scale * target + shift, target, mask).item() < 1e-10
    assert affine_invariant_loss(-target, target, mask).item() > 0.5


@given(st.integers(0, 2**32 - 1))
def test_a_batch_is_its_images(seed):
    prediction, target, mask = random_maps(seed)
    counts = mask.sum(dim=(1, 2, 3))
    apart = [
        affine_invariant_loss(*(maps[i : i + 1] for maps in (prediction, target, mask)), scales=1)
        for i in range(2)
    ]
    expected = sum(count * loss for count, loss in zip(counts, apart, strict=True)) / counts.sum()
    loss = affine_invariant_loss(prediction, target, mask, scales=1)
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("valid", [0, 1])
def test_masks_that_allow_no_comparison(valid):
    prediction = torch.rand(1, 1, 9, 9, generator=torch.manual_seed(0)).requires_grad_()
    mask = torch.zeros(1, 1, 9, 9, dtype=torch.bool)
    mask.view(-1)[:valid] = True
    loss = affine_invariant_loss(prediction, torch.where(mask, 0.7, torch.nan), mask)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_images_that_tell_nothing_change_nothing():
    prediction, target, mask = random_maps(1)
    alone = affine_invariant_loss(prediction[:1], target[:1], mask[:1])
    constant = target.clone()
    constant[1] = 0.3
    torch.testing.assert_close(affine_invariant_loss(prediction, constant, mask), alone)
    mask[1] = False
    torch.testing.assert_close(affine_invariant_loss(prediction, target, mask), alone)


def test_a_constant_prediction_learns_from_its_target():
    _, target, mask = random_maps(2)
    prediction = torch.zeros_like(target).requires_grad_()
    affine_invariant_loss(prediction, target, mask).backward()
    # as large as for a prediction of deviation 1, not divided by a deviation near 0
    assert 1e-4 < prediction.grad.abs().max().item() < 1
    stepped = (prediction - 0.01 * prediction.grad).detach()
    # against the gradient lies the target's direction
    assert np.corrcoef(stepped[mask], target[mask])[0, 1] > 0.3


def test_gradients():
    prediction, target, mask = random_maps(3)
    assert torch.autograd.gradcheck(
        lambda p: affine_invariant_loss(p, target, mask), (prediction.requires_grad_(),)
    )


def test_half_precision_is_computed_in_float32():
    prediction, target, mask = random_maps(4)
    half = prediction.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = affine_invariant_loss(half, target.float(), mask)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, affine_invariant_loss(half.float(), target.float(), mask))
