"""Shards: content, reproducibility, resume; and the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.scenes.__main__ import main, parse_size
from training.scenes.dataset import render_dataset

SMALL = {"size": (64, 48), "tier": "procedural", "shard_size": 5, "progress": False}


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def data(egl, tmp_path_factory):
    """Twelve images in three shards, the last of them short."""
    folder = tmp_path_factory.mktemp("scenes")
    files = render_dataset(folder, 12, seed=3, **SMALL)
    assert [path.name for path in files] == [f"shard-{i:05d}-info.json" for i in range(3)]
    return folder


def test_shards_hold_images_depth_and_cameras(data):
    total = 0
    for path in sorted(data.glob("*-info.json")):
        info = json.loads(path.read_text())
        stem = path.name.removesuffix("-info.json")
        rgb = np.load(data / f"{stem}-rgb.npy", allow_pickle=False)
        depth = np.load(data / f"{stem}-depth.npy", allow_pickle=False)
        total += len(info)
        assert rgb.shape == (len(info), 48, 64, 3) and rgb.dtype == np.uint8
        assert depth.shape == (len(info), 48, 64) and depth.dtype == np.float16
        assert np.isfinite(depth).all() and (depth >= 0).all()
        assert (rgb.reshape(len(info), -1).std(1) > 5).all(), "no empty pictures"
        for entry in info:
            assert entry["kind"].count("/") == 1
            assert entry["cx"] == 31.5 and entry["cy"] == 23.5 and entry["fx"] == entry["fy"] > 20
            rotation = np.array(entry["pose"])[:3, :3]
            np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert total == 12


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(data, tmp_path):
    render_dataset(tmp_path / "a", 12, seed=3, **SMALL)
    assert content(tmp_path / "a") == content(data)
    render_dataset(tmp_path / "b", 5, seed=4, **SMALL)
    assert content(tmp_path / "b")["shard-00000-rgb.npy"] != content(data)["shard-00000-rgb.npy"]


def test_resume_renders_only_what_is_missing(data, tmp_path):
    folder = tmp_path / "resumed"
    folder.mkdir()
    complete = content(data)
    for name, code in complete.items():
        (folder / name).write_bytes(code)
    (folder / "shard-00001-info.json").unlink()  # was interrupted before its end
    (folder / "shard-00001-depth.npy").write_bytes(b"half")
    kept = (folder / "shard-00000-rgb.npy").stat().st_mtime_ns
    render_dataset(folder, 12, seed=3, **SMALL)
    assert content(folder) == complete
    assert (folder / "shard-00000-rgb.npy").stat().st_mtime_ns == kept


def test_a_set_can_be_made_longer(data, tmp_path):
    render_dataset(tmp_path / "c", 5, seed=3, **SMALL)
    render_dataset(tmp_path / "c", 12, seed=3, **SMALL)
    assert content(tmp_path / "c") == content(data)


@pytest.mark.slow
def test_two_processes_render_the_same_as_one(data, tmp_path):
    render_dataset(tmp_path / "d", 10, seed=3, workers=2, **SMALL)
    complete = content(data)
    assert all(complete[name] == code for name, code in content(tmp_path / "d").items())


def start(folder, rank: int, world: int) -> subprocess.Popen:
    """One process of a launch: what accelerate and torchrun start, with their variables."""
    launched = {"RANK": rank, "WORLD_SIZE": world, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": world}
    return subprocess.Popen(
        [sys.executable, "-m", "training.scenes", *twelve(folder)],
        env={**os.environ, **{name: str(value) for name, value in launched.items()}},
        stdout=subprocess.DEVNULL,
    )


def twelve(folder) -> list[str]:
    """The command line of the data set ``data``."""
    return f"--output {folder} --count 12 --seed 3 --size 64x48 --shard-size 5".split()


def test_two_launched_processes_share_the_work_and_survive_a_kill(data, tmp_path, capsys):
    folder = tmp_path / "shared"
    processes = [start(folder, rank, 2) for rank in range(2)]
    finished = folder / "shard-00000-info.json"
    while not finished.exists():  # rank 0 has two shards: kill it between them
        assert processes[0].poll() is None
        time.sleep(0.02)
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    assert processes[1].wait() == 0
    first = finished.stat().st_mtime_ns
    assert main(twelve(folder)) == 0
    assert "complete: all 12 samples are there" in capsys.readouterr().out
    assert finished.stat().st_mtime_ns == first
    kept = {name: code for name, code in content(folder).items() if not name.endswith(".part")}
    assert kept == content(data)


def test_other_settings_in_the_same_folder_are_refused(data):
    with pytest.raises(DataError, match="other settings.*seed"):
        render_dataset(data, 12, seed=9, **SMALL)


@pytest.mark.parametrize("changes", [{"count": 0}, {"workers": 0}, {"size": (8, 48)}])
def test_senseless_requests_are_refused(tmp_path, changes):
    arguments = {"output": tmp_path / "x", "count": 4, **SMALL, **changes}
    with pytest.raises(DataError):
        render_dataset(**arguments)
    assert not (tmp_path / "x").exists()


def test_sizes_are_read():
    assert parse_size("640x480") == (640, 480)
    for wrong in ("640", "0x0", "axb", "10x10"):
        with pytest.raises(DataError):
            parse_size(wrong)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "DIR", "--kinds", "lunar"],
        ["--output", "DIR", "--size", "huge"],
        ["--output", "DIR", "--seed", "-1"],
        ["--sequence", "DIR", "--frames", "0"],
        ["--preview", "DIR/x.png", "--kinds", "indoor/submarine"],
    ],
)
def test_mistakes_are_one_line_and_status_2(arguments, tmp_path, capsys):
    arguments = [a.replace("DIR", str(tmp_path / "out")) for a in arguments]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1


def test_preview_is_a_picture(egl, tmp_path):
    import cv2

    path = tmp_path / "sheets" / "preview.png"
    kinds = "indoor/office,tabletop/bin"
    assert main(["--preview", str(path), "--size", "32x24", "--kinds", kinds]) == 0
    sheet = cv2.imread(str(path))
    assert sheet.shape == (4 * 48, 6 * 32, 3) and sheet.std() > 10
