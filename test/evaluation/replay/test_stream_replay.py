"""Replays of a model with a temporal head: images go through a stream, as in the node."""

from __future__ import annotations

import json

import numpy as np
import pytest
from replay_bags import rgb, write_wall_bag

from depth_distill_ros.evaluation.bag import open_bag, typestore
from depth_distill_ros.evaluation.replay.command import load_model, replay
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.ros.images import depth_from_image

FRAMES = 12
WINDOW = 2
REACH = 8  # four modules of two attentions, each of which sees one frame more
STAMPS = [0.1 * number for number in range(FRAMES)]


@pytest.fixture(scope="module")
def bag(tmp_path_factory):
    return write_wall_bag(tmp_path_factory.mktemp("bag") / "wall", FRAMES)


@pytest.fixture(scope="module")
def play(bag, stream_model):
    def run(output, max_frames=None, **temporal) -> list[np.ndarray]:
        """The disparities in the output bag."""
        parameters = {f"temporal.{name}": value for name, value in temporal.items()}
        parameters["depth.output_size"] = "model"
        options = ReplayOptions(
            bag=bag,
            output=output,
            depth="/camera/depth",
            parameters=parameters,
            max_frames=max_frames,
        )
        replay(options, lambda: load_model(str(stream_model), "cpu"), say=lambda text: None)
        with open_bag(output / "bag") as reader:
            images = [(c, raw) for c, _, raw in reader.messages() if c.topic == "/relative/image"]
            messages = [typestore().deserialize_cdr(raw, c.msgtype) for c, raw in images]
        return [depth_from_image(message) for message in messages]

    return run


def test_images_go_through_a_stream_unless_it_is_switched_off(play, stream_model, tmp_path):
    estimator = DepthEstimator.from_pretrained(stream_model, device="cpu")
    images = [rgb(number) for number in range(FRAMES)]
    stream = estimator.stream()
    for number, found in enumerate(play(tmp_path / "on")):
        np.testing.assert_allclose(found, stream.infer(images[number], STAMPS[number]), atol=1e-5)
    assert stream.resets == {} and stream.frames == 3
    for number, found in enumerate(play(tmp_path / "off", enabled=False)):
        np.testing.assert_allclose(found, estimator.infer([images[number]])[0], atol=1e-5)
    assert "of 4 frames" in (tmp_path / "on" / "report.html").read_text()
    assert "each image by itself" in (tmp_path / "off" / "report.html").read_text()


def test_a_run_that_was_cut_off_ends_as_one_that_was_not(play, tmp_path):
    expected = play(tmp_path / "whole", window=WINDOW)
    cut = REACH + 2  # the first images are not looked at again
    assert len(play(tmp_path / "cut", cut, window=WINDOW)) == cut
    for found, other in zip(play(tmp_path / "cut", window=WINDOW), expected, strict=True):
        np.testing.assert_allclose(found, other, atol=1e-5)
    whole, resumed = (
        [json.loads(line) for line in (tmp_path / name / "frames.jsonl").open()]
        for name in ("whole", "cut")
    )
    for one, other in zip(whole, resumed, strict=True):
        assert one["aligned.abs_rel"] == pytest.approx(other["aligned.abs_rel"], rel=1e-4)
