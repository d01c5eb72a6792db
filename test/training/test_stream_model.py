"""The command that makes the bundled streaming model, from clips to card."""

from __future__ import annotations

import pytest

from depth_distill_ros.inference.estimator import DepthEstimator
from training import stream_model

RECIPE = """
run: {output: OUTPUT, steps: 1, batch_size: 1}
data: {kind: clips, folder: runs/tiny/clips, frames: 4, size: [64, 96]}
name: d3epth-tiny-stream
model: MODEL
window: 4
temporal_heads: 2
"""


@pytest.mark.slow
def test_from_nothing_to_a_model_with_a_card(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(stream_model, "IMAGE_SIZE", (96, 64))
    first = RECIPE.replace("OUTPUT", "runs/tiny/stream").replace("MODEL", "d3epth-tiny")
    second = RECIPE.replace("OUTPUT", "runs/tiny/stream_second")
    (tmp_path / "tiny_stream.yaml").write_text(first)
    (tmp_path / "tiny_stream_second.yaml").write_text(
        second.replace("MODEL", "runs/tiny/stream/model")
    )
    arguments = ["--recipes", ".", "--clips", "1", "--unseen", "1"]
    assert stream_model.main([*arguments, "--tier", "procedural", "--workers", "1"]) == 0
    folder = tmp_path / "runs" / "tiny" / stream_model.NAME
    assert DepthEstimator.from_pretrained(folder).temporal_window == 4
    card = (folder / "README.md").read_text()
    assert "--clips 1 --unseen 1 --tier procedural" in card
    assert "per frame of d3epth-tiny" in card and "TAE video_depth_anything" in card
    assert card.count("```") == 2 and str(tmp_path) not in card
    assert "streaming model:" in capsys.readouterr().out
