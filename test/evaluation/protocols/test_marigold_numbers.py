"""Ours against numbers that bench/marigold_metrics.py computed once from the definitions."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.evaluation.metrics import DepthErrors
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import load_definition, shipped
from depth_distill_ros.evaluation.protocols.measurement import measure
from depth_distill_ros.evaluation.protocols.predictors import SavedPredictions

NUMBERS = json.loads(Path(__file__).with_name("marigold_numbers.json").read_text("utf-8"))
TOLERANCE = 1e-6


def test_every_benchmark_has_numbers_of_every_metric():
    assert sorted(NUMBERS) == shipped("depth")
    names = {field.name for field in fields(DepthErrors)}
    for by_space in NUMBERS.values():
        assert set(by_space) == {"disparity", "depth"}
        assert all(set(numbers["mean"]) == names for numbers in by_space.values())


@pytest.mark.parametrize("space", ["disparity", "depth"])
@pytest.mark.parametrize("benchmark", sorted(NUMBERS))
def test_agrees_with_the_definitions(benchmark, space, benchmarks, predictions):
    images = open_benchmark(load_definition(benchmark), benchmarks)
    predictor = SavedPredictions(predictions / space / benchmark, space, images.names)
    measurement = measure(images, predictor)
    expected = NUMBERS[benchmark][space]
    measured = {score.image.rsplit(".", 1)[0]: score for score in measurement.scores}
    assert set(measured) == set(expected["images"])
    for image, errors in expected["images"].items():
        assert asdict(measured[image].errors) == pytest.approx(errors, abs=TOLERANCE, rel=0)
        assert measured[image].coverage == 1.0
    assert asdict(measurement.mean) == pytest.approx(expected["mean"], abs=TOLERANCE, rel=0)


def test_the_predictions_hold_what_the_protocol_has_rules_for(predictions):
    for benchmark in NUMBERS:
        for path in (predictions / "disparity" / benchmark).rglob("*.npy"):
            assert np.load(path).min() == 0.0


@pytest.mark.slow
def test_the_script_computes_the_stored_numbers(tmp_path):
    script = Path(__file__).resolve().parents[3] / "bench" / "marigold_metrics.py"
    command = [sys.executable, str(script), "--output", str(tmp_path / "numbers.json")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    computed = json.loads((tmp_path / "numbers.json").read_text("utf-8"))
    for benchmark, by_space in NUMBERS.items():
        for space, numbers in by_space.items():
            assert computed[benchmark][space]["mean"] == pytest.approx(numbers["mean"], abs=1e-9)
