"""A run cannot be lost: signals, sudden death, NaN, a full disk; real processes, real signals."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.checkpoint import list_checkpoints, load_checkpoint


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def assert_same_end(one: Path, other: Path) -> None:
    last = [list_checkpoints(run)[-1] for run in (one, other)]
    assert last[0].name == last[1].name
    for part in ("weights", "optimizer", "averages"):
        a, b = (load_file(folder / f"{part}.safetensors") for folder in last)
        assert a.keys() == b.keys() and len(a) > 0
        assert all(torch.equal(a[key], b[key]) for key in a)
    states = [json.loads((folder / "state.json").read_text()) for folder in last]
    assert states[0]["objective"] == states[1]["objective"]
    models = [(run / "model" / "weights.json").read_text() for run in (one, other)]
    assert models[0] == models[1]
    losses = [(run / "losses.jsonl").read_text() for run in (one, other)]
    assert losses[0] == losses[1]


RUN = ("--run.steps", "30", "--run.save_every", "10", "--run.ema", "0.9")


@pytest.fixture
def whole(small, tmp_path) -> Path:
    """The run as it is when nothing happens."""
    assert small("whole", *RUN).wait() == [0]
    return tmp_path / "whole"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_saves_and_the_resumed_run_is_the_same(number, status, small, whole, tmp_path):
    output = tmp_path / "stopped"
    run = small("stopped", *RUN, "--pause", "0.05")
    wait_for((output / "losses.jsonl").is_file)
    os.kill(run.processes[0].pid, number)
    assert run.wait() == [status]
    step = load_checkpoint(list_checkpoints(output)[-1]).step
    assert 0 < step < 30
    assert f"stopped after step {step}" in run.text() and "--resume" in run.text()
    assert small("stopped", *RUN, "--pause", "0.05", "--resume").wait() == [0]
    assert_same_end(whole, output)


@pytest.mark.slow  # a loader worker imports torch anew
def test_workers_do_not_hear_a_signal_to_the_whole_group(small, whole, shards, tmp_path):
    """A terminal sends SIGINT to all processes of a command; the step still needs its images."""
    output = tmp_path / "stopped"
    places = ("--run.output", str(output), "--data.folder", str(shards), "--data.size", "[32, 64]")
    options = ("--run.batch_size", "4", "--run.log_every", "1", "--run.workers", "1", *RUN)
    command = [sys.executable, str(Path(__file__).parent / "small_run.py"), *places, *options]
    run = subprocess.Popen(
        [*command, "--pause", "0.05"], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    wait_for((output / "losses.jsonl").is_file)
    os.killpg(run.pid, signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130 and "Traceback" not in errors, errors
    assert small("stopped", *RUN, "--pause", "0.05", "--resume").wait() == [0]
    assert_same_end(whole, output)


def _saved_steps(output: Path) -> list[str]:
    return [folder.name for folder in list_checkpoints(output)]


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.slow)])
def test_a_killed_run_goes_on_as_if_nothing_had_happened(kills, small, tmp_path):
    """Steps take no time here, so most kills hit a checkpoint that is being written or removed."""
    steps = ("--run.steps", str(15 * kills), "--run.save_every", "1", "--run.ema", "0.9")
    options, rng = (*steps, "--ballast", "300000"), random.Random(0)
    assert small("whole", *options).wait() == [0]
    output = tmp_path / "killed"
    for _ in range(kills):
        before = _saved_steps(output)
        run = small("killed", *options, "--resume")
        wait_for(lambda seen=before: _saved_steps(output) != seen)
        time.sleep(rng.uniform(0.0, 0.05))  # a few steps more, in the middle of one
        run.processes[0].kill()
        assert run.wait() == [-signal.SIGKILL]
        for folder in list_checkpoints(output):  # what has its name is whole
            assert load_checkpoint(folder).step == int(folder.name.removeprefix("step-"))
    assert small("killed", *options, "--resume").wait() == [0]
    assert_same_end(tmp_path / "whole", output)
    assert not list((output / "checkpoints").glob(".*"))


def test_what_a_killed_process_left_is_removed(small, tmp_path):
    for name in (".writing-abc", ".removing-def"):
        folder = tmp_path / "run" / "checkpoints" / name
        folder.mkdir(parents=True)
        (folder / "weights.safetensors").write_bytes(b"half")
    assert small("run", "--run.steps", "2").wait() == [0]
    names = [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()]
    assert names == ["step-00000002"]


@pytest.mark.parametrize("what", ["nan_at", "nan_gradient_at"])
def test_what_is_not_finite_stops_the_run_and_is_named(what, small, tmp_path):
    run = small("run", "--run.steps", "20", "--run.save_every", "6", f"--{what}", "15",
                "--run.micro_batch", "2")  # fmt: skip
    assert run.wait() == [2]
    error = run.text().strip().splitlines()[-1]
    assert error.startswith("error: ") and "step 8" in error and "step-00000006" in error
    report = json.loads((tmp_path / "run" / "not-finite.json").read_text())
    assert report["step"] == 8 and len(report["micro_batches"]) == 2
    guilty = report["micro_batches"][0]["samples"]
    assert len(guilty) == 2 and all(re.fullmatch(r"shard-0000\d/\d+", name) for name in guilty)
    assert all(name in error for name in guilty)
    saved = load_checkpoint(list_checkpoints(tmp_path / "run")[-1])
    assert saved.step == 6
    assert all(tensor.isfinite().all() for tensor in saved.weights.values())


def test_a_file_that_cannot_be_written_leaves_the_checkpoint_before(small, tmp_path):
    """A limit on the size of files, as a quota is: weights fit in it, the optimiser's do not."""
    output = tmp_path / "run"
    options = ("--run.steps", "9", "--ballast", "10000", "--pause", "0.1")
    first = small("run", *options, "--run.save_every", "2")
    wait_for(lambda: list_checkpoints(output))
    os.kill(first.processes[0].pid, signal.SIGTERM)
    assert first.wait() == [143]
    before = list_checkpoints(output)
    size = (before[-1] / "optimizer.safetensors").stat().st_size
    run = small("run", *options, "--run.save_every", "1", "--resume", file_limit=size - 1)
    assert run.wait() == [2]
    error = run.text().strip().splitlines()[-1]
    assert "cannot be written" in error and before[-1].name in error and "--resume" in error
    assert list_checkpoints(output) == before
    assert load_checkpoint(before[-1]).step > 0
    assert not list((output / "checkpoints").glob(".*"))
    assert small("run", *options, "--resume").wait() == [0]


def test_two_runs_do_not_share_a_folder(small, tmp_path):
    run = small("run", "--run.steps", "100", "--pause", "0.1")
    wait_for((tmp_path / "run" / "losses.jsonl").is_file)
    other = small("run", "--run.steps", "100", "--resume")
    assert other.wait() == [2]
    assert "another process is training" in other.text()
    os.kill(run.processes[0].pid, signal.SIGKILL)
    assert run.wait() == [-9]
