"""A CPU that would emulate bfloat16 trains in float32, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from training import precision, prior
from training.config import CommonConfig, RunConfig, SpeedConfig

RECIPE = Path(__file__).parents[2] / "config" / "training" / "debug_prior.yaml"


def recipe(mixed: str, frozen: str = "float32") -> CommonConfig:
    run = RunConfig(output="runs/one", steps=7, mixed_precision=mixed)
    return CommonConfig(run=run, speed=SpeedConfig(frozen_dtype=frozen, channels_last=True))


@pytest.fixture
def old_cpu(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda device_type: device_type != "cpu")


@pytest.mark.parametrize(
    ("mixed", "frozen", "mixed_there", "frozen_there"),
    [
        ("bf16", "float32", "no", "float32"),
        ("bf16", "bfloat16", "no", "float32"),
        ("no", "bfloat16", "no", "float32"),
        ("fp16", "float16", "fp16", "float16"),
        ("no", "float32", "no", "float32"),
    ],
)
def test_only_bfloat16_is_given_up(old_cpu, mixed, frozen, mixed_there, frozen_there):
    asked = recipe(mixed, frozen)
    assert precision.suited(asked, "cpu") == recipe(mixed_there, frozen_there)
    assert precision.suited(asked, "cuda") == asked


def test_gpus_are_not_asked():
    assert precision.has_bfloat16("cuda")


def test_a_cpu_is_asked_for_its_instructions():
    known = Path("/proc/cpuinfo")
    flags = known.read_text().split() if known.is_file() else []
    if "avx2" not in flags:
        pytest.skip("no x86 of the last ten years, or no Linux")
    able = any(flag in flags for flag in ("avx512bw", "avx_ne_convert"))
    assert precision.has_bfloat16("cpu") == able


def test_a_command_says_what_it_does_instead(old_cpu, shards, tmp_path, capsys):
    arguments = ["--config", str(RECIPE), "--run.output", str(tmp_path), "--run.steps", "1"]
    arguments += ["--data.folder", str(shards), "--run.mixed_precision"]
    assert prior.main([*arguments, "bf16"]) == 0
    assert "training in float32" in capsys.readouterr().out
    assert prior.main([*arguments, "no", "--run.output", str(tmp_path / "exact")]) == 0
    assert "float32" not in capsys.readouterr().out
