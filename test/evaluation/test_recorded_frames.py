"""Bags to folders of frames and back: pixels, stamps, poses and camera stay what they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from replay_bags import (
    CAMERA,
    COMPRESSED,
    START,
    STEP,
    TYPES,
    Record,
    depth,
    image_records,
    odometry_record,
    pose_record,
    rgb,
    static_record,
    transform_message,
    wall_records,
    write_records,
    write_wall_bag,
)

from depth_distill_ros.cli import main
from depth_distill_ros.errors import BagError, ConfigError, DataError
from depth_distill_ros.evaluation.bag import FRAME_ID, image_message, open_bag, typestore
from depth_distill_ros.evaluation.frames import load_sequence
from depth_distill_ros.evaluation.recorded_frames import bag_to_frames, frames_to_bag
from depth_distill_ros.ros.cdr import header_stamp


def assert_equal(one, other, poses=True):
    """Two sequences with the same content."""
    assert len(one) == len(other) and one.nanoseconds == other.nanoseconds
    assert (one.poses is None) == (other.poses is None or not poses)
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.rgb, second.rgb)
        np.testing.assert_array_equal(first.depth, second.depth)
        assert first.intrinsics == second.intrinsics
        if first.pose is not None:
            np.testing.assert_allclose(first.pose, second.pose, atol=1e-12)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize("depth_format", ["png_mm", "npz_depth"])
@pytest.mark.parametrize("poses", [True, False])
def test_folder_to_bag_to_folder(tmp_path, make_sequence, storage, depth_format, poses):
    folder = make_sequence(tmp_path / "in", 4, depth_format, poses)
    frames_to_bag(folder, tmp_path / "bag", storage)
    topics = ("/image", "/depth", "/pose" if poses else None)
    assert bag_to_frames(tmp_path / "bag", tmp_path / "out", *topics) == 4
    assert_equal(load_sequence(folder), load_sequence(tmp_path / "out"))
    assert load_sequence(tmp_path / "out").depth_format == depth_format


def test_bag_to_folder_to_bag(tmp_path):
    bag = write_wall_bag(tmp_path / "bag", 5)
    bag_to_frames(bag, tmp_path / "frames", None, "/camera/depth", "/pose")
    frames = load_sequence(tmp_path / "frames")
    assert frames.nanoseconds == tuple(START + index * STEP for index in range(5))
    for index, frame in enumerate(frames):
        np.testing.assert_array_equal(frame.rgb, rgb(index))
        np.testing.assert_array_equal(frame.depth, depth(index))
        assert frame.intrinsics == CAMERA
    frames_to_bag(tmp_path / "frames", tmp_path / "again")
    names = {"/image": "/camera/image", "/depth": "/camera/depth", "/pose": "/pose",
             "/camera_info": "/camera/camera_info"}  # fmt: skip
    with open_bag(bag) as reader:
        before = {(c.topic, t): (c.msgtype, bytes(raw)) for c, t, raw in reader.messages()}
    with open_bag(tmp_path / "again") as reader:
        for connection, time, raw in reader.messages():
            kind, expected = before.pop((names[connection.topic], time))
            assert header_stamp(raw) == time
            if connection.topic != "/pose":  # the quaternion may differ in the last digit
                assert kind == connection.msgtype and bytes(raw) == expected
    assert not before


def test_jpeg_files_stay_as_they_are(tmp_path):
    data = cv2.imencode(".jpg", rgb()[..., ::-1])[1].ravel()
    message = TYPES[COMPRESSED](header=image_message(rgb()).header, format="jpeg", data=data)
    records = [image_records(0, START)[0], Record("/cam/compressed", COMPRESSED, START, message)]
    assert bag_to_frames(write_records(tmp_path / "bag", records), tmp_path / "out") == 1
    assert (tmp_path / "out" / "rgb" / "000000.jpg").read_bytes() == data.tobytes()


def test_each_nth_image_and_those_without_a_pose_left_out(tmp_path):
    records = [
        one for one in wall_records(6) if not (one.topic == "/pose" and one.time > START + 3 * STEP)
    ]
    bag = write_records(tmp_path / "bag", records)
    assert bag_to_frames(bag, tmp_path / "posed", None, "/camera/depth", "/pose") == 4
    assert bag_to_frames(bag, tmp_path / "third", every=3) == 2
    third = load_sequence(tmp_path / "third")
    assert third.nanoseconds == (START, START + 3 * STEP) and third[0].depth is None


def test_the_pose_of_a_robot_becomes_that_of_its_camera(tmp_path):
    to_optical = transform_message("body", FRAME_ID, (0.3, 0.0, 1.0), (-0.5, 0.5, -0.5, 0.5))
    records = [static_record([to_optical], START), *wall_records(2)]
    records += [odometry_record(2.0, START + index * STEP) for index in range(2)]
    bag = write_records(tmp_path / "bag", records)
    bag_to_frames(bag, tmp_path / "out", poses="/odom")
    pose = load_sequence(tmp_path / "out")[0].pose
    np.testing.assert_allclose(pose @ [0, 0, 1, 1], [3.3, 0, 1, 1], atol=1e-12)  # 1 m ahead


def test_an_uncalibrated_bag(tmp_path):
    records = [one for one in wall_records(2) if "info" not in one.topic]
    bag_to_frames(write_records(tmp_path / "bag", records), tmp_path / "out", None, "/camera/depth")
    assert load_sequence(tmp_path / "out").intrinsics is None
    frames_to_bag(tmp_path / "out", tmp_path / "again")
    with open_bag(tmp_path / "again") as reader:
        assert {c.topic for c in reader.connections} == {"/image", "/depth"}


def test_what_cannot_be_frames_is_refused(tmp_path, make_sequence):
    bag = write_wall_bag(tmp_path / "bag", 2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    with pytest.raises(ConfigError, match="not empty"):
        bag_to_frames(bag, tmp_path / "full")
    with pytest.raises(ConfigError, match="exists"):
        frames_to_bag(make_sequence(tmp_path / "in"), bag)
    with pytest.raises(DataError, match="not a sequence"):
        frames_to_bag(tmp_path / "full", tmp_path / "x")
    distorted = wall_records(2)
    distorted[0].message.d = np.array([0.1, 0, 0, 0, 0])
    with pytest.raises(BagError, match="distorted"):
        bag_to_frames(write_records(tmp_path / "d", distorted), tmp_path / "d-out")
    changing = wall_records(2)
    changing[4].message.k = changing[4].message.k + 1
    changing[4].message.p = changing[4].message.p + 1
    with pytest.raises(BagError, match="camera changes"):
        bag_to_frames(write_records(tmp_path / "c", changing), tmp_path / "c-out")
    back = wall_records(2)
    back[5].stamp = START
    with pytest.raises(BagError, match="stamped before"):
        bag_to_frames(write_records(tmp_path / "b", back), tmp_path / "b-out")
    nowhere = [*wall_records(1), pose_record(0, START + 100 * STEP)]
    nowhere = [one for one in nowhere if one.topic != "/pose" or one.time > START + STEP]
    with pytest.raises(BagError, match="no image of the bag could be used"):
        bag_to_frames(write_records(tmp_path / "n", nowhere), tmp_path / "n-out", poses="/pose")


def test_the_command_goes_both_ways(tmp_path, make_sequence, capsys):
    folder = make_sequence(tmp_path / "in", poses=True)
    out = str(tmp_path / "bag")
    assert main(["record-frames", str(folder), "--output", out, "--storage", "sqlite3"]) == 0
    back = ["record-frames", out, "--output", str(tmp_path / "back"), "--depth", "/depth"]
    assert main([*back, "--poses", "/pose"]) == 0
    assert_equal(load_sequence(folder), load_sequence(tmp_path / "back"))
    assert main(back) == 2 and "not empty" in capsys.readouterr().err


def test_real_frames_survive_the_round_trip(tmp_path, shared_data):
    folder = shared_data / "seq_tum_fr1_desk9"
    frames_to_bag(folder, tmp_path / "bag")
    bag_to_frames(tmp_path / "bag", tmp_path / "out", "/image", "/depth", "/pose")
    before, after = load_sequence(folder), load_sequence(tmp_path / "out")
    assert_equal(before, after)
    assert after.nanoseconds[0] == 1305031453359684000
    with open_bag(tmp_path / "bag") as reader:
        connection = next(c for c in reader.connections if c.topic == "/depth")
        _, _, raw = next(reader.messages(connections=[connection]))
        assert typestore().deserialize_cdr(raw, connection.msgtype).encoding == "16UC1"
