"""`d3epth evaluate` on clips and sequences, as a user calls it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.cli import main
from depth_distill_ros.evaluation.benchmarks import score_image
from depth_distill_ros.evaluation.streams import sources
from depth_distill_ros.evaluation.temporal import VARIANTS
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.video import predict_video


def refusal(capsys, *arguments: object) -> str:
    assert main(["evaluate", *map(str, arguments)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_clips_by_model_and_average(tmp_path, make_clips, small_model, capsys):
    output = tmp_path / "report.json"
    clips = make_clips(tmp_path / "clips")
    arguments = ["--clips", clips, "--model", small_model, "--output", output, "--device", "cpu"]
    assert main(["evaluate", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert f"split {clips} (rendered clips)" in printed and "streaming" not in printed
    assert printed.splitlines()[-1].startswith("moving objects, moving average against per frame")
    content = json.loads(output.read_text())["streams"]
    assert (
        content["metrics"] == ["depth", "tae", "temporal", "boundary"] and content["window"] is None
    )
    rows = {row["name"]: row for row in content["rows"]}
    assert list(rows) == ["indoor", "outdoor", "moving objects", "static objects"]
    for name, frames, pairs in (("indoor", 8, 6), ("outdoor", 8, 7)):
        counts = rows[name]["n"]
        assert counts["abs_rel.clip"] == frames
        assert {counts[f"tae.{each}"] for each in VARIANTS} == {pairs}
        assert set(rows[name]["errors"]) == {"per frame", "moving average", "measured"}
    # the depth of a still camera grows by 1 % of the first frame's
    floor = rows["outdoor"]["errors"]["measured"]["tae.depth_any_video"]
    assert floor == pytest.approx(0.01, rel=0.05)
    assert rows["outdoor"]["errors"] == rows["moving objects"]["errors"]


def test_a_stream_model_beside_itself_and_another(
    tmp_path, make_sequence, stream_model, small_model, capsys
):
    output = tmp_path / "report.json"
    data = make_sequence(tmp_path / "in_plane", frames=4, poses=True)
    arguments = ["--frames", data, "--metrics", "tae,depth", "--window", 3, "--output", output]
    arguments += ["--model", stream_model, "--compare", small_model]
    assert main(["evaluate", *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    assert "streaming: a window of 3 frames" in printed and "compared with" in printed
    assert "temporal gradient" not in printed
    content = json.loads(output.read_text())["streams"]
    (row,) = content["rows"]
    columns = [name for name in row["errors"] if name.startswith("per frame of")]
    assert set(row["errors"]) == {
        "per frame", "streaming", "moving average", "measured", *columns
    }  # fmt: skip
    assert len(columns) == 1 and row["n"]["tae.depth_any_video"] == 3
    assert row["errors"]["streaming"] != row["errors"]["per frame"]
    assert np.isfinite(list(row["errors"]["streaming"].values())).all()


def test_a_video_model_has_a_column_of_the_whole_take_in_windows(
    tmp_path, make_sequence, video_model, capsys
):
    output = tmp_path / "report.json"
    data = make_sequence(tmp_path / "in_plane", frames=9, poses=True)
    arguments = ["--frames", data, "--metrics", "depth,tae", "--output", output]
    assert main(["evaluate", *map(str, arguments), "--model", str(video_model)]) == 0
    printed = capsys.readouterr().out
    assert "windows: 5 frames, 2 of them shared" in printed and "streaming" not in printed
    assert "mean all, windows against moving average" in printed
    content = json.loads(output.read_text())["streams"]
    assert content["windows"] == [5, 2] and content["window"] is None
    (row,) = content["rows"]
    assert list(row["errors"]) == ["per frame", "windows", "moving average", "measured"]

    # the column is that of predict_video on the sequence, one fit an image
    (take,) = sources.sequences(data).takes
    estimator = DepthEstimator.from_pretrained(video_model, "cpu")
    video = [(frame.rgb, frame.stamp) for frame in take.frames]
    errors = [
        score_image(frame.rgb, frame.depth, {"": lambda rgb, found=found: found})[1][""].abs_rel
        for frame, found in zip(take.frames, predict_video(estimator, video), strict=True)
    ]
    assert row["errors"]["windows"]["abs_rel.image"] == pytest.approx(np.mean(errors), rel=1e-6)


def test_sequences_without_depth_in_metres_are_named(tmp_path, make_sequence):
    make_sequence(tmp_path / "in_plane")
    make_sequence(tmp_path / "st_plane", depth_format="npz_disparity")
    source = sources.sequences(tmp_path)
    assert source.count == 1 and [take.name for take in source.takes] == ["in_plane"]
    assert source.left_out == ["st_plane (stereo disparity of unknown scale)"]


def test_a_clip_is_a_take_of_frames(tmp_path, make_clips, plane_depth):
    first, second = sources.clips(make_clips(tmp_path / "clips")).takes
    assert (first.group, first.cuts, first.moving, first.outdoor) == ("indoor", (5,), False, False)
    assert second.outdoor and second.moving and len(second.frames) == 8
    frame = second.frames[7]
    assert frame.stamp == pytest.approx(0.7) and frame.intrinsics.width == 64
    np.testing.assert_allclose(frame.depth, 5 * 1.07 * plane_depth, rtol=1e-3)


def test_what_does_not_go_together_is_refused(tmp_path, make_clips, small_model, capsys):
    clips = ("--clips", make_clips(tmp_path / "clips"))
    assert "give some of depth,tae,temporal" in refusal(capsys, *clips, "--metrics", "tae,flow")
    assert "give some of" in refusal(capsys, *clips, "--metrics", ",")
    assert "two calls" in refusal(capsys, *clips, "--frames", tmp_path)
    assert "--shards or --benchmark" in refusal(capsys, "--shards", tmp_path, "--metrics", "tae")
    assert "for streams" in refusal(capsys, "--benchmark", "nyuv2", "--metrics", "tae")
    assert "--frames FOLDER or --clips FOLDER" in refusal(capsys, "--metrics", "tae")
    assert "--metrics as well" in refusal(capsys, "--frames", tmp_path, "--window", 3)
    assert "temporal head" in refusal(capsys, *clips, "--model", small_model, "--window", 3)
    assert "no clips" in refusal(capsys, "--clips", tmp_path)
