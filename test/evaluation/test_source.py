"""What a demo plays: the arguments of the player, sizes, and refusals before anything starts."""

from __future__ import annotations

import pytest
from video_files import write_video

from depth_distill_ros.errors import BagError, ConfigError, DataError
from depth_distill_ros.evaluation.source import (
    bag_source,
    camera_source,
    frames_source,
    video_source,
)


def value_of(source, option: str) -> str:
    return source.player[source.player.index(option) + 1]


def test_frames_become_a_bag_with_their_depth(tmp_path, make_sequence, plane_depth):
    source = frames_source(make_sequence(tmp_path / "kitchen"), tmp_path / "bag", 1.0, rate=10)
    assert source.name == "kitchen"
    assert source.player == (
        "--bag", str(tmp_path / "bag"), "--image", "/image", "--camera-info", "/camera_info"
    )  # fmt: skip
    assert bag_source(tmp_path / "bag").player == source.player
    assert (source.topics.width, source.topics.height) == (64, 48)


def test_a_video_is_played_at_its_own_rate_or_another_one(tmp_path):
    video = write_video(tmp_path / "street.avi", rate=12.5)
    source = video_source(video, tmp_path / "bag", None, None)
    assert (source.name, source.bag) == ("street.avi", tmp_path / "bag")
    assert value_of(source, "--video") == str(video)
    assert float(value_of(source, "--rate")) == 12.5
    assert value_of(source, "--keep") == str(tmp_path / "bag")
    assert (source.topics.image, source.topics.camera_info) == ("/image", None)
    assert (source.topics.width, source.topics.height) == (64, 48)
    assert source.depth(0) is None

    source = video_source(video, tmp_path / "bag", 5.0, 70.0)
    assert float(value_of(source, "--rate")) == 5.0
    assert float(value_of(source, "--fov")) == 70.0
    assert source.topics.camera_info == "/camera_info"


def test_a_video_without_a_rate_needs_one(tmp_path):
    video = write_video(tmp_path / "slow.avi", rate=0.1)
    with pytest.raises(DataError, match="give --rate"):
        video_source(video, tmp_path / "bag", None, None)
    assert video_source(video, tmp_path / "bag", 15.0, None).player


def test_sources_that_are_not_there_are_refused(tmp_path, make_sequence):
    for name in ("in_plane", "out_plane"):
        make_sequence(tmp_path / "data" / name)
    with pytest.raises(ConfigError, match="holds 2 sequences"):
        frames_source(tmp_path / "data", tmp_path / "bag", 1.0)
    with pytest.raises(DataError, match="no folder"):
        frames_source(tmp_path / "absent", tmp_path / "bag", 1.0)
    with pytest.raises(BagError):
        bag_source(tmp_path / "absent")
    with pytest.raises(DataError, match="no video file"):
        video_source(tmp_path / "absent", tmp_path / "bag", None, None)
    with pytest.raises(DataError, match="no camera /dev/video97"):
        camera_source("97", tmp_path / "bag", None)
