"""Joining what was played with what came back, and reading what was recorded."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.bag import IMAGE, image_message, typestore
from depth_distill_ros.evaluation.recording import (
    DEPTH,
    cloud_agreement,
    cloud_arrays,
    disparity_of,
    join_times,
    read_player_log,
    read_recorder_log,
)
from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.geometry.point_cloud import pack_xyzrgb

MS = 1_000_000


def test_timing_by_hand():
    played = {stamp: stamp * 100 * MS for stamp in range(5)}
    received = [(0, 50 * MS), (2, 260 * MS), (3, 370 * MS)]
    timing = join_times(played, received)
    assert (timing.frames_in, timing.frames_out, timing.dropped) == (5, 3, 2)
    assert timing.latency_ms.tolist() == [50, 60, 70]
    assert (timing.latency_percentile(50), timing.latency_percentile(95)) == (60, 69)
    assert timing.hz == pytest.approx(2 / 0.32)
    assert timing.out_of_order == 0


def test_outputs_that_go_back_or_repeat_are_counted():
    played = {stamp: stamp * MS for stamp in range(5)}
    received = [(stamp, 10 * MS + n * MS) for n, stamp in enumerate((0, 2, 1, 3, 3))]
    timing = join_times(played, received)
    assert timing.out_of_order == 2
    assert timing.frames_out == 4


def test_nothing_came_out():
    timing = join_times({1: 1, 2: 2}, [])
    assert (timing.frames_out, timing.dropped, timing.hz) == (0, 2, 0.0)
    assert timing.latency_percentile(50) is None


def test_outputs_of_unknown_images_are_refused():
    with pytest.raises(BagError, match="stamps that no image had"):
        join_times({1: 1}, [(2, 2)])


def test_logs(tmp_path):
    (tmp_path / "played").write_text("10 1000\n20 2000\n")
    assert read_player_log(tmp_path / "played") == {10: 1000, 20: 2000}
    (tmp_path / "played").write_text("10 1000\n10 2000\n")
    with pytest.raises(BagError, match="only 1 of 2 images"):
        read_player_log(tmp_path / "played")
    (tmp_path / "received").write_text("relative/image 10 5\nrelative/points 10 6\n")
    assert read_recorder_log(tmp_path / "received", DEPTH) == [(10, 5)]


@pytest.mark.parametrize("big_endian", [False, True])
def test_depth_images_with_padding_and_either_byte_order(big_endian):
    disparity = np.array([[0.0, 0.25], [np.nan, 1.0]], np.float32)
    padded = np.full((2, 3), 7, ">f4" if big_endian else "<f4")
    padded[:, :2] = disparity
    message = image_message(np.zeros((2, 2, 3), np.uint8))
    message.encoding, message.step, message.is_bigendian = "32FC1", 12, int(big_endian)
    message.data = padded.reshape(-1).view(np.uint8)
    raw = typestore().serialize_cdr(message, IMAGE)
    np.testing.assert_array_equal(disparity_of(typestore().deserialize_cdr(raw, IMAGE)), disparity)


def test_other_depth_encodings_are_refused():
    with pytest.raises(BagError, match="must be 32FC1, is rgb8"):
        disparity_of(image_message(np.zeros((2, 2, 3), np.uint8)))


def test_cloud_arrays_undo_the_packing():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4, 5, 3)).astype(np.float32)
    rgb = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    unpacked, colours = cloud_arrays(pack_xyzrgb(points, rgb))
    np.testing.assert_array_equal(unpacked, points)
    np.testing.assert_array_equal(colours, rgb)


def test_a_cloud_agrees_with_its_own_depth_and_with_no_other():
    camera = Intrinsics(60, 60, 31.5, 23.5, 64, 48)
    disparity = np.random.default_rng(0).uniform(0, 1, (48, 64)).astype(np.float32)
    points = unproject(1 / (0.1 + 1.9 * disparity), camera)
    same = cloud_agreement(points, camera, disparity)
    assert same["pixels"] < 1e-3 and same["disparity"] < 1e-5
    assert cloud_agreement(points, camera, np.roll(disparity, 1, axis=0))["disparity"] > 0.1
    shifted = Intrinsics(60, 60, 33.5, 23.5, 64, 48)
    assert cloud_agreement(points, shifted, disparity)["pixels"] == pytest.approx(2, abs=1e-3)
