"""Depth videos on disk: the code by hand and back, what is clipped, and what an error leaves."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.depth_video import HIGH, LOW, SCALE, DepthVideo, encode

ABOUT = {"model": "ours", "checkpoint": "0123456789ab"}


def described(folder: Path) -> dict:
    return json.loads((folder / "video.json").read_text())


def decoded(folder: Path, number: int) -> np.ndarray:
    """A frame's disparity, by what video.json says alone."""
    code = described(folder)["code"]
    values = cv2.imread(str(folder / f"{number:06d}.png"), cv2.IMREAD_UNCHANGED)
    assert values.dtype == np.uint16
    disparity = code["scale"] * values.astype(np.float64) + code["shift"]
    return np.where(values == code["invalid"], np.nan, disparity)


def test_the_code_by_hand():
    # 65535 values, of which the first is for invalid, from -1 to 3: 1 + 65534 · (d + 1) / 4
    disparity = np.float32([[-1, 3, 0], [1, np.nan, np.inf]])
    code, clipped = encode(disparity)
    assert code.dtype == np.uint16 and clipped == 0
    np.testing.assert_array_equal(code, [[1, 65535, 16384], [32768, 0, 0]])
    code, clipped = encode(np.float32([[-1.1, 3.1, 2.9]]))
    assert clipped == 2 and code[0, 0] == 1 and code[0, 1] == 65535 and code[0, 2] < 65535


def test_what_is_written_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.uniform(LOW, HIGH, (3, 20, 30)).astype(np.float32)
    frames[1, :5] = np.nan
    frames[2, 0, :7] = 4
    folder = tmp_path / "new" / "clip"
    with DepthVideo(folder, 12.5, ABOUT) as video:
        for frame in frames:
            video.write(frame)
    assert sorted(path.name for path in folder.iterdir()) == [
        "000000.png", "000001.png", "000002.png", "video.json"
    ]  # fmt: skip
    frames[2, 0, :7] = HIGH
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(decoded(folder, number), frame, atol=0.51 * SCALE)
    content = described(folder)
    assert {**content, **ABOUT} == content
    expected = {"frames": 3, "rate": 12.5, "width": 30, "height": 20, "complete": True}
    assert {name: content[name] for name in expected} == expected
    assert content["clipped_pixels"] == 7 and content["range"] == [LOW, HIGH]


def test_a_preview_has_every_frame_on_one_scale(tmp_path):
    with DepthVideo(tmp_path / "clip", 10, ABOUT, preview=True) as video:
        for value in (0.0, 0.5, 1.0):
            video.write(np.full((48, 64), value, np.float32))
    capture = cv2.VideoCapture(str(tmp_path / "clip" / "preview.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == 10
    means = []
    while (read := capture.read())[0]:
        means.append(read[1].mean())
    assert len(means) == 3 and means[0] < 10 and means[0] + 50 < means[1] < means[2] - 30
    assert not list((tmp_path / "clip").glob("*partial*"))


def test_an_interruption_leaves_what_is_whole(tmp_path):
    folder = tmp_path / "clip"
    with pytest.raises(KeyboardInterrupt):
        with DepthVideo(folder, 10, ABOUT, preview=True) as video:
            assert not described(folder)["complete"]
            for _ in range(2):
                video.write(np.zeros((48, 64), np.float32))
            (folder / "000002.png.partial").write_bytes(b"half of it")
            raise KeyboardInterrupt
    assert sorted(path.name for path in folder.iterdir()) == [
        "000000.png", "000001.png", "preview.mp4", "video.json"
    ]  # fmt: skip
    assert described(folder)["frames"] == 2 and not described(folder)["complete"]

    with DepthVideo(folder, 10, ABOUT) as video:  # again, shorter and without the preview
        video.write(np.zeros((48, 64), np.float32))
    assert sorted(path.name for path in folder.iterdir()) == ["000000.png", "video.json"]
    assert described(folder)["complete"]


def test_without_a_frame_nothing_is_left(tmp_path):
    with pytest.raises(DataError), DepthVideo(tmp_path / "clip", 10, ABOUT, preview=True):
        raise DataError("no frame")
    assert not list(tmp_path.iterdir())


def test_frames_of_other_sizes_and_folders_of_other_things_are_refused(tmp_path):
    with pytest.raises(DataError, match="frame 1 is of 8x6 pixels, those before it of 9x6"):
        with DepthVideo(tmp_path / "clip", 10, ABOUT) as video:
            video.write(np.zeros((6, 9), np.float32))
            video.write(np.zeros((6, 8), np.float32))
    assert described(tmp_path / "clip")["frames"] == 1
    for name, content in (("mine", None), ("other", "{}"), ("text", "[")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "000000.png").write_bytes(b"mine")
        if content is not None:
            (folder / "video.json").write_text(content)
        with pytest.raises(DataError, match="something else than a depth video"):
            DepthVideo(folder, 10, ABOUT)
        assert (folder / "000000.png").read_bytes() == b"mine"
