"""Where time and memory go: spans add up, memory is what tensors take, the table says both."""

from __future__ import annotations

import dataclasses
import re
import sys
from pathlib import Path

import pytest
import torch

from depth_distill_ros.errors import ConfigError
from training.memory import GIB, MemoryUse, peak_resident, reset_peak, resident
from training.profile import COMMANDS, Profile, find_command, main, recipe_class
from training.timing import PHASES, Recorder, recording, span

RECIPES = Path(__file__).parents[2] / "config" / "training"


def test_spans_exclude_those_inside_them():
    now = iter([0.0, 1.0, 3.0, 7.0, 8.0, 9.0])
    recorder = Recorder(clock=lambda: next(now))
    recorder.enter("loss")  # 0
    recorder.enter("teacher")  # 1
    recorder.leave()  # 3
    recorder.leave()  # 7
    recorder.enter("teacher")  # 8
    recorder.leave()  # 9
    assert recorder.seconds == {"loss": 5.0, "teacher": 3.0}


def test_spans_are_recorded_only_inside_a_recording_and_end_with_errors():
    with span("data"):
        pass
    with recording() as recorder:
        with pytest.raises(ValueError), span("data"):
            raise ValueError
        with span("loss"):
            pass
    with span("teacher"):
        pass
    assert set(recorder.seconds) == {"data", "loss"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_a_recipe_is_found_by_name_or_keys(command):
    assert find_command(RECIPES / f"debug_{command}.yaml") == command
    keys = {field.name for field in dataclasses.fields(recipe_class(command))}
    assert {"run", "data", "speed"} < keys
    if command in ("stage1", "stage2"):
        assert find_command(RECIPES / f"d3epth_{command}.yaml") == command


def test_other_files_are_no_recipes(tmp_path):
    (tmp_path / "x.yaml").write_text("wheels: 4\n")
    for name in ("x.yaml", "absent.yaml"):
        with pytest.raises(ConfigError):
            find_command(tmp_path / name)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_resident_memory_sees_what_is_allocated_and_freed():
    before = resident()
    block = torch.ones(64 << 20, dtype=torch.uint8)
    assert resident() - before > 60 << 20
    del block
    reset_peak(torch.device("cpu"))
    assert peak_resident() <= before + (32 << 20)


def test_the_table_says_what_fits():
    use = MemoryUse(4 * GIB, 5 * GIB, 2 * GIB, 4 * GIB, peak=20 * GIB)
    assert use.activations == 5 * GIB and use.fits
    phases = {"data": 0.5, "teacher": 1.0}
    text = Profile(8, 2.0, phases, [use, dataclasses.replace(use, peak=24 * GIB)], "cuda").table()
    rows = dict(re.findall(r"^(\w+)[^\d\n]* ([\d.]+)", text, re.MULTILINE))
    assert (rows["data"], rows["other"], rows["total"]) == ("0.500", "0.500", "2.000")
    assert "4 images/s" in text and "20.00, 24.00" in text
    assert "does not fit a 24 GB GPU: 24.50 of 24 GiB" in text


def test_the_command_prints_time_memory_and_the_verdict(shards, capsys):
    recipe = RECIPES / "debug_stage1.yaml"
    small = ["--data.folder", str(shards), "--data.render", "0", "--run.batch_size", "4"]
    measured = ["--steps", "1", "--warmup", "1", "--run.micro_batch", "2"]
    assert main(["--recipe", str(recipe), *small, *measured]) == 0
    text = capsys.readouterr().out
    shares = {name: float(share) for name, share in re.findall(r"(\w+) +[\d.]+ +([\d.]+)%", text)}
    assert set(shares) == {*PHASES, "other"}
    assert sum(shares.values()) == pytest.approx(100, abs=1)
    assert all(shares[name] > 0 for name in ("data", "encode", "teacher", "student", "backward"))
    assert "images/s (4 a step)" in text and "fits a 24 GB GPU" in text
    trained = float(re.search(r"gradients +([\d.]+)", text)[1])
    assert trained == pytest.approx(7.25e6 * 4 / GIB, abs=0.01)  # the tiny student


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--recipe", "absent.yaml"), "absent.yaml"),
        (("--recipe", str(RECIPES / "debug_stage1.yaml"), "--steps", "0"), "--steps"),
        (
            ("--recipe", str(RECIPES / "debug_stage1.yaml"), "--steps", "1", "--warmup", "0"),
            "both together 2",
        ),
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, message, capsys):
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err.strip()
    assert error.startswith("error: ") and message in error and "\n" not in error
