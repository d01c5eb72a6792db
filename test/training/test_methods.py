"""The comparison of the methods: tables by hand, and the command on two rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from depth_distill_ros.errors import DataError
from training.methods import KNOWN, VIDEOS, MethodsRecipe, compare, main
from training.methods_report import image_table, video_numbers, video_table, write_methods
from training.trials import Trials, _training, finished_runs

ROWS = ["d3epth-tiny", "fiffdepth", "video"]


def still(abs_rel: float) -> dict:
    errors = {"model": {"abs_rel": abs_rel, "delta1": 0.5}}
    means = {"indoor": {"n": 9, "errors": errors}}
    return {"evaluation": {"benchmarks": [{"split": "s", "alignment": "a", "means": means}]}}


def stream(abs_rel: float, tae: float, *columns: str) -> dict:
    errors = {"abs_rel.clip": abs_rel, "tae.depth_any_video": tae, "boundary_f1": 0.25}
    shown = {column: errors for column in columns}
    shown["per frame"] = errors | {"abs_rel.clip": 9.0}
    shown["measured"] = {"tae.depth_any_video": 0.01}
    return {"clips": {"streams": {"split": "c", "means": {"all": {"errors": shown}}}}}


def test_the_page_by_hand(tmp_path):
    images = {
        ("fiffdepth", 2): still(0.3),
        ("fiffdepth", 1): still(0.2),
        ("d3epth-tiny", 1): still(0.1),
    }
    videos = {
        ("video", 1): stream(0.2, 0.04, "windows", "streaming"),
        ("video", 2): stream(0.3, 0.05, "windows"),
        ("d3epth-tiny", 1): stream(0.0, 0.03),
    }
    write_methods(tmp_path / "methods.md", images, videos, ROWS)
    page = (tmp_path / "methods.md").read_text()
    # standard deviation of two values: their distance over the square root of two
    assert "| fiffdepth | 2 | 25.0 ± 7.1 / 50.0 ± 0.0 |" in page
    assert "| d3epth-tiny | 1 | 10.0 / 50.0 |" in page
    assert "| video | windows | 2 | 25.00 ± 7.07 | 4.50 ± 0.71 | 25.00 ± 0.00 |" in page
    assert "| d3epth-tiny | per frame | 1 | 900.00 | 3.00 | 25.00 |" in page
    assert "TAE of the measured depth itself: 1.00" in page
    assert (tmp_path / "methods.png").read_bytes().startswith(b"\x89PNG")
    saved = json.loads((tmp_path / "methods.json").read_text())
    assert saved["images"][0]["variants"]["fiffdepth"]["abs_rel"] == [0.2, 0.3]
    assert saved["videos"]["clips"]["video"]["abs_rel.clip"] == [0.2, 0.3]


def test_rows_that_are_not_there_yet_are_left_out():
    reports = {("video", 1): stream(0.2, 0.04, "windows")}
    assert list(video_numbers(reports, "clips", ROWS)) == ["video"]
    assert video_numbers(reports, "frames", ROWS) == {}
    assert len(video_table("t", video_numbers(reports, "clips", ROWS))) == 5
    sets = [{"setting": "indoor", "split": "s", "n": 1, "alignment": "a", "variants": {}}]
    assert len(image_table(sets, ROWS)) == 4


def test_students_share_a_teacher_and_heads_go_on_from_their_seed():
    trials = Trials(Path("out"), {}, first=7)
    command = _training(trials, VIDEOS["video-stochastic"][0], Path("run"), None, 8)
    assert "--teacher=out/video-teacher-seed7/0-video_teacher/model" in command
    assert command[-1] == "--start=noise" and "--run.seed=8" in command
    command = _training(trials, KNOWN["video-head"][0], Path("run"), None, 8)
    assert "--model=out/video-seed8/0-video_stage1/model" in command


def test_recipes_of_the_rows_exist():
    root = Path(__file__).parents[2]
    parts = [part for row in KNOWN.values() if not isinstance(row, str) for part in row]
    assert all((root / part.recipe).is_file() for part in parts)
    assert (
        main(["--config", str(root / "config/training/tiny_methods.yaml"), "--variants=[x]"]) == 2
    )


def test_finished_runs_are_those_with_every_report(tmp_path):
    trials = Trials(tmp_path, {"clips": (), "frames": ()})
    for run, names in (("a-seed1", ["clips", "frames"]), ("a-seed2", ["clips"]), ("m-seed2", [])):
        (tmp_path / run).mkdir()
        for name in names:
            (tmp_path / run / f"{name}.json").write_text('{"n": 1}')
    found = finished_runs(trials, {"a": (), "m": "a model as it is"}, [1, 2])
    assert found == {("a", 1): {"clips": {"n": 1}, "frames": {"n": 1}}}


def test_the_page_shows_what_is_there_before_anything_is_trained(tmp_path):
    for folder, report in (("d3epth-tiny-seed1", still(0.1)), ("fiffdepth-seed2", still(0.2))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "evaluation.json").write_text(json.dumps(report["evaluation"]))
    options = {"launcher": sys.executable + " -m no", "processes": 1, "shards": "none"}
    recipe = MethodsRecipe(str(tmp_path), ("d3epth-tiny", "fiffdepth"), (1, 2), **options)
    with pytest.raises(DataError, match="0-fiffdepth.log"):
        compare(recipe)
    page = (tmp_path / "methods.md").read_text()
    assert "| d3epth-tiny | 1 |" in page and "| fiffdepth | 1 | 20.0 / 50.0 |" in page


def test_rows_without_anything_to_compare_them_on_are_refused(capsys):
    assert main(["--output=out", '--variants=["video"]', "--shards=s"]) == 2
    assert "give frames, shards, clips or sequence" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_trains_evaluates_and_goes_on(shards, described_shards, tmp_path):
    recipe = MethodsRecipe(
        output=str(tmp_path / "compare"),
        variants=("d3epth-tiny", "apdepth-stage1", "apdepth"),
        seeds=(1,),
        overrides=("--run.steps=1", f"--data.folder={shards}", "--data.size=[64,128]"),
        shards=str(described_shards),
    )
    page = compare(recipe).read_text()
    assert [line.split(" | ")[0] for line in page.splitlines()[4:]] == [
        "| d3epth-tiny",
        "| apdepth-stage1",
        "| apdepth",
    ]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "compare").rglob("*.safetensors")}
    compare(recipe)
    assert before == {p: p.stat().st_mtime_ns for p in before}
