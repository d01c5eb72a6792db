"""Messages of captured frames, as a camera driver publishes them, and a bag that keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rclpy.serialization import serialize_message
from rclpy.time import Time
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from depth_distill_ros.ros.camera_info import camera_info_from_fov
from depth_distill_ros.ros.cdr import header_stamp
from depth_distill_ros.ros.messages import rgb_image

FRAME_ID = "camera_optical_frame"
TYPES = {"image": "sensor_msgs/msg/Image", "camera_info": "sensor_msgs/msg/CameraInfo"}

Message = tuple[int, str, bytes]
"""Nanoseconds since the first one, "image" or "camera_info", and the serialized message."""


def captured_messages(
    frames: Iterator[tuple[int, np.ndarray]], fov: float | None
) -> Iterator[Message]:
    """The messages of (stamp in nanoseconds, uint8 RGB frame (H, W, 3)).

    fov: of the whole width, in degrees; without it there is no camera_info.
    """
    start: int | None = None
    for stamp, frame in frames:
        start = stamp if start is None else start
        header = Header(stamp=Time(nanoseconds=stamp).to_msg(), frame_id=FRAME_ID)
        if fov is not None:
            height, width = frame.shape[:2]
            info = camera_info_from_fov(CameraInfo, header, width, height, fov)
            yield stamp - start, "camera_info", serialize_message(info)
        yield stamp - start, "image", serialize_message(rgb_image(frame, header, Image))


def keep(messages: Iterator[Message], bag: Path, limit: float) -> Iterator[Message]:
    """Passes messages on and writes each, once the next one is asked for, to a new bag.

    They are on /image and /camera_info, at the times of their stamps. Those past `limit` bytes are
    passed on only: the bag has the first part of a long run, without gaps.
    """
    typestore = get_typestore(Stores.ROS2_JAZZY)
    size = 0
    writer = Writer(bag, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.open()
    try:  # `with` would leave the bag unfinished when whoever takes the messages has enough
        connections = {
            name: writer.add_connection(f"/{name}", message_type, typestore=typestore)
            for name, message_type in TYPES.items()
        }
        for message in messages:
            yield message
            _, name, raw = message
            size += len(raw)
            if size <= limit:
                writer.write(connections[name], header_stamp(raw), raw)
    finally:
        writer.close()
