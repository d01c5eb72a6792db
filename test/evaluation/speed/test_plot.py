"""The picture of `d3epth bench --plot`."""

from __future__ import annotations

import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.plot import plot
from depth_distill_ros.evaluation.speed.roofline import machine

pytest.importorskip("matplotlib")


def report(whole: bool) -> dict:
    """Two networks."""
    part = {"ms": 50.0, "ms_range": [40.0, 70.0], "gflop": 12.0, "parameters": 1_000_000}
    parts = {"one": part, "two": {**part, "ms": 60.0, "parameters": 3_000_000}}
    return {
        "machine": machine("cpu"),
        "precision": "fp32",
        "roofline": {"fp32": {"gflop_per_s": 100.0, "gb_per_s": 10.0}},
        "comparisons": [{"whole": whole, "parts": parts}],
    }


def test_whole_networks_are_drawn(tmp_path):
    plot(report(whole=True), tmp_path / "new" / "speed.svg")
    text = (tmp_path / "new" / "speed.svg").read_text()
    assert "<!-- one -->" in text and "<!-- parameters, million -->" in text


def test_parts_alone_are_not(tmp_path):
    with pytest.raises(ConfigError, match="nothing to plot"):
        plot(report(whole=False), tmp_path / "speed.png")


def test_an_unknown_kind_of_picture(tmp_path):
    with pytest.raises(ConfigError, match="speed.doc cannot be drawn"):
        plot(report(whole=True), tmp_path / "speed.doc")
