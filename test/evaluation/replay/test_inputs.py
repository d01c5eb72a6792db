"""Images of a bag with the truth, the pose and the camera_info of their moments."""

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
    cloud_message,
    depth_record,
    image_records,
    pose_record,
    rgb,
    wall_records,
    write_records,
    write_wall_bag,
)

from depth_distill_ros.errors import BagError, MessageError
from depth_distill_ros.evaluation.bag import POINT_CLOUD, camera_info_message, image_message
from depth_distill_ros.evaluation.replay.inputs import PATIENCE, WAITING, cases, find_inputs
from depth_distill_ros.ros.images import depth_from_image, image_to_rgb, picture

MILLISECOND = 1_000_000


def found(bag, truth="/camera/depth", **options):
    inputs = find_inputs(bag, truth=truth, poses=options.pop("poses", None))
    return list(cases(inputs, **options))


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_image_has_its_own_depth_and_pose(tmp_path, storage):
    bag = write_wall_bag(tmp_path / "bag", 5, storage)
    every = found(bag, poses="/pose")
    assert [case.number for case in every] == [0, 1, 2, 3, 4]
    assert [case.stamp for case in every] == [START + i * STEP for i in range(5)]
    for index, case in enumerate(every):
        np.testing.assert_array_equal(image_to_rgb(case.image), rgb(index))
        assert case.lag == 0 and case.pose[0, 3] == pytest.approx(0.01 * index)
        assert depth_from_image(case.truth)[0, 0] == pytest.approx(
            1 / (0.5 * (20 + index) / 255 + 0.1)
        )
    assert sum(len(case.infos) for case in every) == 5
    assert len(every[0].infos) >= 1, "the camera_info of an image comes with it"


def test_each_nth_image_and_a_limit(wall_bag):
    assert [case.stamp for case in found(wall_bag, every=5)] == [
        START, START + 5 * STEP, START + 10 * STEP
    ]  # fmt: skip
    assert [case.number for case in found(wall_bag, every=2, limit=3)] == [0, 1, 2]
    assert found(wall_bag, every=100)[0].stamp == START


@pytest.mark.parametrize("delay", [-300, -20, 0, 20, 400])
def test_the_nearest_truth_counts_whenever_it_was_recorded(tmp_path, delay):
    records = []
    for index in range(4):
        time = START + index * STEP
        records += image_records(index, time)
        for offset in (-4, 3):  # stamps beside that of the image, in milliseconds
            truth = depth_record(index, time + delay * MILLISECOND + offset)
            truth.stamp = time + offset * MILLISECOND
            records.append(truth)
    bag = write_records(tmp_path / "bag", records)
    assert [case.lag for case in found(bag)] == [3 * MILLISECOND] * 4
    assert all(case.raw_truth is None for case in found(bag, tolerance=0.001))


def test_an_image_waits_no_longer_than_its_patience(tmp_path):
    # The truth ends early: later images come without it, and neither the end nor memory waits.
    records = [one for i in range(60) for one in image_records(i % 12, START + i * STEP)]
    records += [depth_record(i, START + i * STEP) for i in range(3)]
    bag = write_records(tmp_path / "bag", records)
    every = found(bag)
    assert [case.lag is None for case in every] == [False] * 3 + [True] * 57
    assert len(every[-1].infos) <= 2 * WAITING
    assert PATIENCE < 60 * STEP


def test_stamps_that_go_back_as_in_a_bag_played_in_a_loop(tmp_path):
    records = []
    for turn in range(2):
        for index in range(5):
            time = START + (turn * 100 + index) * STEP
            stamp = START + index * STEP
            made = [*image_records(index, time), depth_record(index, time)]
            for one in (*made, pose_record(0.1 * index, time)):
                one.stamp = stamp
                records.append(one)
    every = found(write_records(tmp_path / "bag", records), poses="/pose")
    assert [case.stamp for case in every] == [START + i * STEP for i in range(5)] * 2
    assert [case.lag for case in every] == [0] * 10
    np.testing.assert_allclose([case.pose[0, 3] for case in every], 2 * [0, 0.1, 0.2, 0.3, 0.4])


def test_compressed_images_and_their_camera_info(tmp_path):
    records = []
    for index, suffix in enumerate((".png", ".jpg")):
        time = START + index * STEP
        data = cv2.imencode(suffix, rgb(index)[..., ::-1])[1].ravel()
        header = image_message(rgb()).header
        message = TYPES[COMPRESSED](header=header, format=suffix[1:], data=data)
        records.append(Record("/camera/image/compressed", COMPRESSED, time, message))
        records += [image_records(index, time)[0], depth_record(index, time)]
    bag = write_records(tmp_path / "bag", records)
    inputs = find_inputs(bag, truth="/camera/depth")
    assert inputs.images.camera_info == "/camera/camera_info"
    assert (inputs.images.width, inputs.images.height) == (64, 48)
    first, second = cases(inputs)
    np.testing.assert_array_equal(picture(first.image), rgb(0))
    assert np.abs(picture(second.image).astype(int) - rgb(1)).mean() < 3


def test_a_depth_image_with_a_camera_of_its_own(tmp_path):
    records = wall_records(2)
    for index in range(2):
        records.append(depth_record(index, START + index * STEP, "/other/depth"))
        info = Record("/other/camera_info", "sensor_msgs/msg/CameraInfo", START + index * STEP,
                      camera_info_message(CAMERA.scaled(32, 24)))  # fmt: skip
        records.append(info)
    bag = write_records(tmp_path / "bag", records)
    assert [case.truth_info for case in found(bag)] == [None, None]
    assert [case.truth_info.width for case in found(bag, "/other/depth")] == [32, 32]


def test_a_trajectory_in_a_file(wall_bag, tmp_path):
    lines = [f"{(START + i * STEP) / 1e9:.6f} {i} 0 0 0 0 0 1" for i in range(3, 9)]
    (tmp_path / "poses.txt").write_text("\n".join(lines))
    poses = [case.pose for case in found(wall_bag, poses=str(tmp_path / "poses.txt"))]
    assert [pose is None for pose in poses] == 3 * [True] + 6 * [False] + 3 * [True]
    np.testing.assert_allclose([pose[0, 3] for pose in poses[3:9]], range(3, 9))


def test_topics_that_are_not_there_are_refused_with_those_that_are(wall_bag):
    with pytest.raises(
        BagError, match="/depth, which is not there; .*: /camera/image, /camera/depth"
    ):
        find_inputs(wall_bag, truth="/depth")
    with pytest.raises(BagError, match="PointCloud2 messages on /camera/depth, which is of type"):
        find_inputs(wall_bag, truth="/camera/depth", truth_type=POINT_CLOUD)
    with pytest.raises(BagError, match="no PoseStamped or .* on /nowhere"):
        find_inputs(wall_bag, truth="/camera/depth", poses="/nowhere")
    with pytest.raises(BagError, match="no images on /nothing"):
        find_inputs(wall_bag, image="/nothing", truth="/camera/depth")


def test_clouds_are_found(tmp_path):
    cloud = Record("/lidar", POINT_CLOUD, START, cloud_message(np.ones((5, 3), np.float32)))
    bag = write_records(tmp_path / "bag", [*image_records(0, START), cloud])
    inputs = find_inputs(bag, truth="/lidar", truth_type=POINT_CLOUD)
    (case,) = cases(inputs)
    assert case.truth.width == 5


def damage(bag):
    path = next(path for path in bag.iterdir() if path.suffix in (".mcap", ".db3"))
    whole = bytearray(path.read_bytes())
    middle = len(whole) // 2
    whole[middle : middle + 60_000] = np.random.default_rng(1).bytes(60_000)
    path.write_bytes(whole)


def test_a_bag_that_is_damaged_in_the_middle_gives_what_is_before(tmp_path):
    bag = write_wall_bag(tmp_path / "bag", 400)
    damage(bag)
    done = []
    with pytest.raises(BagError, match="bag is damaged"):
        for case in cases(find_inputs(bag, truth="/camera/depth")):
            assert image_to_rgb(case.image).shape == (48, 64, 3)
            done.append(case.number)
    assert 50 < len(done) < 400


def test_a_damaged_database_is_refused_at_once(tmp_path):
    bag = write_wall_bag(tmp_path / "bag", 400, "sqlite3")
    damage(bag)
    with pytest.raises(BagError, match="cannot be read"):
        find_inputs(bag, truth="/camera/depth")


def test_a_damaged_message_is_an_image_that_cannot_be_used(tmp_path):
    records = wall_records(3)
    bag = write_records(tmp_path / "bag", records)
    every = found(bag)
    kind, raw = every[1].raw_image
    every[1].raw_image = kind, raw[: len(raw) // 3]
    with pytest.raises(MessageError, match="sensor_msgs/msg/Image in the bag is damaged"):
        every[1].image  # noqa: B018
