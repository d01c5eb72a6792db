"""Messages of captured frames, read back by another library than the one that wrote them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from depth_distill_ros.evaluation.bag import find_images, open_bag, typestore
from depth_distill_ros.ros.cdr import header_stamp

pytest.importorskip("rclpy", reason="ROS 2 (rclpy) is not installed")

MS = 1_000_000
START = 1_700_000_000_123_456_789


def frames(count: int = 5, size: tuple[int, int] = (4, 6)):
    """Every 100 ms a frame whose pixels are its number."""
    for number in range(count):
        yield START + number * 100 * MS, np.full((*size, 3), number, np.uint8)


def captured(fov=None, **options):
    from depth_distill_ros.ros.captured import captured_messages

    return captured_messages(frames(**options), fov)


def read(bag) -> list:
    with open_bag(bag) as reader:
        return [
            (connection.topic, time, typestore().deserialize_cdr(raw, connection.msgtype))
            for connection, time, raw in reader.messages()
        ]


def test_messages_have_the_stamps_and_pixels_of_the_frames():
    messages = list(captured())
    assert [(offset, name) for offset, name, _ in messages] == [
        (number * 100 * MS, "image") for number in range(5)
    ]
    assert [header_stamp(raw) for _, _, raw in messages] == [stamp for stamp, _ in frames()]
    image = typestore().deserialize_cdr(messages[3][2], "sensor_msgs/msg/Image")
    assert (image.width, image.height, image.step, image.encoding) == (6, 4, 18, "rgb8")
    assert image.header.frame_id == "camera_optical_frame"
    assert (image.data == 3).all()


def test_camera_info_comes_before_its_image_where_the_field_of_view_is_known():
    messages = list(captured(fov=90.0))
    assert [name for _, name, _ in messages] == ["camera_info", "image"] * 5
    assert header_stamp(messages[0][2]) == header_stamp(messages[1][2])
    info = typestore().deserialize_cdr(messages[0][2], "sensor_msgs/msg/CameraInfo")
    assert (info.width, info.height) == (6, 4)
    assert info.k[0] == pytest.approx(3 / math.tan(math.radians(45)))


def test_what_passes_is_kept(tmp_path):
    from depth_distill_ros.ros.captured import keep

    passed = list(keep(captured(fov=60.0), tmp_path / "bag", math.inf))
    assert passed == list(captured(fov=60.0))
    found = find_images(tmp_path / "bag")
    assert (found.image, found.camera_info) == ("/image", "/camera_info")
    kept = read(tmp_path / "bag")
    assert [time for topic, time, _ in kept if topic == "/image"] == [s for s, _ in frames()]
    assert [int(m.data[0]) for topic, _, m in kept if topic == "/image"] == list(range(5))


def test_the_first_part_is_kept_within_the_limit_and_all_pass(tmp_path):
    from depth_distill_ros.ros.captured import keep

    size = len(next(captured(size=(100, 100)))[2])
    messages = captured(size=(100, 100))
    assert len(list(keep(messages, tmp_path / "bag", 3.5 * size))) == 5
    assert [int(m.data[0]) for _, _, m in read(tmp_path / "bag")] == [0, 1, 2]
    assert (tmp_path / "bag" / "bag.mcap").stat().st_size < 3.6 * size


def test_a_bag_that_is_closed_early_has_what_was_taken_and_passed_on(tmp_path):
    from depth_distill_ros.ros.captured import keep

    messages = keep(captured(), tmp_path / "bag", math.inf)
    for _ in range(3):
        next(messages)
    messages.close()
    assert [int(m.data[0]) for _, _, m in read(tmp_path / "bag")] == [0, 1]
