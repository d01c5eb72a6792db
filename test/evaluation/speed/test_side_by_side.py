"""Parts that take turns: what is called and counted, and what is printed. Never how long it takes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from depth_distill_ros.evaluation.speed.roofline import machine
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part, compare, count_flops
from depth_distill_ros.evaluation.speed.text import describe

CONVOLUTION = 2 * 9 * 4 * 8 * 6 * 10  # 3x3, 4 to 8 channels, 6x10 positions
WEIGHTS = 9 * 4 * 8 + 8


def quietly(line: str) -> None:
    """Takes a line about the progress."""


def pair() -> tuple[Comparison, list[str]]:
    """A convolution, and three of them; and the calls that are made."""
    calls: list[str] = []
    network = nn.Conv2d(4, 8, 3, padding=1)
    x = torch.zeros(1, 4, 6, 10)

    def part(name: str, times: int) -> Part:
        def call(x: torch.Tensor) -> None:
            calls.append(name)
            for _ in range(times):
                network(x)

        return Part(name, call, (x,), (network,))

    ratios = {"three_over_one": ("three", "one"), "one_over_three": ("one", "three")}
    return Comparison("convolutions", (part("one", 1), part("three", 3)), ratios), calls


def test_parts_take_turns_and_their_operations_are_counted():
    comparison, calls = pair()
    lines: list[str] = []
    report = compare(comparison, rounds=4, seconds=0, say=lines.append)
    counted = ["one", "three"]
    # Memory, part by part; a turn that does not count; four that do; counting
    assert calls == ["one", "three"] + ["one", "three"] * 5 + counted
    assert report["turns"] == 4 and lines == ["convolutions: one; three"]
    one, three = report["parts"]["one"], report["parts"]["three"]
    assert one["share"] == 1
    assert one["gflop"] == pytest.approx(CONVOLUTION / 1e9)
    assert three["gflop"] == pytest.approx(3 * CONVOLUTION / 1e9)
    for part in (one, three):
        low, high = part["ms_range"]
        assert 0 < low <= part["ms"] <= high
        assert part["parameters"] == WEIGHTS
        assert part["weights_mb"] == pytest.approx(4e-6 * WEIGHTS)


def test_turns_go_on_for_the_seconds():
    comparison, calls = pair()
    report = compare(comparison, rounds=1, seconds=0.2, say=quietly)
    assert report["turns"] > 1 and len(calls) == 2 * (report["turns"] + 3)


def test_ratios_are_those_of_the_turns():
    comparison, _ = pair()
    report = compare(comparison, rounds=5, seconds=0, say=quietly)
    ratio, other = (report["ratios"][name] for name in ("three_over_one", "one_over_three"))
    assert ratio["median"] == pytest.approx(report["parts"]["three"]["share"])
    assert ratio["median"] == pytest.approx(1 / other["median"])  # of an odd number of turns
    assert ratio["min"] == pytest.approx(1 / other["max"])
    assert ratio["min"] <= ratio["median"] <= ratio["max"]
    assert (ratio["of"], ratio["precision"]) == ("three / one", "fp32")


def test_attention_is_counted():
    tokens = torch.zeros(1, 2, 30, 8)
    part = Part("attention", lambda q: F.scaled_dot_product_attention(q, q, q), (tokens,))
    assert count_flops(part) == 2 * (2 * 2 * 30 * 30 * 8)  # two products, two heads


def test_what_is_no_function_of_tensors_is_counted_by_its_model():
    network = nn.Linear(20, 30, bias=False)
    array = np.zeros((5, 20), np.float32)
    model = Part("same", network, (torch.zeros(5, 20),), (network,))
    engine = Part("engine", lambda x: x @ x.T, (array,), model=model)
    unknown = Part("unknown", lambda x: x + 1, (array,))
    comparison = Comparison("arrays", (engine, unknown))
    parts = compare(comparison, 1, 0, quietly)["parts"]
    assert parts["engine"]["gflop"] == pytest.approx(2 * 5 * 20 * 30 / 1e9)
    assert parts["engine"]["parameters"] == 600
    for fact in ("gflop", "parameters", "weights_mb", "memory_mb"):
        assert parts["unknown"][fact] is None


def report_of(parts: dict[str, dict], **more) -> dict:
    """A report of one comparison."""
    comparison = {"title": "title", "turns": 3, "precision": "fp32", "parts": parts}
    return {"machine": machine("cpu"), "comparisons": [comparison], **more}


def test_shares_read_as_fractions_as_what_is_added_or_as_multiples():
    known = {"gflop": 1.5, "parameters": 2_500_000, "memory_mb": 12.4, "roofline": 0.256}
    part = {"ms": 12.34, "ms_range": [10.0, 20.0], "share": 1.0, "joules": None, **known}
    shares = {"whole": 1.0, "little": 0.04, "more": 1.079, "much": 12.34}
    parts = {name: {**part, "share": share} for name, share in shares.items()}
    text = describe(report_of(parts))
    assert f"PyTorch {torch.__version__}" in text and "title (3 turns, fp32)" in text
    header, *rows = [line.split() for line in text.splitlines()[-5:]]
    assert [row[-1] for row in rows[1:]] == ["1/25.0", "+7.9%", "12.3x"]
    assert rows[1][:9] == "little 12.3 10.0 20.0 81.0 1.50 2.50 12 26%".split()
    assert "J" not in header  # no device told


def test_the_roofline_and_the_ratios_are_printed():
    ratio = {"median": 8.123, "min": 7.0, "max": 9.5, "of": "teacher / student"}
    text = describe(
        report_of(
            {},
            roofline={"bf16": {"gflop_per_s": 412.3, "gb_per_s": 20.04}},
            ratios={"teacher_over_student": {**ratio, "precision": "bf16"}},
        )
        | {"comparisons": []}
    )
    assert "roofline bf16: 412 GFLOP/s" in text and "20.0 GB/s" in text
    words = text.splitlines()[-1].split()
    assert words == "teacher_over_student 8.12 7.00 9.50 bf16 teacher / student".split()
