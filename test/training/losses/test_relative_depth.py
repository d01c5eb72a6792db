"""The relative error of depth: hand-computed values, invariance, gradients."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from training.losses.relative_depth import count_within, relative_depth_loss


def maps(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


def test_a_scaled_and_shifted_map_has_no_error():
    inverse = maps(1.0, 0.5, 0.1, 0.02)
    loss = relative_depth_loss(3 * inverse - 2, inverse, inverse > 0)
    assert loss.item() == pytest.approx(0, abs=1e-9)


def test_by_hand():
    inverse = maps(1.0, 1.0, 0.25, 0.25)
    prediction = maps(3.0, 1.0, 0.0, 0.0)  # fit: s = 0.25, t = 0.375 by the normal equations
    aligned = [0.25 * p + 0.375 for p in (3.0, 1.0, 0.0, 0.0)]
    wanted = sum(abs(math.log(a / g)) for a, g in zip(aligned, (1, 1, 0.25, 0.25), strict=True))
    loss = relative_depth_loss(prediction, inverse, torch.ones_like(inverse))
    assert loss.item() == pytest.approx(wanted / 4)


def test_below_the_floor_the_logarithm_goes_on_as_a_line():
    inverse, prediction = (4.0, 4.0, 0.6, 0.6), (1.0, 0.8, 0.3, -0.5)
    scale, shift = np.polyfit(prediction, inverse, 1)
    aligned = [scale * p + shift for p in prediction]
    floor = 0.25  # of far = 2 m
    assert aligned[3] < floor < min(aligned[:3])
    logs = [math.log(a) for a in aligned[:3]] + [math.log(floor) - (floor - aligned[3])]
    wanted = sum(abs(a - math.log(g)) for a, g in zip(logs, inverse, strict=True)) / 4
    loss = relative_depth_loss(maps(*prediction), maps(*inverse), maps(1, 1, 1, 1), far=2.0)
    assert loss.item() == pytest.approx(wanted)


def test_sky_far_and_invalid_pixels_do_not_count():
    inverse = maps(1.0, 0.5, 0.0, 0.01, 0.25)
    mask = torch.tensor([True, True, True, True, False]).view(1, 1, 1, -1)
    assert count_within(inverse, mask).item() == 2
    prediction = maps(1.0, 0.5, -7.0, 9.0, float("nan")).requires_grad_()
    loss = relative_depth_loss(prediction, inverse, mask)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert torch.equal(prediction.grad[0, 0, 0, 2:], torch.zeros(3, dtype=torch.float64))


def test_an_opposite_map_is_flattened_and_sends_no_gradient():
    inverse = maps(1.0, 0.5, 0.25)
    prediction = (-inverse).requires_grad_()
    loss = relative_depth_loss(prediction, inverse, inverse > 0)
    mean = 1.75 / 3
    wanted = sum(abs(math.log(mean / g)) for g in (1, 0.5, 0.25)) / 3
    assert loss.item() == pytest.approx(wanted)
    loss.backward()
    assert torch.equal(prediction.grad, torch.zeros_like(prediction))


def test_gradient_check():
    generator = torch.Generator().manual_seed(0)
    inverse = torch.rand(2, 1, 3, 4, generator=generator, dtype=torch.float64) * 0.5 + 0.1
    noise = torch.randn(2, 1, 3, 4, generator=generator, dtype=torch.float64)
    prediction = (inverse + 0.1 * noise).requires_grad_()
    mask = torch.ones_like(inverse)
    assert torch.autograd.gradcheck(lambda p: relative_depth_loss(p, inverse, mask), (prediction,))


def test_nothing_valid_is_zero():
    inverse = torch.zeros(1, 1, 2, 2)
    assert relative_depth_loss(torch.ones(1, 1, 2, 2), inverse, inverse > 0).item() == 0


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="shape"):
        relative_depth_loss(torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 3), torch.ones(1, 1, 2, 3))
