"""Video files through OpenCV, real ones; and the errors of a camera that is not there."""

from __future__ import annotations

import time

import cv2
import numpy as np
import pytest
from video_files import level, write_video

from depth_distill_ros.errors import DataError
from depth_distill_ros.ros.capture import (
    camera_frames,
    open_camera,
    open_video,
    video_frames,
    video_rate,
)


def test_every_frame_of_a_video_at_its_time(tmp_path):
    before = time.time_ns()
    video = open_video(write_video(tmp_path / "kitchen.avi", frames=12, rate=10))
    assert (video.name, video.size, video_rate(video)) == ("kitchen.avi", (64, 48), 10)
    stamps, frames = zip(*video_frames(video, rate=20.0))
    assert before <= stamps[0] <= time.time_ns()
    assert [stamp - stamps[0] for stamp in stamps] == [50_000_000 * n for n in range(12)]
    assert [level(frame) for frame in frames] == list(range(12))
    assert frames[0].shape == (48, 64, 3) and frames[0].dtype == np.uint8


def test_frames_are_rgb(tmp_path):
    writer = cv2.VideoWriter(
        str(tmp_path / "red.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48)
    )
    writer.write(np.full((48, 64, 3), (0, 0, 250), np.uint8))  # OpenCV's order: blue, green, red
    writer.release()
    ((_, frame),) = video_frames(open_video(tmp_path / "red.avi"), rate=10)
    assert frame[24, 32, 0] > 200 and (frame[24, 32, 1:] < 50).all()


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video" * 100)
    (tmp_path / "empty.mp4").write_bytes(b"")
    for name, problem in {
        "absent.mp4": "there is no video file",
        ".": "there is no video file",
        "text.mp4": "no video that OpenCV can decode",
        "empty.mp4": "no video that OpenCV can decode",
    }.items():
        with pytest.raises(DataError, match=problem):
            open_video(tmp_path / name)


def test_a_video_that_breaks_off_plays_to_there_and_says_so(tmp_path):
    whole = write_video(tmp_path / "whole.avi", frames=30, rate=10, size=(320, 240)).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    frames = []
    with pytest.raises(DataError, match=r"half.avi ends after (\d+) of 30 frames") as caught:
        for _, frame in video_frames(open_video(tmp_path / "half.avi"), rate=10):
            frames.append(frame)
    assert 5 < len(frames) < 20
    assert f"--seconds {len(frames) / 10}" in str(caught.value)


def test_a_rate_that_no_video_has_is_refused(tmp_path):
    video = open_video(write_video(tmp_path / "slow.avi", rate=0.1))
    with pytest.raises(DataError, match=r"states 0.1 frames a second: give --rate"):
        video_rate(video)


def test_a_camera_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no camera /dev/video97: this machine has"):
        open_camera("97")
    for name in ("/dev/video97", "/dev/null", str(tmp_path)):
        with pytest.raises(DataError, match=f"there is no camera {name}"):
            open_camera(name)


def test_a_camera_that_dies_says_so(tmp_path):
    """OpenCV reads files and cameras alike: the end of a file is a camera that was unplugged."""
    before = time.time_ns()
    frames = camera_frames(open_video(write_video(tmp_path / "camera.avi", frames=6)))
    taken = []
    with pytest.raises(DataError, match="camera.avi gave no more images after 5"):
        for stamp, frame in frames:
            taken.append((stamp, level(frame)))
    assert [number for _, number in taken] == [1, 2, 3, 4, 5], "the first frame is an old one"
    assert before <= taken[0][0] <= taken[-1][0] <= time.time_ns()
