"""Feature distillation: the pairs of Table 3, hand values, refusals."""

from __future__ import annotations

import re

import pytest
import torch

from depth_distill_ros.errors import ConfigError
from training.losses.feature import PAIRS, block_pairs, check_pairs, feature_kd_loss


def test_presets_are_those_of_table_3():
    assert {name: set(pairs) for name, pairs in PAIRS.items()} == {
        "shallow": {("d0", "d0"), ("u2", "u3")},
        "intermediate": {("d0", "d0"), ("u2", "u3"), ("d1", "d1"), ("u1", "u2")},
        "full": {("d0", "d0"), ("u2", "u3"), ("d1", "d1"), ("u1", "u2"), ("u0", "u1")},
    }
    assert block_pairs("full") == PAIRS["full"]


def test_unknown_presets_are_refused():
    with pytest.raises(ConfigError, match="'deep'.*shallow, intermediate, full"):
        block_pairs("deep")


def test_sum_of_means_by_hand():
    student = {"d0": torch.ones(1, 2, 2, 2), "u2": torch.full((1, 1, 1, 4), 3.0)}
    teacher = {"d0": torch.zeros(1, 2, 2, 2), "u3": torch.tensor([[[[3.0, 3.0, 3.0, 7.0]]]])}
    # 1 and 16/4: the sizes of the maps do not matter
    loss = feature_kd_loss(student, teacher, PAIRS["shallow"])
    assert loss.shape == ()
    assert loss.item() == pytest.approx(5)
    assert feature_kd_loss(student, teacher, [("d0", "d0")]).item() == pytest.approx(1)


def test_gradients_reach_the_student_alone():
    generator = torch.manual_seed(0)
    a, b = (torch.randn(2, 3, 2, 2, dtype=torch.float64, generator=generator) for _ in "ab")
    teacher = b.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda student: feature_kd_loss({"d0": student}, {"d0": b.detach()}, [("d0", "d0")]),
        (a.requires_grad_(),),
    )
    feature_kd_loss({"d0": a}, {"d0": teacher}, [("d0", "d0")]).backward()
    torch.testing.assert_close(a.grad, 2 * (a - b).detach() / a.numel())
    assert teacher.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    student = {"d0": torch.full((1, 4, 2, 2), 300.0, dtype=dtype)}  # 300² overflows float16
    with torch.autocast("cpu", torch.bfloat16):
        loss = feature_kd_loss(student, {"d0": torch.zeros(1, 4, 2, 2)}, [("d0", "d0")])
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(student["d0"][0, 0, 0, 0].item() ** 2)


@pytest.mark.parametrize("check", [check_pairs, feature_kd_loss])
def test_shapes_that_differ_are_refused_with_pair_and_shapes(check):
    student = {"d0": torch.zeros(2, 8, 4, 4), "d2": torch.zeros(2, 32, 2, 2)}
    teacher = {"d0": torch.zeros(2, 8, 4, 4), "d2": torch.zeros(2, 32, 1, 1)}
    expected = re.escape("d2 ↔ d2': student (2, 32, 2, 2) and teacher (2, 32, 1, 1) differ")
    with pytest.raises(ConfigError, match=expected):
        check(student, teacher, [("d0", "d0"), ("d2", "d2")])


def test_missing_features_are_refused():
    features = {"d0": torch.zeros(1, 1, 1, 1)}
    with pytest.raises(ConfigError, match=r"u2 ↔ u3': the student has no features of u2 .*d0"):
        check_pairs(features, features, PAIRS["shallow"])
    with pytest.raises(ConfigError, match=r"d0 ↔ u1': the teacher has no features of u1"):
        check_pairs(features, features, [("d0", "u1")])
    with pytest.raises(ConfigError, match="at least one pair"):
        check_pairs(features, features, [])
