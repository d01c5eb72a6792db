"""SILog: hand values, what it forgives, the floor, gradients where square roots have none."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.silog import count_items, silog_loss


def row(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64).view(1, 1, 1, -1)


TARGET = row(0.1, 0.2, 0.4)
ALL = row(1, 1, 1)


def random_clips(seed: int):
    generator = torch.manual_seed(seed)
    prediction, target = torch.rand(2, 2, 3, 1, 2, 4, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 3, 1, 2, 4, generator=generator) < 0.8
    return 0.01 + 0.98 * prediction, 0.01 + 0.98 * target, mask


def test_by_hand():
    # log ratios 0, 1, 2: mean of squares 5/3, mean 1
    prediction = TARGET * row(1, math.e, math.e**2)
    loss = silog_loss(prediction, TARGET, ALL)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(10 * math.sqrt(5 / 3 - 0.85))
    assert silog_loss(prediction, TARGET, ALL, alpha=1, lam=0).item() == pytest.approx(
        math.sqrt(5 / 3)
    )
    assert silog_loss(prediction, TARGET, ALL, 1, 1).item() == pytest.approx(math.sqrt(2 / 3))


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
def test_one_factor_costs_what_lambda_leaves_of_it(factor):
    expected = 10 * math.sqrt(0.15) * abs(math.log(factor))
    loss = silog_loss(factor * TARGET, TARGET, ALL)
    assert loss.item() == pytest.approx(expected, abs=1e-12)
    assert silog_loss(factor * TARGET, TARGET, ALL, lam=1).item() < 1e-12


def test_a_clip_has_one_factor_for_all_its_frames():
    target = torch.cat([TARGET, TARGET]).unsqueeze(0)  # (1, 2, 1, 1, 3)
    factors = torch.tensor([1.0, math.exp(2)], dtype=torch.float64).view(1, 2, 1, 1, 1)
    mask = torch.ones_like(target)
    # ratios 0 and 2: deviation 1, though each frame has none of its own
    assert silog_loss(factors * target, target, mask, 1, 1).item() == pytest.approx(1)
    frames = [maps.flatten(0, 1) for maps in (factors * target, target, mask)]
    assert silog_loss(*frames, 1, 1).item() < 1e-12


def test_the_losses_of_clips_are_averaged_and_those_without_pixels_left_out():
    target, factors = TARGET.repeat(3, 1, 1, 1), row(2, 8, 5).view(3, 1, 1, 1)
    mask = torch.ones_like(target)
    mask[2] = 0
    expected = 10 * math.sqrt(0.15) * (math.log(2) + math.log(8)) / 2
    assert silog_loss(factors * target, target, mask).item() == pytest.approx(expected)
    assert count_items(mask).item() == 2


def test_invalid_pixels_reach_neither_value_nor_gradient():
    prediction = torch.cat([2 * TARGET, row(torch.nan)], 3).requires_grad_()
    target, mask = torch.cat([TARGET, row(torch.inf)], 3), torch.cat([ALL, row(0)], 3)
    loss = silog_loss(prediction, target, mask > 0)
    assert loss.item() == pytest.approx(10 * math.sqrt(0.15) * math.log(2))
    loss.backward()
    assert prediction.grad.isfinite().all() and prediction.grad[..., 3].item() == 0


def test_weights_weigh_pixels():
    prediction = TARGET * row(math.e, 1, math.e**9)
    # ratio 1 with weight 3 of 4, ratio 0 with weight 1
    loss = silog_loss(prediction, TARGET, row(3, 1, 0), alpha=1)
    assert loss.item() == pytest.approx(math.sqrt(3 / 4 - 0.85 * 9 / 16))


def test_nothing_is_below_the_floor():
    prediction = row(-1, 0, 1e-4, 0.5).requires_grad_()
    loss = silog_loss(prediction, row(0, 1e-3, 5e-4, 0.25), row(1, 1, 1, 1), 1, 0)
    assert loss.item() == pytest.approx(math.log(2) / 2)  # √(log² 2 / 4)
    loss.backward()
    assert prediction.grad[..., :3].abs().max() == 0
    assert prediction.grad[..., 3].item() > 0


@pytest.mark.parametrize("lam", [0.0, 0.85, 1.0])
@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_gradient_where_nothing_is_wrong_or_valid(lam, share):
    prediction = TARGET.clone().requires_grad_()
    loss = silog_loss(prediction, TARGET, share * ALL, lam=lam)
    loss.backward()
    assert loss.item() == 0
    assert not prediction.grad.any()


@given(st.integers(0, 2**32 - 1), st.floats(1e-12, 1), st.floats(0, 1))
def test_the_gradient_stays_bounded_down_to_zero(seed, size, lam):
    generator = torch.manual_seed(seed)
    ratio = size * torch.randn(1, 1, 3, 4, dtype=torch.float64, generator=generator)
    logs = (ratio - 3).requires_grad_()
    target = torch.full_like(ratio, math.exp(-3))
    mask = torch.ones_like(ratio)
    (gradient,) = torch.autograd.grad(silog_loss(logs.exp(), target, mask, 1, lam), logs)
    assert gradient.norm().item() <= 1 / math.sqrt(12) * (1 + 1e-6)


@pytest.mark.parametrize("lam", [0.0, 0.85, 1.0])
def test_gradients(lam):
    prediction, target, mask = random_clips(1)
    assert torch.autograd.gradcheck(
        lambda p: silog_loss(p, target, mask, lam=lam), (prediction.requires_grad_(),)
    )


def test_half_precision_is_computed_in_float32():
    prediction = torch.full((1, 1, 8, 8), 0.5, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = silog_loss(prediction, torch.full((1, 1, 8, 8), 0.25), torch.ones(1, 1, 8, 8))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(10 * math.sqrt(0.15) * math.log(2))


@pytest.mark.parametrize("lam", [-0.1, 1.1, float("nan")])
def test_impossible_shares_are_refused(lam):
    with pytest.raises(ValueError, match="lam"):
        silog_loss(TARGET, TARGET, ALL, lam=lam)


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        silog_loss(TARGET, TARGET[..., :2], ALL)
    with pytest.raises(ValueError, match="a clip must be"):
        silog_loss(*[maps[0] for maps in (TARGET, TARGET, ALL)])
