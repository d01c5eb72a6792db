"""`d3epth evaluate --benchmark` as a user runs it."""

from __future__ import annotations

import json
import re
import shutil

import cv2
import numpy as np
import pytest

from depth_distill_ros import cli
from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols import measurement as measuring
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import FOLDER, load_definition
from depth_distill_ros.evaluation.protocols.predictors import SavedPredictions
from depth_distill_ros.models.hub import DEFAULT_MODEL, WEIGHTS_FOLDER
from depth_distill_ros.models.model_config import read_config

NUMBER = r"(\d+\.\d+)"


@pytest.fixture
def evaluate(capsys):
    """Runs the command; returns its status and what it printed."""

    def evaluate(*arguments: object):
        status = cli.main(["evaluate", *map(str, arguments)])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return evaluate


@pytest.fixture
def saved(benchmarks, predictions):
    """Arguments that measure the saved disparity of the miniatures."""
    folder = predictions / "disparity"
    return ["--root", benchmarks, "--predictions", folder, "--align", "disparity"]


def test_all_benchmarks_in_one_call(evaluate, saved, tmp_path):
    output = tmp_path / "out"
    status, printed, warnings = evaluate(
        "--benchmark", "all", *saved, "--allow-partial", "--output", output
    )
    assert status == 0, warnings
    assert warnings.count("warning: ") == 5 and "2 images with depth, NYUv2 654" in warnings
    for title, n in (("NYUv2", 654), ("KITTI", 652), ("ETH3D", 454), ("ScanNet", 800)):
        assert re.search(rf"{title} · .* · PARTIAL, n 2 of {n}", printed)
    assert printed.count("alignment affine in disparity, per image · input") == 5
    assert printed.count("predictions as saved") >= 5 and printed.count("checkpoint files") >= 5
    assert len(re.findall(rf"AbsRel {NUMBER}  δ1 {NUMBER}  δ2 {NUMBER}  δ3 {NUMBER}", printed)) == 5
    assert re.search(r"predictions in disparity \(measured\) +– +– +\d+\.\d†", printed)

    reports = json.loads((output / "report.json").read_text())["benchmarks"]
    assert [report["benchmark"] for report in reports] == [
        "diode", "eth3d", "kitti", "nyuv2", "scannet"
    ]  # fmt: skip
    for report in reports:
        assert {"model", "checkpoint", "split", "alignment", "resolution"} <= set(report)
        assert report["n"] == 2 and report["partial"]
        assert report["split"].endswith(f"(2 of {report['expected_n']} only)")
        errors = report["means"]["all"]["errors"]["model"]
        lines = (output / report["benchmark"] / "images.csv").read_text().splitlines()
        column = lines[0].split(",").index("abs_rel")
        values = [float(line.split(",")[column]) for line in lines[1:]]
        assert errors["abs_rel"] == pytest.approx(np.mean(values), rel=1e-12)
        for kind in ("best", "worst"):
            picture = cv2.imread(str(output / report["benchmark"] / f"{kind}.png"))
            assert picture.shape[1] > 1500 and picture.std() > 10
    table = (output / "table.md").read_text()
    assert "D³epth, Table 1" in table and "not comparable" in table and "PARTIAL" in table


def test_a_part_is_not_measured_unless_asked_for(evaluate, saved):
    status, printed, errors = evaluate("--benchmark", "nyuv2", *saved)
    assert status == 2 and printed == ""
    assert "2 images with depth, NYUv2 654" in errors and "--allow-partial" in errors


def test_a_whole_benchmark_is_not_called_partial(evaluate, saved, tmp_path):
    own = json.loads((FOLDER / "nyuv2.json").read_text())
    (tmp_path / "own.json").write_text(json.dumps(own | {"n": 2, "name": "nyuv2"}))
    status, printed, errors = evaluate("--benchmark", tmp_path / "own.json", *saved)
    assert status == 0 and "warning" not in errors
    assert " · n 2\n" in printed and "PARTIAL" not in printed and "†" not in printed


def test_a_split_file_is_for_one_benchmark(evaluate, saved, tmp_path):
    (tmp_path / "split.txt").write_text(
        "test/office_0005/rgb_0009.png test/office_0005/depth_0009.png"
    )
    split = ["--split", tmp_path / "split.txt", "--allow-partial"]
    status, printed, _ = evaluate("--benchmark", "nyuv2", *saved, *split)
    assert status == 0 and "PARTIAL, n 1 of 654" in printed
    status, _, errors = evaluate("--benchmark", "nyuv2", "diode", *saved, *split)
    assert status == 2 and "one benchmark" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--benchmark", "nyuv2"], "--root"),
        (["--benchmark", "middlebury", "--root", "."], "no benchmark 'middlebury'"),
        (["--benchmark", "nyuv2", "--root", "absent"], "no folder or archive"),
        (["--benchmark", "nyuv2", "--root", ".", "--frames", "."], "two calls"),
        (["--frames", ".", "--root", "."], "--root is for --benchmark"),
        (["--frames", ".", "--allow-partial"], "--allow-partial is for --benchmark"),
        (["--shards", ".", "--resolution", "model"], "--resolution is for --benchmark"),
        (["--benchmark", "nyuv2", "--root", ".", "--predictor", "hf:a/b"], "--align"),
    ],
)
def test_mistakes_are_one_line(evaluate, arguments, message):
    status, _, errors = evaluate(*arguments)
    assert status == 2 and message in errors and errors.count("\n") == 1


def test_the_bundled_model_is_measured_at_its_own_resolution(evaluate, benchmarks, tmp_path):
    status, printed, errors = evaluate(
        "--benchmark", "scannet", "--root", benchmarks, "--allow-partial", "--device", "cpu",
        "--resolution", "model",
    )  # fmt: skip
    assert status == 0, errors
    assert f"model {DEFAULT_MODEL} · checkpoint " in printed
    height, width = read_config(WEIGHTS_FOLDER / DEFAULT_MODEL).resolution
    assert f"input native, network at {height}x{width} in area" in printed


class Stops(SavedPredictions):
    """Is interrupted at the second image."""

    calls = 0

    def __call__(self, rgb, image):
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return super().__call__(rgb, image)


def test_an_interrupted_measurement_goes_on(benchmarks, predictions, tmp_path):
    images = open_benchmark(load_definition("diode"), benchmarks)
    folder = predictions / "depth" / "diode"
    with pytest.raises(KeyboardInterrupt):
        measuring.measure(images, Stops(folder, "depth", images.names), tmp_path)
    resumed = Stops(folder, "depth", images.names)
    resumed.calls = 2  # no interruption; counts the images that are predicted again
    second = measuring.measure(images, resumed, tmp_path)
    # one image, then the two of each picture
    assert resumed.calls - 2 == 1 + 2 * 2
    whole = measuring.measure(images, SavedPredictions(folder, "depth", images.names))
    assert second.scores == whole.scores and second.mean == whole.mean


def test_what_cannot_be_scored_ends_it_or_is_listed(benchmarks, predictions, tmp_path, evaluate):
    folder = tmp_path / "predictions"
    shutil.copytree(predictions / "depth" / "diode", folder)
    next(folder.glob("outdoor/*/*/*.npy")).unlink()
    images = open_benchmark(load_definition("diode"), benchmarks)
    predictor = SavedPredictions(folder, "depth", images.names)
    with pytest.raises(DataError, match="no prediction for outdoor"):
        measuring.measure(images, predictor)
    partial = measuring.measure(images, predictor, allow_partial=True)
    assert len(partial.scores) == 1 and "outdoor" in partial.failed[0] and partial.partial
    arguments = ["--root", benchmarks, "--predictions", folder, "--align", "depth"]
    status, printed, _ = evaluate("--benchmark", "diode", *arguments, "--allow-partial")
    assert status == 0 and "failed: no prediction for outdoor" in printed
    shutil.rmtree(folder / "indoors")
    status, _, errors = evaluate("--benchmark", "diode", *arguments, "--allow-partial")
    assert status == 2 and "no image could be scored" in errors
