"""Several processes train as one does: real processes, which talk through gloo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.checkpoint import list_checkpoints, load_checkpoint

RECIPES = Path(__file__).parents[2] / "config" / "training"


def losses(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "losses.jsonl").read_text().splitlines()]


def assert_same_losses(one: Path, other: Path, steps: int) -> None:
    pair = losses(one), losses(other)
    assert len(pair[0]) == len(pair[1]) == steps
    for a, b in zip(*pair, strict=True):
        assert a == pytest.approx(b, abs=1e-5, rel=1e-5)


@pytest.fixture
def distill(launch, uneven_shards, tmp_path):
    """Starts a real method by its debug recipe on images with very unequal valid shares."""

    def start(command: str, name: str, *arguments: str, **options):
        recipe = ("--config", str(RECIPES / f"debug_{command}.yaml"))
        places = ("--run.output", str(tmp_path / name), "--data.folder", str(uneven_shards))
        batch = ("--run.batch_size", "4", "--run.micro_batch", "1", "--run.steps", "4")
        module = f"training.{command}"
        return launch(module, *recipe, *places, *batch, *arguments, **options)

    return start


@pytest.mark.parametrize("command", ["stage1", "stage2"])
def test_two_processes_have_the_losses_of_one(command, distill, tmp_path):
    assert distill(command, "one").wait() == [0]
    two = distill(command, "two", processes=2)
    assert two.wait() == [0, 0], two.text()
    assert_same_losses(tmp_path / "one", tmp_path / "two", steps=4)
    if command == "stage2":  # three images an epoch: the weights of the losses have moved
        states = [load_checkpoint(list_checkpoints(tmp_path / name)[-1]).state["objective"]
                  for name in ("one", "two")]  # fmt: skip
        histories = [state["weighting"]["history"] for state in states]
        assert histories[0] and sum(histories[0], []) == pytest.approx(sum(histories[1], []))


@pytest.mark.slow
@pytest.mark.parametrize("command", ["teacher", "stage1", "stage2"])
def test_sharded_processes_have_the_losses_of_one(command, distill, tmp_path):
    assert distill(command, "one").wait() == [0]
    sharded = distill(command, "sharded", processes=2, sharded=True)
    assert sharded.wait() == [0, 0], sharded.text()
    assert_same_losses(tmp_path / "one", tmp_path / "sharded", steps=4)
    folders = [list_checkpoints(tmp_path / name)[-1] for name in ("one", "sharded")]
    for part in ("weights", "optimizer"):
        a, b = (load_file(folder / f"{part}.safetensors") for folder in folders)
        assert {k: v.shape for k, v in a.items()} == {k: v.shape for k, v in b.items()}


RUN = ("--run.steps", "24", "--run.save_every", "6", "--run.ema", "0.9", "--run.micro_batch", "1")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"processes": 2}, {}),
        ({}, {"processes": 2}),
        ({"processes": 2, "sharded": True}, {}),
        ({}, {"processes": 2, "sharded": True}),
    ],
    ids=["2→1", "1→2", "2 sharded→1", "1→2 sharded"],
)
def test_a_run_resumes_with_another_number_of_processes(
    first, second, small, uneven_shards, tmp_path
):
    """Stopped by a signal to one of the processes: all of them stop after the same step."""
    data = ("--data.folder", str(uneven_shards))
    assert small("whole", *RUN, *data).wait() == [0]
    output = tmp_path / "moved"
    run = small("moved", *RUN, *data, "--pause", "0.05", **first)
    while not (output / "losses.jsonl").is_file() and run.processes[0].is_alive():
        time.sleep(0.01)
    os.kill(run.processes[-1].pid, signal.SIGTERM)
    assert set(run.wait()) == {143}, run.text()
    step = load_checkpoint(list_checkpoints(output)[-1]).step
    assert 0 < step < 24
    resumed = small("moved", *RUN, *data, "--pause", "0.05", "--resume", **second)
    assert set(resumed.wait()) == {0}, resumed.text()
    assert_same_losses(tmp_path / "whole", output, steps=24)
    folders = [list_checkpoints(tmp_path / name)[-1] for name in ("whole", "moved")]
    for part in ("weights", "averages", "optimizer"):
        a, b = (load_file(folder / f"{part}.safetensors") for folder in folders)
        assert a.keys() == b.keys() and a
        assert all(torch.allclose(a[key], b[key], atol=1e-4) for key in a)
    models = [json.loads((tmp_path / n / "model" / "weights.json").read_text())
              for n in ("whole", "moved")]  # fmt: skip
    for name, values in models[0].items():
        assert torch.allclose(torch.tensor(values), torch.tensor(models[1][name]), atol=1e-4)


def test_a_mistake_of_the_main_process_ends_all(small, tmp_path):
    assert small("run", "--run.steps", "2").wait() == [0]
    again = small("run", "--run.steps", "2", "--run.seed", "7", "--resume", processes=2)
    assert again.wait() == [2, 2]
    assert "run.seed was 42, now 7" in again.text()


def test_batches_that_cannot_be_dealt_out_are_refused(small):
    run = small("run", "--run.steps", "2", "--run.micro_batch", "3", processes=2)
    assert run.wait() == [2, 2]
    assert "multiple of 2 process(es) times 3 image(s)" in run.text()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["--multi_gpu", "--use_fsdp"])
def test_accelerate_launches_it(kind, uneven_shards, shards, tmp_path):
    """The launcher itself; without a GPU the processes it starts talk through gloo."""
    launcher = [sys.executable, "-m", "accelerate.commands.launch", kind, "--num_processes", "2"]
    quiet = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    recipe = ["--config", str(RECIPES / "debug_stage1.yaml"), "--data.folder", str(uneven_shards)]
    run = ["--run.output", str(tmp_path / "run"), "--run.steps", "2"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*launcher, *quiet, "-m", "training.stage1", *recipe, *run],
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("model: ") == 1
    assert len(losses(tmp_path / "run")) == 2
