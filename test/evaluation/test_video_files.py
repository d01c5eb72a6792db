"""Videos to read: real files and folders of images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from video_files import level, write_video

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.video_files import is_video, open_frames, video_name


def write_folder(folder, count: int = 3, size=(40, 48)) -> None:
    folder.mkdir()
    for number in reversed(range(count)):
        cv2.imwrite(str(folder / f"{number:03d}.png"), np.full((*size, 3), number, np.uint8))
    (folder / "notes.txt").write_text("no image")


def test_a_file_is_read_at_its_rate_or_the_one_given(tmp_path):
    path = write_video(tmp_path / "kitchen.avi", frames=6, rate=20)
    for rate, step in ((None, 0.05), (5.0, 0.2)):
        video = open_frames(path, rate)
        assert video.rate == 1 / step and video.count == 6
        frames, stamps = zip(*video)
        assert [level(frame) for frame in frames] == list(range(6))
        assert stamps == pytest.approx([step * number for number in range(6)])
        assert video.problem is None


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    write_folder(tmp_path / "walk")
    for rate, step in ((None, 1 / 30), (10.0, 0.1)):
        video = open_frames(tmp_path / "walk", rate)
        assert video.count == 3 and video.rate == pytest.approx(1 / step)
        frames, stamps = zip(*video)
        assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 2]
        assert stamps == pytest.approx([0, step, 2 * step])


def test_what_is_a_video_and_what_its_results_are_called(tmp_path, monkeypatch):
    write_folder(tmp_path / "walk.2")
    assert is_video(tmp_path / "walk.2") and video_name(tmp_path / "walk.2") == "walk.2"
    assert is_video(tmp_path / "absent.MP4") and video_name(tmp_path / "a.b.MP4") == "a.b"
    assert not is_video(tmp_path / "photo.jpg") and not is_video(tmp_path / "absent")
    monkeypatch.chdir(tmp_path / "walk.2")
    assert video_name(tmp_path / "walk.2" / ".") == "walk.2"


def test_a_video_that_breaks_off_is_read_to_there(tmp_path):
    whole = write_video(tmp_path / "whole.avi", frames=30, size=(320, 240)).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    video = open_frames(tmp_path / "half.avi")
    count = len(list(video))
    assert 5 < count < 20 and isinstance(video.problem, DataError)
    assert f"half.avi ends after {count} of 30 frames" in str(video.problem)
    assert "--seconds" not in str(video.problem)

    write_folder(tmp_path / "walk")
    (tmp_path / "walk" / "001.png").write_text("no image")
    video = open_frames(tmp_path / "walk")
    assert len(list(video)) == 1 and isinstance(video.problem, ImageError)
    assert "001.png" in str(video.problem)


def test_what_cannot_be_read_at_all_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "sequence" / "rgb").mkdir(parents=True)
    for name, problem in {
        "absent.mp4": "no video file", "text.mp4": "no video that", "empty": "holds no images",
        "sequence": "give its folder rgb/",
    }.items():  # fmt: skip
        with pytest.raises(DataError, match=problem):
            open_frames(tmp_path / name)
    slow = write_video(tmp_path / "slow.avi", rate=0.1)
    with pytest.raises(DataError, match="give --rate"):
        open_frames(slow)
    assert open_frames(slow, 10.0).rate == 10
