"""The command `d3epth bench` of networks."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.run import SpeedOptions


@pytest.mark.parametrize(
    "change",
    [{"rounds": 0}, {"seconds": -1.0}, {"threads": 0}, {"side": 40}],
)
def test_impossible_options_are_refused(change):
    with pytest.raises(ConfigError, match="--"):
        SpeedOptions(**change)


def test_an_unknown_comparison_is_refused():
    with pytest.raises(ConfigError, match="no comparison 'weights': use model, streams"):
        SpeedOptions(only=("decoding", "weights"))


def d3epth_bench(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "depth_distill_ros.cli", "bench", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=580)


def test_a_mistake_is_one_line(tmp_path):
    result = d3epth_bench("--model", tmp_path / "absent")
    assert result.returncode == 2 and result.stderr.startswith("error: there is no model")
    for option in (["--full"], ["--threads", 2], ["--only", "peers"], ["--plot", "a.png"]):
        result = d3epth_bench("--node", *option)
        assert result.returncode == 2 and f"{option[0]} is not for --node" in result.stderr


@pytest.mark.slow
def test_the_command_prints_and_writes_its_numbers(stream_model, tmp_path):
    arguments = ("--model", stream_model, "--rounds", 1, "--seconds", 0, "--threads", 1)
    result = d3epth_bench(
        *arguments, "--side", 64, "--device", "cpu", "--json", tmp_path / "bench.json"
    )
    assert result.returncode == 0, result.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    assert report["machine"]["threads"] == 1
    assert report["precision"] in report["roofline"]
    whole, stream, decoders = report["comparisons"]
    assert "an image of 640x480" in whole["title"]
    assert "small-stream at 96x64" in stream["title"] and "decoding at 64x64" in decoders["title"]
    # At 512x512 it is 2.51 TFLOP; the attention over 8x8 latents weighs less than its share.
    assert 36 < decoders["parts"]["autoencoder kl"]["gflop"] < 2514.5 / 64
    assert report["ratios"]["kl_decoder_over_head"]["median"] > 1
    for comparison in report["comparisons"]:
        assert comparison["title"] in result.stdout and comparison["title"] in result.stderr
