"""`d3epth predict` on videos and folders, as a user runs it. Images: test_cli.py."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import write_video

from depth_distill_ros.cli import main
from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.video import predict_video


def predict(*arguments: object) -> int:
    return main(["predict", "--device", "cpu", *map(str, arguments)])


def described(folder: Path) -> dict:
    return json.loads((folder / "video.json").read_text())


def refusal(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    return line


def test_a_video_a_folder_and_an_image_in_one_call(tmp_path, video_model, capsys):
    film = write_video(tmp_path / "film.avi", frames=7, rate=10)
    walk = tmp_path / "walk"
    walk.mkdir()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, 48, 64, 3), dtype=np.uint8)
    for number, image in enumerate(images):
        cv2.imwrite(str(walk / f"{number}.png"), image[..., ::-1])
    cv2.imwrite(str(tmp_path / "photo.png"), images[0])
    output = tmp_path / "new" / "out"
    inputs = (film, walk, tmp_path / "photo.png")
    assert predict(*inputs, "--output", output, "--model", video_model, "--preview") == 0
    printed = capsys.readouterr()
    assert printed.out.split() == [str(output / name) for name in ("film", "walk", "photo.png")]
    assert printed.err == "", "no progress bar where nobody watches"

    content = described(output / "film")
    assert content["complete"] and content["frames"] == 7 and content["rate"] == 10
    assert (content["width"], content["height"], content["source"]) == (64, 48, "film.avi")
    assert content["model"] == "small-video"
    assert content["checkpoint"] == checkpoint_digest(video_model)
    assert content["seen"] == "windows of 5 frames, 2 of them shared"
    assert (output / "film" / "preview.mp4").stat().st_size > 0

    assert described(output / "walk")["rate"] == 30
    estimator = DepthEstimator.from_pretrained(video_model, "cpu")
    expected = list(predict_video(estimator, [(images[0], 0.0), (images[1], 1 / 30)]))
    code = described(output / "walk")["code"]
    for number, disparity in enumerate(expected):
        path = output / "walk" / f"{number:06d}.png"
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        np.testing.assert_allclose(code["scale"] * values + code["shift"], disparity, atol=1e-4)


@pytest.mark.parametrize("fixture", ["stream_model", "small_model"])
def test_models_that_know_nothing_of_windows(tmp_path, fixture, request, capsys):
    film = write_video(tmp_path / "film.avi", frames=3, rate=10)
    model = request.getfixturevalue(fixture)
    assert predict(film, "--output", tmp_path, "--model", model, "--rate", 5) == 0
    content = described(tmp_path / "film")
    assert content["frames"] == 3 and content["rate"] == 5 and content["clipped_pixels"] == 0
    assert content["seen"].startswith("a stream" if fixture == "stream_model" else "each image")


def test_a_bad_video_is_one_line_and_the_others_are_done(tmp_path, small_model, capsys):
    film = write_video(tmp_path / "film.avi", frames=2, rate=10)
    (tmp_path / "text.mp4").write_text("no video")
    output = tmp_path / "out"
    arguments = (tmp_path / "text.mp4", film, "--output", output, "--model", small_model)
    assert predict(*arguments) == 2
    assert str(tmp_path / "text.mp4") in refusal(capsys)
    assert [path.name for path in output.iterdir()] == ["film"]


def test_a_video_that_breaks_off_is_done_to_there(tmp_path, video_model, capsys):
    whole = write_video(tmp_path / "whole.avi", frames=8, size=(320, 240)).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    output = tmp_path / "out"
    assert predict(tmp_path / "half.avi", "--output", output, "--model", video_model) == 2
    content = described(output / "half")
    assert f"ends after {content['frames']} of 8 frames" in refusal(capsys)
    assert 1 <= content["frames"] < 6 and not content["complete"]
    assert len(list((output / "half").glob("*.png"))) == content["frames"]


def test_images_of_two_sizes_are_no_video(tmp_path, small_model, capsys):
    walk = tmp_path / "walk"
    walk.mkdir()
    for number, size in enumerate(((48, 64), (48, 64), (64, 48))):
        cv2.imwrite(str(walk / f"{number}.png"), np.zeros((*size, 3), np.uint8))
    assert predict(walk, "--output", tmp_path / "out", "--model", small_model) == 2
    assert "frame 2 is of 48x64 pixels" in refusal(capsys)
    assert described(tmp_path / "out" / "walk")["frames"] == 2


def test_what_would_be_lost_is_refused(tmp_path, small_model, capsys):
    walk = tmp_path / "walk"
    walk.mkdir()
    cv2.imwrite(str(walk / "000000.png"), np.zeros((48, 64, 3), np.uint8))
    before = (walk / "000000.png").read_bytes()
    assert predict(walk, "--output", tmp_path, "--model", small_model) == 2
    assert "give another --output" in refusal(capsys)
    assert (walk / "000000.png").read_bytes() == before
    twice = (walk, tmp_path / "walk.mp4", "--output", tmp_path / "out", "--model", small_model)
    assert predict(*twice) == 2
    assert "different folders" in refusal(capsys)
    assert predict(walk, "--output", tmp_path / "out", "--rate", 0) == 2
    assert "--rate 0" in refusal(capsys)


@pytest.mark.slow
def test_ctrl_c_leaves_the_first_frames_and_says_so(tmp_path, small_model):
    film = write_video(tmp_path / "film.avi", frames=3000, rate=10)
    folder = tmp_path / "out" / "film"
    command = [sys.executable, "-m", "depth_distill_ros.cli", "predict", film]
    command += ["--output", tmp_path / "out", "--model", small_model, "--device", "cpu"]
    process = subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True)
    try:
        deadline = time.monotonic() + 120
        while not (folder / "000002.png").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130
    content = described(folder)
    assert 3 <= content["frames"] < 3000 and not content["complete"]
    assert f"{folder} has the first {content['frames']} frames" in errors
    assert errors.splitlines()[-1] == "interrupted"
    names = sorted(path.name for path in folder.glob("*.png*"))
    assert names[: content["frames"]] == [f"{n:06d}.png" for n in range(content["frames"])]
    assert len(names) <= content["frames"] + 1
