"""Affinity: similarities by hand, what does not matter, common grids, positions without features."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.losses.affinity import affinity_loss


def features(*positions: tuple[float, ...]) -> torch.Tensor:
    """(1, C, 1, w) with one vector a position."""
    return torch.tensor(positions, dtype=torch.float64).T[None, :, None]


def random_features(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.manual_seed(seed))


def test_by_hand():
    # student: at right angles; teacher: at 45°, in three channels
    student, teacher = features((2, 0), (0, 3)), features((1, 0, 0), (1, 1, 0))
    loss = affinity_loss(student, teacher)
    assert loss.shape == ()
    assert loss.item() == pytest.approx(2 * math.cos(math.pi / 4) ** 2 / 4)
    # opposite against alike, in two of the four terms
    assert affinity_loss(features((1,), (-1,)), features((1,), (1,))).item() == pytest.approx(2)


def test_a_batch_is_averaged_and_its_items_are_not_compared():
    student = torch.cat([features((1, 0), (0, 1)), features((1, 0), (1, 0))])
    teacher = torch.cat([features((1, 0), (1, 0)), features((5, 5), (5, 5))])
    assert affinity_loss(student, teacher).item() == pytest.approx((2 / 4 + 0) / 2)


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_rotations_and_lengths_of_features_do_not_matter(seed, scale):
    student, teacher = random_features(seed, 2, 3, 4, 5), random_features(seed + 1, 2, 6, 4, 5)
    loss = affinity_loss(student, teacher)
    assert 0 < loss.item() <= 4
    lengths = scale * (1 + random_features(seed, 2, 1, 4, 5).abs())
    rotation = torch.linalg.qr(random_features(seed, 3, 3)).Q
    turned = torch.einsum("dc,bchw->bdhw", rotation, student) * lengths
    torch.testing.assert_close(affinity_loss(turned, teacher), loss)
    assert affinity_loss(turned, student).item() < 1e-20


def test_parts_of_equal_size_average_to_the_whole():
    student, teacher = random_features(0, 4, 3, 4, 4), random_features(1, 4, 2, 4, 4)
    parts = [affinity_loss(s, t) for s, t in zip(student.split(2), teacher.split(2), strict=True)]
    torch.testing.assert_close(sum(parts) / 2, affinity_loss(student, teacher))


@pytest.mark.parametrize(
    "ours, theirs, grid, cells",
    [((4, 6), (8, 12), 32, (4, 6)), ((4, 6), (2, 12), 32, (2, 6)), ((4, 6), (8, 12), 2, (2, 2))],
)
def test_both_are_averaged_to_one_grid_no_finer_than_either(ours, theirs, grid, cells):
    student, teacher = random_features(0, 1, 3, *ours), random_features(1, 1, 5, *theirs)
    pooled = []
    for maps in (student, teacher):  # these sizes divide evenly: plain block means
        height, width = maps.shape[-2] // cells[0], maps.shape[-1] // cells[1]
        blocks = maps.unflatten(3, (cells[1], width)).unflatten(2, (cells[0], height))
        pooled.append(blocks.mean(dim=(3, 5)))
    torch.testing.assert_close(affinity_loss(student, teacher, grid), affinity_loss(*pooled))


def test_positions_without_features_are_alike_to_nothing_and_get_no_gradient():
    student = features((0, 0), (1, 0), (0, 0)).requires_grad_()
    loss = affinity_loss(student, features((1, 0), (1, 0), (0, 0)))
    assert loss.item() == pytest.approx(3 / 9)  # the first with itself and, twice, the second
    loss.backward()
    assert student.grad.isfinite().all()
    assert not student.grad[..., [0, 2]].any()
    empty = torch.zeros(1, 2, 3, 3, requires_grad=True)
    affinity_loss(empty, empty).backward()
    assert not empty.grad.any()


def test_gradients_reach_the_student_alone():
    student, teacher = random_features(2, 2, 3, 3, 5), random_features(3, 2, 4, 6, 4)
    assert torch.autograd.gradcheck(
        lambda maps: affinity_loss(maps, teacher, 3), (student.requires_grad_(),)
    )
    teacher.requires_grad_()
    affinity_loss(student, teacher).backward()
    assert teacher.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    student = torch.full((1, 4, 2, 2), 300.0, dtype=dtype)  # 300² overflows float16
    with torch.autocast("cpu", torch.bfloat16):
        loss = affinity_loss(student, torch.ones(1, 2, 2, 2))
    assert loss.dtype == torch.float32
    assert loss.item() < 1e-12


def test_maps_that_cannot_be_compared_are_refused():
    maps = torch.ones(2, 3, 4, 4)
    with pytest.raises(ValueError, match=r"one B, got \(2, 3, 4, 4\) and \(1, 3, 4, 4\)"):
        affinity_loss(maps, maps[:1])
    with pytest.raises(ValueError, match="one B"):
        affinity_loss(maps[0], maps[0])
    with pytest.raises(ValueError, match="grid"):
        affinity_loss(maps, maps, 0)
