"""The roofline: its arithmetic, and that this device has one."""

from __future__ import annotations

import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.roofline import (
    Roofline,
    choose_precision,
    machine,
    measure_roofline,
)


def test_the_slower_of_computing_and_reading_counts():
    roof = Roofline("fp32", operations=100e9, bandwidth=10e9)
    assert roof.seconds(50e9, 1_000_000_000) == pytest.approx(0.5)
    assert roof.seconds(50e9, 20_000_000_000) == pytest.approx(2.0)


def test_the_share_that_a_part_reaches():
    roof = Roofline("fp32", operations=100e9, bandwidth=10e9)
    part = {
        "gflop": 20.0,
        "weights_mb": 500.0,
        "ms": 400.0,
    }  # 0.2 s of computing, 0.05 s of reading
    assert roof.reached(part) == pytest.approx(0.5)
    assert roof.reached({**part, "weights_mb": 3000.0}) == pytest.approx(0.75)
    assert roof.reached({**part, "gflop": None}) is None


def test_the_best_of_two_measurements():
    quiet = Roofline("fp32", operations=100e9, bandwidth=8e9)
    assert quiet.best(None) == quiet
    assert quiet.best(Roofline("fp32", 60e9, 9e9)) == Roofline("fp32", 100e9, 9e9)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_device_is_measured(precision):
    roof = measure_roofline("cpu", precision, (128, 2**20))
    assert roof.precision == precision
    assert roof.operations > 1e6 and roof.bandwidth > 1e6


def test_a_precision_is_chosen_or_taken():
    assert choose_precision("fp16", "cpu") == "fp16"
    assert choose_precision("auto", "cuda:0") == "bf16"
    assert choose_precision("auto", "cpu") in ("bf16", "fp32")
    with pytest.raises(ConfigError, match="no precision 'int4': use auto"):
        choose_precision("int4", "cpu")


def test_facts_of_a_machine():
    facts = machine("cpu")
    assert facts["gpu"] is None and facts["threads"] > 0 and facts["cpu"]
    assert facts["diffusers"] and "onnxruntime" in facts
