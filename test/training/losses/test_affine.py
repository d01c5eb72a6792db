"""Least-squares scale and shift: hand values, NumPy as the oracle, singular systems, gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.affine import align, fit_scale_shift


def row(*values: float, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype).view(1, 1, 1, -1)


def test_by_hand():
    # means 1 and 2, covariance 1/3, variance 2/3
    scale, shift = fit_scale_shift(row(0, 1, 2), row(1, 3, 2), row(1, 1, 1).bool())
    assert scale.shape == shift.shape == (1, 1, 1, 1)
    assert scale.item() == pytest.approx(0.5)
    assert shift.item() == pytest.approx(1.5)


def test_weights_by_hand():
    # means 5/4 and 3/2, covariance 4.5/4, variance 2.75/4
    scale, shift = fit_scale_shift(row(0, 1, 2), row(0, 0, 3), row(1, 1, 2))
    assert scale.item() == pytest.approx(18 / 11)
    assert shift.item() == pytest.approx(-6 / 11)


def test_align_moves_invalid_pixels_too():
    aligned = align(row(0, 1, 5), row(1, 3, 0), row(1, 1, 0).bool())
    torch.testing.assert_close(aligned, row(1, 3, 11))


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 0.9))
def test_each_image_is_fitted_as_numpy_fits_it(seed, share):
    random = np.random.default_rng(seed)
    prediction, target = random.normal(size=(2, 3, 1, 5, 4))
    mask = random.random((3, 1, 5, 4)) < share
    mask[..., 0, :2] = True  # two distinct pixels at least
    scale, shift = fit_scale_shift(*map(torch.from_numpy, (prediction, target, mask)))
    for image in range(3):
        valid = mask[image, 0]
        system = np.stack([prediction[image, 0][valid], np.ones(valid.sum())], axis=1)
        expected = np.linalg.lstsq(system, target[image, 0][valid], rcond=None)[0]
        np.testing.assert_allclose([scale[image].item(), shift[image].item()], expected, rtol=1e-6)


def test_a_large_offset_costs_no_precision():
    prediction = 1000 + torch.rand(1, 1, 64, 64, generator=torch.manual_seed(0))
    scale, _ = fit_scale_shift(prediction, prediction - 1000, torch.ones_like(prediction))
    assert scale.item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    "prediction, mask, shift",
    [
        (row(0.3, 0.3, 0.3), row(1, 1, 1), 2.0),  # constant: the mean target
        (row(0, 0, 0), row(1, 1, 1), 2.0),
        (row(0.3, 0.3, 9), row(1, 1, 0), 1.5),  # constant over the valid pixels
        (row(0.1, 0.7, 0.9), row(0, 0, 1), 3.0),  # one pixel
        (row(0.1, 0.7, 0.9), row(0, 0, 0.3), 3.0),  # one pixel, its weight not exact
        (row(0.1, 0.7, 0.9), row(0, 0, 0), 0.0),  # none
    ],
)
def test_singular_systems(prediction, mask, shift):
    prediction = prediction.clone().requires_grad_()
    scale, fitted = fit_scale_shift(prediction, row(1, 2, 3), mask)
    assert scale.item() == 0
    assert fitted.item() == pytest.approx(shift)
    (scale + fitted).sum().backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


@pytest.mark.parametrize("value", [0.1, -7.3, 1e-3, 123.456])
def test_rounding_does_not_make_a_constant_prediction_regular(value):
    prediction = torch.full((1, 1, 37, 53), value)
    target = torch.rand(1, 1, 37, 53, generator=torch.manual_seed(1))
    scale, shift = fit_scale_shift(prediction, target, torch.ones_like(target))
    assert scale.item() == 0
    assert shift.item() == pytest.approx(target.mean().item())


def test_a_singular_image_leaves_its_neighbour_alone():
    prediction = torch.cat([row(0, 1, 2), row(5, 5, 5)]).requires_grad_()
    target = torch.cat([row(1, 3, 2), row(1, 2, 3)])
    scale, shift = fit_scale_shift(prediction, target, torch.ones_like(target))
    torch.testing.assert_close(scale.flatten(), torch.tensor([0.5, 0.0]))
    torch.testing.assert_close(shift.flatten(), torch.tensor([1.5, 2.0]))
    scale.sum().backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[0].abs().max() > 0


def test_what_invalid_pixels_hold_does_not_matter():
    prediction = row(0, 1, 2, torch.nan).requires_grad_()
    scale, shift = fit_scale_shift(prediction, row(1, 3, 2, torch.inf), row(1, 1, 1, 0).bool())
    assert (scale.item(), shift.item()) == pytest.approx((0.5, 1.5))
    (scale + shift).sum().backward()
    assert prediction.grad.isfinite().all()
    assert prediction.grad[..., 3].item() == 0


def test_gradients():
    generator = torch.manual_seed(2)
    maps = [
        torch.randn(2, 1, 3, 4, dtype=torch.float64, generator=generator).requires_grad_()
        for _ in range(2)
    ]
    weights = torch.rand(2, 1, 3, 4, dtype=torch.float64, generator=generator)
    weights[0, 0, 1] = 0
    assert torch.autograd.gradcheck(lambda p, t: fit_scale_shift(p, t, weights), maps)
    assert torch.autograd.gradcheck(lambda p, t: align(p, t, weights), maps)


def test_half_precision_and_autocast_are_computed_in_float32():
    generator = torch.manual_seed(3)
    prediction = torch.randn(2, 1, 32, 32, generator=generator).bfloat16()
    target = torch.randn(2, 1, 32, 32, generator=generator)
    expected = fit_scale_shift(prediction.float(), target, target > 0)
    with torch.autocast("cpu", torch.bfloat16):
        fitted = fit_scale_shift(prediction, target, target > 0)
    for ours, theirs in zip(fitted, expected, strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 1, 2, 3), (1, 1, 3, 2), (1, 1, 2, 3)),
        ((2, 1, 2, 3), (2, 1, 2, 3), (1, 1, 2, 3)),
        ((1, 3, 2, 3),) * 3,
        ((2, 3),) * 3,
    ],
)
def test_shapes_that_would_broadcast_are_refused(shapes):
    with pytest.raises(ValueError, match=r"must"):
        fit_scale_shift(*(torch.ones(shape) for shape in shapes))
