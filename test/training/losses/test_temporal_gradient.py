"""Temporal gradient matching: changes by hand, which pairs count, what costs nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.temporal_gradient import count_temporal, temporal_gradient_loss


def clip(*frames: tuple[float, ...]) -> torch.Tensor:
    """(1, T, 1, 1, W) with one row a frame."""
    return torch.tensor(frames, dtype=torch.float64)[None, :, None, None]


# The first pixel of the target changes by 0.01 and 0.02, the second by 0.5 and then stays.
TARGET = clip((0.1, 0.0), (0.11, 0.5), (0.13, 0.5))
ALL = torch.ones_like(TARGET, dtype=torch.bool)


def random_clips(seed: int):
    generator = torch.manual_seed(seed)
    prediction, target = torch.rand(2, 2, 4, 1, 3, 2, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, 4, 1, 3, 2, generator=generator) < 0.9
    return prediction, target, mask, torch.rand(2, 4, generator=generator) < 0.2


def test_by_hand():
    prediction = clip((0.3, 0.0), (0.3, 0.9), (0.4, 0.8))
    # changes 0 and 0.1 against 0.01 and 0.02, and −0.1 against 0; the jump by 0.5 does not count
    loss = temporal_gradient_loss(prediction, TARGET, ALL)
    assert loss.shape == ()
    assert loss.item() == pytest.approx((0.01 + 0.08 + 0.1) / 3)
    assert count_temporal(TARGET, ALL).item() == 3


def test_the_direction_of_a_change_matters():
    # as large a change the other way is twice as wrong
    loss = temporal_gradient_loss(-TARGET, TARGET, ALL)
    assert loss.item() == pytest.approx(2 * (0.01 + 0.02 + 0) / 3)


def test_the_threshold_is_a_share_of_the_range():
    for threshold, target_range, count in [
        (0.05, 1.0, 3),
        (0.05, 11.0, 4),
        (0.015, 1.0, 2),
        (0.0075, 2.0, 2),
        (0.005, 1.0, 1),
    ]:
        assert count_temporal(TARGET, ALL, None, threshold, target_range).item() == count
    loss = temporal_gradient_loss(0 * TARGET, TARGET, ALL, None, 0.05, target_range=11.0)
    assert loss.item() == pytest.approx((0.01 + 0.02 + 0.5) / 4)


def test_pairs_across_a_cut_do_not_count():
    zero = torch.zeros_like(TARGET)
    for starts, expected, count in [
        ([True, False, False], 0.03 / 3, 3),  # the clip's own beginning is no cut
        ([False, True, False], 0.02 / 2, 2),
        ([False, False, True], 0.01 / 1, 1),
        ([True, True, True], 0.0, 0),
    ]:
        starts = torch.tensor([starts])
        loss = temporal_gradient_loss(zero, TARGET, ALL, starts)
        assert loss.item() == pytest.approx(expected)
        assert count_temporal(TARGET, ALL, starts).item() == count


def test_each_clip_has_its_own_cuts():
    target = clip((0.0,), (0.01,)).repeat(2, 1, 1, 1, 1)
    target[1] *= 3
    mask, starts = torch.ones_like(target), torch.tensor([[True, False], [False, True]])
    assert temporal_gradient_loss(0 * target, target, mask, starts).item() == pytest.approx(0.01)


def test_pairs_with_an_invalid_pixel_do_not_count():
    target, mask = TARGET.clone(), ALL.clone()
    target[0, 1, 0, 0, 0], mask[0, 1, 0, 0, 0] = torch.nan, False
    prediction = clip((0, 0), (torch.nan, 0), (0, 0.1)).requires_grad_()
    loss = temporal_gradient_loss(prediction, target, mask)
    assert loss.item() == pytest.approx(0.1)  # the second pixel's second pair is left
    assert count_temporal(target, mask).item() == 1
    loss.backward()
    torch.testing.assert_close(prediction.grad, clip((0, 0), (0, -1), (0, 1)))


def test_a_pair_weighs_the_product_of_its_pixels():
    weights = clip((1, 1), (0.5, 0), (1, 1))
    weights[0, 2, 0, 0, 0] = 3
    # 0.01 with weight 0.5, 0.02 with weight 1.5
    loss = temporal_gradient_loss(torch.zeros_like(TARGET), TARGET, weights)
    assert loss.item() == pytest.approx((0.5 * 0.01 + 1.5 * 0.02) / 2)


@pytest.mark.parametrize("frames", [1, 3])
def test_without_pairs_it_is_zero(frames):
    prediction = (1 - TARGET[:, :frames]).requires_grad_()
    target, mask = TARGET[:, :frames], ALL[:, :frames] if frames == 1 else ~ALL
    loss = temporal_gradient_loss(prediction, target, mask)
    loss.backward()
    assert loss.item() == 0
    assert not prediction.grad.any()
    assert count_temporal(target, mask).item() == 0


@given(st.integers(0, 2**32 - 1))
def test_constant_errors_and_the_sense_of_time_do_not_matter(seed):
    prediction, target, mask, _ = random_clips(seed)
    loss = temporal_gradient_loss(prediction, target, mask, threshold=0.5)
    shifted = prediction + prediction[:, :1]
    torch.testing.assert_close(temporal_gradient_loss(shifted, target, mask, None, 0.5), loss)
    backwards = [maps.flip(1) for maps in (prediction, target, mask)]
    torch.testing.assert_close(temporal_gradient_loss(*backwards, None, 0.5), loss)
    assert temporal_gradient_loss(target + 1, target, mask, None, 0.5).item() < 1e-12


def test_gradients():
    prediction, target, mask, starts = random_clips(1)
    assert count_temporal(target, mask, starts, 0.5) > 10
    assert torch.autograd.gradcheck(
        lambda p: temporal_gradient_loss(p, target, mask, starts, 0.5),
        (prediction.requires_grad_(),),
    )


def test_half_precision_is_computed_in_float32():
    prediction = torch.zeros(1, 2, 1, 1, 1, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        loss = temporal_gradient_loss(prediction, clip((0.5,), (0.501,)).float(), prediction == 0)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(1e-3, rel=1e-4)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="a clip must be"):
        temporal_gradient_loss(*[maps[0] for maps in (TARGET, TARGET, ALL)])
    with pytest.raises(ValueError, match="one shape"):
        temporal_gradient_loss(TARGET, TARGET, ALL[:, :2])
    with pytest.raises(ValueError, match=r"starts must be \(1, 3\), got \(3,\)"):
        temporal_gradient_loss(TARGET, TARGET, ALL, torch.zeros(3, dtype=torch.bool))
    for threshold, target_range in [(0.0, 1.0), (0.05, -1.0), (float("nan"), 1.0)]:
        with pytest.raises(ValueError, match="positive"):
            count_temporal(TARGET, ALL, None, threshold, target_range)
