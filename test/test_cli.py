"""The commands as a user runs them: processes, their output, and their exit status."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest


def d3epth(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "depth_distill_ros.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=280)


def refused(result: subprocess.CompletedProcess) -> str:
    """The one line of a refusal."""
    assert result.returncode == 2
    assert result.stderr.startswith("error: ") and "Traceback" not in result.stderr
    assert result.stderr.count("\n") == 1
    return result.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model with random weights."""
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("models") / "random"
    DepthModel.from_preset("tiny", seed=0, name="random-tiny").save_pretrained(folder)
    return folder


def test_help_does_not_import_torch():
    script = (
        "import sys\nfrom depth_distill_ros.cli import build_parser\nbuild_parser()\n"
        "assert not {'torch', 'cv2', 'rclpy'} & set(sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 0
    for command in ("predict", "evaluate", "demo", "models"):
        result = d3epth(command, "--help")
        assert result.returncode == 0 and f"d3epth {command}" in result.stdout


def test_models_names_parts_sizes_and_places():
    result = d3epth("models")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["model", "million", "parts", "weights"]
    teacher = next(line for line in lines if line.startswith("lotus-d"))
    assert "951.2" in teacher and "unet 867.56" in teacher
    assert any(line.startswith("d3epth ") and "332.27" in line for line in lines)


def test_predict_does_the_good_images_and_names_the_bad_one(tmp_path, model):
    good = [tmp_path / "one.png", tmp_path / "two.jpg"]
    rng = np.random.default_rng(0)
    for path, size in zip(good, ((48, 64), (75, 40)), strict=True):
        cv2.imwrite(str(path), rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    bad, small = tmp_path / "bad.png", tmp_path / "small.png"
    bad.write_text("no image")
    cv2.imwrite(str(small), np.zeros((8, 8, 3), np.uint8))
    output = tmp_path / "new" / "out"
    images = [good[0], bad, small, good[1]]
    result = d3epth("predict", *images, "--output", output, "--model", model, "--device", "cpu")
    assert result.returncode == 2
    errors = result.stderr.splitlines()
    assert len(errors) == 2 and all(line.startswith("error: ") for line in errors)
    assert str(bad) in errors[0] and str(small) in errors[1]
    assert sorted(path.name for path in output.iterdir()) == [
        "one.npy", "one.png", "two.npy", "two.png"
    ]  # fmt: skip
    disparity = np.load(output / "two.npy", allow_pickle=False)
    assert disparity.dtype == np.float32 and disparity.shape == (75, 40)
    assert disparity.min() >= 0 and disparity.max() <= 1
    assert cv2.imread(str(output / "two.png")).shape == (75, 40, 3)


def test_predict_refuses_to_overwrite_one_result_with_another(tmp_path, model):
    result = d3epth("predict", "a/x.png", "b/x.jpg", "--output", tmp_path, "--model", model)
    assert "x.png" in refused(result) and "different folders" in result.stderr


def test_an_unknown_model_is_one_line(tmp_path):
    result = d3epth("predict", "x.png", "--output", tmp_path / "out", "--model", tmp_path / "no")
    assert "no model" in refused(result)
    assert not (tmp_path / "out").exists()


def test_evaluate_prints_and_writes_what_its_numbers_are_about(tmp_path, make_sequence, model):
    data = tmp_path / "data"
    make_sequence(data / "in_plane")
    make_sequence(data / "out_plane", frames=2, depth_format="npz_depth")
    make_sequence(data / "st_plane", depth_format="npz_disparity")
    shutil.rmtree(make_sequence(data / "x_bare") / "depth")
    report = tmp_path / "report.json"
    result = d3epth("evaluate", "--frames", data, "--model", model, "--output", report)
    assert result.returncode == 0, result.stderr
    head, table = result.stdout.split("left out: x_bare", 1)
    assert str(data) in head and "random-tiny" in head and "affine in disparity" in head
    counts = {line.split()[0]: line.split()[1] for line in table.splitlines() if "plane " in line}
    assert counts == {"in_plane": "3", "out_plane": "2", "st_plane": "3"}
    means = [line.split()[1] for line in table.splitlines() if line.startswith("mean")]
    assert means == ["indoor", "outdoor", "stereo", "all"]

    (content,) = json.loads(report.read_text())["benchmarks"]
    assert content["model"] == "random-tiny" and content["images"] == 8
    assert content["checkpoint"] in head
    assert set(content["means"]["all"]["errors"]) == {"model", "constant", "ramp"}


def test_evaluate_needs_something_to_evaluate_on(tmp_path, model):
    assert "--frames" in refused(d3epth("evaluate"))
    absent = tmp_path / "absent"
    assert "no folder" in refused(d3epth("evaluate", "--frames", absent, "--model", model))
    assert "no shards" in refused(d3epth("evaluate", "--shards", tmp_path, "--model", model))


def test_demo_needs_a_source():
    assert "--frames FOLDER, --bag BAG, --video FILE" in refused(d3epth("demo"))
