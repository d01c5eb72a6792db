"""Samples that cannot be read: replaced, counted, listed, and too many of them end a run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from depth_distill_ros.errors import DataError
from training.checkpoint import list_checkpoints, load_checkpoint
from training.data.batches import Skip
from training.records import Records, SkipLedger

RUN = ("--data.kind", "frames", "--run.steps", "16", "--run.save_every", "5")


@pytest.fixture(scope="module")
def damaged(make_sequence, tmp_path_factory) -> Path:
    """12 real image files, the sixth of which is cut short."""
    folder = make_sequence(tmp_path_factory.mktemp("frames") / "room", frames=12)
    image = folder / "rgb" / "000005.png"
    image.write_bytes(image.read_bytes()[:100])
    return folder


def listed(output: Path) -> list[dict]:
    return Records(output / "skipped.jsonl").read()


@pytest.fixture
def whole(small, damaged, tmp_path) -> Path:
    run = small("whole", *RUN, "--data.folder", str(damaged), "--run.max_skipped", "0.3")
    assert run.wait() == [0], run.text()
    return tmp_path / "whole"


def test_skipped_samples_are_replaced_and_listed(whole):
    found = listed(whole)
    assert len(found) in (5, 6)  # the run is five epochs and a third
    assert {record["sample"] for record in found} == {"room/000005"}
    assert {record["instead"] for record in found} == {"room/000006"}
    assert all("000005.png" in record["reason"] for record in found)
    assert load_checkpoint(list_checkpoints(whole)[-1]).state["skipped"] == len(found)


def test_a_resumed_run_lists_each_skip_once(whole, small, damaged, tmp_path):
    output = tmp_path / "killed"
    options = (*RUN, "--data.folder", str(damaged), "--run.max_skipped", "0.3")
    run = small("killed", *options, "--pause", "0.1")
    while len(listed(output)) < 3 and run.processes[0].is_alive():
        time.sleep(0.01)
    os.kill(run.processes[0].pid, signal.SIGKILL)
    assert run.wait() == [-9]
    assert small("killed", *options, "--pause", "0.1", "--resume").wait() == [0]
    assert listed(output) == listed(whole)
    losses = [(run / "losses.jsonl").read_text() for run in (whole, output)]
    assert losses[0] == losses[1]


def test_two_processes_list_what_one_does(whole, small, damaged, tmp_path):
    options = (*RUN, "--data.folder", str(damaged), "--run.max_skipped", "0.3")
    assert small("two", *options, processes=2).wait() == [0, 0]
    assert listed(tmp_path / "two") == listed(whole)


@pytest.mark.slow  # a loader worker imports torch anew
def test_workers_list_what_one_process_does(whole, damaged, tmp_path):
    places = ("--run.output", str(tmp_path / "run"), "--data.folder", str(damaged))
    shape = ("--data.size", "[32, 64]", "--run.batch_size", "4", "--run.log_every", "1")
    script = str(Path(__file__).parent / "small_run.py")
    options = ("--run.max_skipped", "0.3", "--run.workers", "2")
    subprocess.run([sys.executable, script, *places, *shape, *RUN, *options], check=True)
    assert listed(tmp_path / "run") == listed(whole)


def test_too_many_end_the_run(small, damaged, tmp_path):
    run = small("run", *RUN, "--data.folder", str(damaged))  # 1 %, of at least 12 images
    assert run.wait() == [2]
    error = run.text().strip().splitlines()[-1]
    assert "1 of 12 samples could not be read" in error and "room/000005" in error
    assert "run.max_skipped = 0.01" in error and "skipped.jsonl" in error
    assert len(listed(tmp_path / "run")) == 1


def test_the_share_is_of_what_was_seen_but_of_one_epoch_at_least(tmp_path):
    ledger, skip = SkipLedger(tmp_path, 0.01, images=200), Skip(3, "a", "b", "broken")
    ledger.add(1, [skip, skip], write=True)
    ledger.check(8, skip)
    ledger.add(2, [skip], write=True)
    with pytest.raises(DataError, match="3 of 200"):
        ledger.check(16, skip)
    ledger.check(300, skip)


def test_records_forget_what_will_be_done_again_and_half_lines(tmp_path):
    records = Records(tmp_path / "r.jsonl")
    for step in (1, 2, 3):
        records.append(step, loss=0.1 * step)
    with records.path.open("a") as file:
        file.write('{"step": 4, "lo')
    assert [record["step"] for record in records.read()] == [1, 2, 3]
    records.rewind(2)
    lines = records.path.read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"step": 1, "loss": 0.1},
        {"step": 2, "loss": 0.2},
    ]
