"""`d3epth replay` as a user runs it: exit statuses, kill -9, and the memory of a long bag."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from replay_bags import START, STEP, wall_records, write_records, write_wall_bag

from depth_distill_ros.cli import main
from depth_distill_ros.evaluation.bag import open_bag


def test_exit_status_by_threshold(tmp_path, wall_bag, small_model, capsys):
    replay = ["replay", str(wall_bag), "--depth", "/camera/depth", "--poses", "/pose"]
    replay += ["--output", str(tmp_path / "out"), "--model", str(small_model), "--device", "cpu"]
    assert main(replay) == 0
    printed = capsys.readouterr().out
    assert "AbsRel, aligned per image" in printed and "checkpoint" in printed
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    error = report["aligned"]["abs_rel"]["mean"]
    assert 0 < error < 10
    assert main([*replay, "--max-abs-rel", str(error + 0.001)]) == 0
    assert main([*replay, "--max-abs-rel", str(error - 0.001)]) == 1
    html = (tmp_path / "out" / "report.html").read_text()
    assert f"failed: AbsRel (aligned) {error:.4f}" in html
    assert main([*replay, "--every", "2"]) == 2
    assert "every was 1, is 2" in capsys.readouterr().err


def test_mistakes_are_one_line(tmp_path, wall_bag, capsys):
    def refused(*arguments: object) -> str:
        assert main(["replay", *map(str, arguments), "--output", str(tmp_path / "out")]) == 2
        printed = capsys.readouterr().err
        assert printed.startswith("error: ") and printed.count("\n") == 1
        return printed

    depth = ("--depth", "/camera/depth")
    assert "--depth TOPIC" in refused(wall_bag)
    assert "which is not there" in refused(wall_bag, "--depth", "/nothing")
    assert "scale.scale is 0" in refused(wall_bag, *depth, "--scale", "fixed")
    assert "not a bag" in refused(tmp_path / "nothing", *depth)
    assert "absent" in refused(wall_bag, *depth, "--model", tmp_path / "absent")
    assert "give the BAG" in refused(*depth)
    assert not (tmp_path / "out").exists()


CHILD = """
import sys
from pathlib import Path
from depth_distill_ros.evaluation.replay.command import load_model, replay
from depth_distill_ros.evaluation.replay.options import ReplayOptions

bag, output, model = sys.argv[1:]
parameters = {"scale.mode": "reference"}
options = ReplayOptions(bag=Path(bag), output=Path(output), depth="/camera/depth", poses="/pose",
                        parameters=parameters, checkpoint=0.3)
replay(options, lambda: load_model(model, "cpu"))
"""


def start(bag: Path, output: Path, model: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(bag), str(output), str(model)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def frames_done(output: Path) -> int:
    try:
        return json.loads((output / "state.json").read_text())["frames"]
    except FileNotFoundError:
        return 0


def without_times(folder: Path) -> dict:
    report = json.loads((folder / "report.json").read_text())
    return {name: value for name, value in report.items() if name != "latency_ms"}


def messages_of(bag: Path) -> list:
    with open_bag(bag) as reader:
        return sorted((c.topic, time, bytes(raw)) for c, time, raw in reader.messages())


@pytest.mark.slow
def test_kill_9_in_the_middle_costs_nothing(tmp_path, small_model):
    bag = write_wall_bag(tmp_path / "bag", 150)
    whole = start(bag, tmp_path / "whole", small_model)
    assert whole.wait(200) == 0
    killed = 0
    for wanted in (10, 70, 151):
        process = start(bag, tmp_path / "cut", small_model)
        while process.poll() is None and frames_done(tmp_path / "cut") < wanted:
            time.sleep(0.01)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait(20)
    assert killed == 2 and process.returncode == 0
    assert without_times(tmp_path / "cut") == without_times(tmp_path / "whole")
    assert messages_of(tmp_path / "cut" / "bag") == messages_of(tmp_path / "whole" / "bag")
    parts = len(list((tmp_path / "cut" / "bag").glob("*.mcap")))
    assert parts >= 3, "one bag of several files"


MEMORY = """
import resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from replay_bags import exact_model
from depth_distill_ros.evaluation.replay.command import replay
from depth_distill_ros.evaluation.replay.options import ReplayOptions

options = ReplayOptions(bag=Path(sys.argv[1]), output=Path(sys.argv[2]), depth="/camera/depth",
                        poses="/pose", checkpoint=1.0)
replay(options, exact_model, say=lambda text: None)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def peak_megabytes(bag: Path, output: Path) -> int:
    helpers = str(Path(__file__).parents[1])
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, str(bag), str(output), helpers],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert result.returncode == 0, result.stderr
    return int(result.stdout.split()[-1])


@pytest.mark.slow
def test_memory_does_not_grow_with_the_bag(tmp_path):
    """Images of 0.9 MB: 400 of them would be 360 MB, with their depth 840 MB."""
    import cv2

    def large(frames: int) -> list:
        records = wall_records(min(frames, 30))
        for record in records:
            message = record.message
            if hasattr(message, "step"):
                channels = 3 if message.encoding == "rgb8" else 1
                kind = np.uint8 if channels == 3 else np.float32
                pixels = message.data.view(kind).reshape(48, 64, channels)
                pixels = cv2.resize(pixels, (640, 480), interpolation=cv2.INTER_NEAREST)
                message.height, message.width = 480, 640
                message.step *= 10
                message.data = pixels.reshape(-1).view(np.uint8)
            if hasattr(message, "distortion_model"):
                message.height, message.width = 480, 640
                message.k = message.k * np.array([10, 1, 10, 1, 10, 10, 1, 1, 1])
                message.p = message.p * np.array([10, 1, 10, 1, 1, 10, 10, 1, 1, 1, 1, 1])
        return records

    short = peak_megabytes(write_records(tmp_path / "short", large(30)), tmp_path / "one")
    path = repeated(tmp_path / "long", large(30), 400)
    long = peak_megabytes(path, tmp_path / "other")
    assert long < short + 60, f"{short} MB for 30 frames, {long} MB for 400"


def repeated(path: Path, records: list, frames: int) -> Path:
    """A bag of the records of 30 frames over and over, with stamps that go on."""
    from replay_bags import serialized

    from depth_distill_ros.evaluation.bag import write_bag

    def messages():
        for turn in range(frames // 30 + 1):
            for record in sorted(records, key=lambda one: one.time):
                time = record.time + turn * 30 * STEP
                if time < START + frames * STEP:
                    record.stamp = time
                    yield record.topic, time, serialized(record)

    write_bag(path, {record.topic: record.message_type for record in records}, messages())
    return path
