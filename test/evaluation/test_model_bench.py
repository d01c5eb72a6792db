"""`d3epth bench` of networks: what it runs, counts and prints. Never how long it takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.model_bench import ModelBenchOptions, decoding, streaming
from depth_distill_ros.evaluation.side_by_side import (
    Comparison,
    Part,
    compare,
    describe,
    machine,
)
from depth_distill_ros.models.depth_model import DepthModel

CONVOLUTION = 2 * 9 * 4 * 8 * 6 * 10  # 3x3, 4 to 8 channels, 6x10 positions


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

    return Comparison("convolutions", (part("one", 1), part("three", 3))), calls


def test_parts_take_turns_and_their_operations_are_counted():
    comparison, calls = pair()
    lines: list[str] = []
    report = compare(comparison, rounds=4, seconds=0, say=lines.append)
    assert calls == ["one", "three"] * 5 + ["one", "three"]  # warm-up and turns; counting
    assert report["turns"] == 4 and lines == ["convolutions: one, three"]
    one, three = report["parts"]["one"], report["parts"]["three"]
    assert one["share"] == 1
    assert one["gflop"] == pytest.approx(CONVOLUTION / 1e9)
    assert three["gflop"] == pytest.approx(3 * CONVOLUTION / 1e9)
    for part in (one, three):
        low, high = part["ms_range"]
        assert 0 < low <= part["ms"] <= high


def test_turns_go_on_for_the_seconds():
    comparison, calls = pair()
    report = compare(comparison, rounds=1, seconds=0.2, say=lambda _: None)
    assert report["turns"] > 1 and len(calls) == 2 * (report["turns"] + 2)


def test_shares_read_as_fractions_or_as_what_is_added():
    part = {"ms": 12.34, "ms_range": [10.0, 20.0], "share": 1.0, "gflop": 1.5}
    parts = {"whole": part, "little": {**part, "share": 0.04}, "more": {**part, "share": 1.079}}
    report = {
        "machine": machine("cpu"),
        "comparisons": [{"title": "title", "turns": 3, "parts": parts}],
    }
    text = describe(report)
    assert f"PyTorch {torch.__version__}" in text and "title (3 turns)" in text
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert [row[-1] for row in rows] == ["1.50", "1/25.0", "+7.9%"]
    assert rows[1][:5] == ["little", "12.3", "10.0", "20.0", "1.50"]


def test_decoding_by_an_autoencoder_and_by_heads():
    comparison = decoding("cpu", side=64, preset="tiny", autoencoder="tiny", width=16)
    report = compare(comparison, rounds=1, seconds=0, say=lambda _: None)
    kl, head, temporal = (part["gflop"] for part in report["parts"].values())
    assert 0 < head < temporal < kl


def test_a_stream_runs_with_a_full_memory_and_counts_its_modules(stream_model):
    model = DepthModel.from_pretrained(stream_model)
    comparison = streaming(model, "cpu", (64, 96))
    frame = comparison.parts[1]
    assert frame.name == "3 frames remembered" and "untrained" not in comparison.title
    ages, memory = frame.arguments[1], frame.arguments[2:]
    assert torch.isfinite(ages).all() and all((kept != 0).any() for kept in memory)
    before = [kept.clone() for kept in memory]
    with torch.inference_mode():
        frame.call(*frame.arguments)
    changed = [(kept != old).any(-1).flatten(0, 3).any(0).tolist() for kept, old in
               zip(memory, before, strict=True)]  # fmt: skip
    assert changed == [[True, False, False]] * len(memory)
    report = compare(comparison, rounds=1, seconds=0, say=lambda _: None)
    alone, remembering = report["parts"].values()
    assert 1 < remembering["gflop"] / alone["gflop"] < 1.2


@pytest.mark.parametrize("preset", ["tiny", "tiny-prior"])
def test_a_model_without_a_temporal_head_gets_one(preset):
    model = DepthModel.from_preset(preset, seed=0)
    comparison = streaming(model, "cpu", (64, 96))
    assert comparison.title.endswith("untrained temporal head")
    assert comparison.parts[1].name == "15 frames remembered"
    with torch.inference_mode():
        comparison.parts[1].call(*comparison.parts[1].arguments)


@pytest.mark.parametrize("change", [{"rounds": 0}, {"seconds": -1.0}, {"threads": 0}, {"side": 40}])
def test_impossible_options_are_refused(change):
    with pytest.raises(ConfigError, match="--"):
        ModelBenchOptions(**change)


def d3epth_bench(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "depth_distill_ros.cli", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=580)


def test_a_mistake_is_one_line(tmp_path):
    result = d3epth_bench("--model", tmp_path / "absent")
    assert result.returncode == 2 and result.stderr.startswith("error: there is no model")
    result = d3epth_bench("--node", "--full")
    assert result.returncode == 2 and "not for --node" in result.stderr


@pytest.mark.slow
def test_the_command_prints_and_writes_its_numbers(stream_model, tmp_path):
    arguments = ("--model", stream_model, "--rounds", 1, "--seconds", 0, "--threads", 1)
    result = d3epth_bench(
        *arguments, "--side", 64, "--device", "cpu", "--output", tmp_path / "bench.json"
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["machine"]["threads"] == 1
    stream, decoders = report["comparisons"]
    assert "small-stream at 96x64" in stream["title"] and "decoding at 64x64" in decoders["title"]
    # At 512x512 it is 2.51 TFLOP; the attention over 8x8 latents weighs less than its share.
    assert 36 < decoders["parts"]["autoencoder kl"]["gflop"] < 2514.5 / 64
    for comparison in report["comparisons"]:
        assert comparison["title"] in result.stdout and comparison["title"] in result.stderr
