"""The picture of docs/streams.md: one column over time, from a sequence and a streaming model."""

from __future__ import annotations

import cv2
import numpy as np

from bench.stream_picture import columns_over_time, main
from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE


def test_a_column_of_truth_and_of_each_predictor(
    make_sequence, stream_model, plane_depth, tmp_path
):
    folder = make_sequence(tmp_path / "walk", frames=4)
    strips = columns_over_time(folder, str(stream_model), column=0.25)
    assert list(strips) == ["image", "truth", "per frame", "streaming"]
    assert strips["image"].shape == (48, 4, 3) and strips["streaming"].shape == (48, 4)
    truth = 1 / np.clip(plane_depth[:, 16], *DEPTH_RANGE)
    assert np.allclose(strips["truth"], truth[:, None], rtol=2e-3)
    assert not np.allclose(strips["per frame"][:, 2:], strips["streaming"][:, 2:])


def test_the_command_writes_a_picture(make_sequence, stream_model, tmp_path, capsys):
    folder = make_sequence(tmp_path / "walk", frames=3)
    picture = tmp_path / "out" / "column.png"
    arguments = ["--frames", str(folder), "--model", str(stream_model), "--output", str(picture)]
    assert main(arguments) == 0
    assert cv2.imread(str(picture)).std() > 10
    assert main(["--frames", str(tmp_path / "none"), "--output", str(picture)]) == 2
    assert "error" in capsys.readouterr().err
