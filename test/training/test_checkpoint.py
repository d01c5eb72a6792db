"""Checkpoints are whole or absent, and the disk is asked before any is touched."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from training.checkpoint import (
    Checkpoint,
    CheckpointError,
    list_checkpoints,
    load_checkpoint,
    remove_unfinished,
    save_checkpoint,
)


def checkpoint(step: int, size: int = 10) -> Checkpoint:
    values = torch.arange(size, dtype=torch.float32) + step
    return Checkpoint(
        step=step,
        weights={"a.weight": values, "a.count": torch.tensor(step)},
        optimizer={"a.weight/exp_avg": values / 2, "a.weight/step": torch.tensor(float(step))},
        state={"recipe": {"name": "ü"}, "epoch_sums": {"loss": 0.1}},
    )


def test_what_is_saved_comes_back(tmp_path):
    folder = save_checkpoint(tmp_path, checkpoint(7))
    again = load_checkpoint(folder)
    assert folder.name == "step-00000007" and again.step == 7
    assert again.state == checkpoint(7).state and again.averages == {}
    for part in ("weights", "optimizer"):
        saved, found = getattr(checkpoint(7), part), getattr(again, part)
        assert saved.keys() == found.keys()
        assert all(torch.equal(saved[key], found[key]) for key in saved)


def test_the_newest_two_are_kept_and_nothing_else_lies_about(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, checkpoint(step))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000002", "step-00000003"]


def test_a_finished_checkpoint_is_not_written_again(tmp_path):
    folder = save_checkpoint(tmp_path, checkpoint(1))
    before = (folder / "weights.safetensors").stat().st_ino
    save_checkpoint(tmp_path, checkpoint(1))
    assert (folder / "weights.safetensors").stat().st_ino == before


def test_left_overs_are_no_checkpoints_and_go(tmp_path):
    save_checkpoint(tmp_path, checkpoint(1))
    for prefix in (".writing-", ".removing-"):
        (tmp_path / "checkpoints" / f"{prefix}x").mkdir()
    assert [folder.name for folder in list_checkpoints(tmp_path)] == ["step-00000001"]
    remove_unfinished(tmp_path)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-00000001"]


@contextlib.contextmanager
def file_limit(size):
    """Limits how large a file may become; Python and safetensors then see a failing write.

    No longer than a moment: the log that pytest itself writes to may be larger.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_write_that_fails_leaves_what_was_there(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, checkpoint(step))
    refused = "step 3 cannot be written.*step-00000002 is whole"
    with file_limit(20_000), pytest.raises(CheckpointError, match=refused):
        save_checkpoint(tmp_path, checkpoint(3, size=10_000))
    names = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert names == ["step-00000001", "step-00000002"]
    assert load_checkpoint(list_checkpoints(tmp_path)[-1]).step == 2


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user may not mount a small file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int) -> Path:
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    (folder / "filler").write_bytes(bytes(free - leave))
    return folder / "filler"


def test_a_full_disk_is_said_before_anything_is_touched(small_disk):
    folders = [save_checkpoint(small_disk, checkpoint(step)) for step in (1, 2)]
    before = [path.stat().st_mtime_ns for folder in folders for path in folder.iterdir()]
    filler = fill(small_disk, leave=1_500_000)
    large = checkpoint(3, size=400_000)  # 3.2 MB
    with pytest.raises(CheckpointError, match="is full.*4.2 MB more, 1.5 MB are free.*00002"):
        save_checkpoint(small_disk, large)
    assert list_checkpoints(small_disk) == folders
    assert [p.stat().st_mtime_ns for folder in folders for p in folder.iterdir()] == before
    filler.unlink()
    save_checkpoint(small_disk, large)
    assert load_checkpoint(list_checkpoints(small_disk)[-1]).step == 3


def test_a_run_says_at_its_start_that_the_disk_is_too_small(small, small_disk):
    run = small("", "--run.steps", "5", "--run.output", str(small_disk / "run"),
                "--ballast", "500000")  # fmt: skip
    assert run.wait() == [2]  # 6 MB each: two are kept while a third is written
    assert "is full: checkpoints need 19.1 MB more" in run.text()
    assert not list_checkpoints(small_disk / "run")


def test_a_disk_that_fills_up_during_a_run_costs_nothing_saved(small, small_disk):
    options = ("--run.steps", "40", "--run.output", str(small_disk / "run"), "--pause", "0.05")
    options += ("--ballast", "100000", "--run.save_every", "3")
    run = small("", *options)
    while not list_checkpoints(small_disk / "run") and run.processes[0].is_alive():
        time.sleep(0.01)
    os.kill(run.processes[0].pid, signal.SIGSTOP)  # nothing is written while it fills
    filler = fill(small_disk, leave=200_000)
    os.kill(run.processes[0].pid, signal.SIGCONT)
    assert run.wait() == [2], run.text()
    error = run.text().strip().splitlines()[-1]
    assert "full" in error or "No space left" in error
    assert "--resume" in error
    found = list_checkpoints(small_disk / "run")
    assert load_checkpoint(found[-1]).step >= 3
    filler.unlink()
    assert small("", *options, "--resume").wait() == [0]
    assert load_checkpoint(list_checkpoints(small_disk / "run")[-1]).step == 40
