"""Benchmarks of video: small data sets in the published layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from small_sets import Knows, box, small, write_image, write_png

from depth_distill_ros import cli
from depth_distill_ros.evaluation.protocols.dataset import open_benchmark
from depth_distill_ros.evaluation.protocols.definition import FOLDER
from depth_distill_ros.evaluation.protocols.measurement import measure
from depth_distill_ros.evaluation.protocols.predictors import OwnModel
from depth_distill_ros.evaluation.protocols.report import describe
from depth_distill_ros.inference.estimator import DepthEstimator


@pytest.fixture
def bonn(tmp_path) -> Path:
    """Two of the sequences and one that is not, 6 images each at 30 Hz; depth is 5 ms later."""
    for scene in ("balloon2", "crowd3", "person_tracking2"):
        root = tmp_path / "rgbd_bonn_dataset" / f"rgbd_bonn_{scene}"
        for index in range(6):
            write_image(root / f"rgb/{100 + index / 30:.5f}.png")
            if index != 3:
                name = f"{100 + index / 30 + 0.005:.5f}.png"
                write_png(root / "depth" / name, box(near=2 + index) * 5000)
    return tmp_path


def bonn_definition(n: int):
    definition = small("bonn", n, image_size=None)
    return replace(definition, video=replace(definition.video, start=1, frames=3))


def test_bonn_pairs_times_and_cuts_clips(bonn):
    images = open_benchmark(bonn_definition(6), bonn)
    # the frame without depth is dropped before 3 are counted from the second on
    scene = "rgbd_bonn_balloon2"
    assert [(pair.rgb, pair.depth) for pair in images.pairs.pairs[:3]] == [
        (f"{scene}/rgb/100.03333.png", f"{scene}/depth/100.03833.png"),
        (f"{scene}/rgb/100.06667.png", f"{scene}/depth/100.07167.png"),
        (f"{scene}/rgb/100.13333.png", f"{scene}/depth/100.13833.png"),
    ]
    assert images.units == [[0, 1, 2], [3, 4, 5]] and len(images.pairs.dropped) == 2
    assert images[0].depth[10, 10] == pytest.approx(3.0)


def test_a_clip_has_one_fit(bonn, tmp_path):
    images = open_benchmark(bonn_definition(6), bonn)
    maps = {name: 5 / images[index].depth + 2 for index, name in enumerate(images.names)}
    steady = measure(images, Knows(maps))
    assert steady.mean.abs_rel == pytest.approx(0, abs=1e-4)
    assert steady.scores[0].scale == pytest.approx(0.2, rel=1e-3)
    # A frame that is right up to a scale of its own is wrong in its clip, and in no other.
    maps[images.names[1]] = 2 * maps[images.names[1]]
    flickering = measure(images, Knows(maps), tmp_path / "out")
    first, second = flickering.scores[:3], flickering.scores[3:]
    assert min(score.errors.abs_rel for score in first) > 0.05
    assert max(score.errors.abs_rel for score in second) < 1e-4
    by_clip = [np.mean([score.errors.abs_rel for score in clip]) for clip in (first, second)]
    assert flickering.mean.abs_rel == pytest.approx(np.mean(by_clip))
    assert "affine in disparity, per clip" in describe(flickering)[1]

    knows = Knows(maps)
    lines = (tmp_path / "out/images.csv").read_text().splitlines(keepends=True)
    (tmp_path / "out/images.csv").write_text("".join(lines[:-1]))
    resumed = measure(images, knows, tmp_path / "out")
    assert resumed.scores == flickering.scores
    assert knows.asked == images.names[3:], "a clip is done again as a whole"
    assert len((tmp_path / "out/images.csv").read_text().splitlines()) == 7


def test_clips_of_relative_depth_are_fitted_in_depth(bonn):
    images = open_benchmark(bonn_definition(6), bonn)
    knows = Knows({name: 3 * images[i].depth - 4 for i, name in enumerate(images.names)})
    knows.space = "depth"
    assert measure(images, knows).mean.abs_rel == pytest.approx(0, abs=1e-4)


def test_kitti_clips_are_those_of_the_validation_drives(tmp_path):
    drives = (
        "2011_09_26_drive_0002_sync",
        "2011_10_03_drive_0047_sync",
        "2011_09_26_drive_0001_sync",
    )
    for drive in drives:
        for frame in range(5, 9):
            name = f"{frame:010d}.png"
            write_image(tmp_path / drive[:10] / drive / "image_02/data" / name)
            folder = tmp_path / "data_depth_annotated/val" / drive
            write_png(folder / "proj_depth/groundtruth/image_02" / name, box() * 256)
    images = open_benchmark(small("kitti110", 8), tmp_path)
    assert not images.partial and images.units == [[0, 1, 2, 3], [4, 5, 6, 7]]
    np.testing.assert_allclose(images[0].depth, box())
    images = open_benchmark(small("kitti110", 8), tmp_path / "2011_09_26" / "..")
    assert len(images) == 8


def test_our_models_see_clips_in_their_own_way(small_model, stream_model):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 200, (64, 96, 3), np.uint8)  # what follows is no cut
    frames = [(first + np.uint8(5 * number), str(number), number / 30) for number in range(3)]
    for folder, alike in ((small_model, True), (stream_model, False)):
        model = OwnModel(DepthEstimator.from_pretrained(folder, "cpu"), "none")
        maps = list(model.video(iter(frames)))
        alone = [model(rgb, name) for rgb, name, _ in frames]
        assert [each.shape for each in maps] == [(64, 96)] * 3
        assert all(map(np.array_equal, maps, alone)) == alike


def test_a_video_benchmark_from_the_command_line(bonn, small_model, capsys, tmp_path):
    rng = np.random.default_rng(0)
    for path in bonn.glob("rgbd_bonn_dataset/*/rgb/*.png"):
        cv2.imwrite(str(path), rng.integers(0, 256, (64, 96, 3), np.uint8))
    for path in bonn.glob("rgbd_bonn_dataset/*/depth/*.png"):
        write_png(path, np.tile(box(), (3, 3))[:64, :96] * 5000)
    content = json.loads((FOLDER / "bonn.json").read_text())
    content |= {"n": 6, "image_size": [64, 96], "video": {"frames": 3, "start": 1, "rate": 30}}
    (tmp_path / "own.json").write_text(json.dumps(content))
    arguments = ["--benchmark", tmp_path / "own.json", "--root", bonn, "--device", "cpu"]
    assert cli.main(["evaluate", *map(str, arguments), "--model", str(small_model)]) == 0
    printed = capsys.readouterr().out
    assert "affine in disparity, per clip · input native, network at the input's size" in printed
    assert " · n 6" in printed and "AbsRel" in printed
