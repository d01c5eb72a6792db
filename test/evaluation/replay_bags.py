"""Bags of a scene whose depth is in its images, and the model that reads it there.

The red channel is the disparity d in 255ths; the true depth is 1 / (0.5 d + 0.1). A model that
reads the red channel is exact up to that scale and shift.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.evaluation.bag import (
    CAMERA_INFO,
    FRAME_ID,
    IMAGE,
    POINT_CLOUD,
    camera_info_message,
    image_message,
    typestore,
    write_bag,
)
from depth_distill_ros.evaluation.recorded_frames import POSE, pose_message
from depth_distill_ros.evaluation.replay.command import Model
from depth_distill_ros.geometry.camera import Intrinsics

TYPES = typestore().types
CAMERA = Intrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5, width=64, height=48)
SCALE, SHIFT = 0.5, 0.1
STATIC = "tf2_msgs/msg/TFMessage"
ODOMETRY = "nav_msgs/msg/Odometry"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
START, STEP = 1_700_000_000_000_000_123, 100_000_000


def disparity(index: int = 0) -> np.ndarray:
    """float32 (48, 64), in 255ths: a floor, brighter with the number of the frame."""
    rows = np.linspace(20, 200, 48)[:, None] + np.linspace(0, 20, 64)[None, :] + index
    return np.round(rows).astype(np.float32) / 255


def rgb(index: int = 0) -> np.ndarray:
    image = np.full((48, 64, 3), 90, np.uint8)
    image[..., 0] = np.round(disparity(index) * 255)
    return image


def depth(index: int = 0) -> np.ndarray:
    """Metres, float32 (48, 64)."""
    return (1 / (SCALE * disparity(index) + SHIFT)).astype(np.float32)


def read_red(images: list[np.ndarray]) -> list[np.ndarray]:
    return [image[..., 0].astype(np.float32) / 255 for image in images]


def exact_model() -> Model:
    return Model(read_red, "red", "0123456789ab", "cpu")


@dataclass
class Record:
    """One message of a bag; its header gets the stamp, and `frame` where it has one."""

    topic: str
    message_type: str
    time: int
    message: Any
    stamp: int | None = None
    frame: str = FRAME_ID


def serialized(record: Record) -> bytes:
    message = record.message
    stamp = record.time if record.stamp is None else record.stamp
    if hasattr(message, "header"):
        message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
        if record.message_type not in (POSE, ODOMETRY):
            message.header.frame_id = record.frame
    return bytes(typestore().serialize_cdr(message, record.message_type))


def write_records(path: Path, records: Iterable[Record], storage: str = "mcap") -> Path:
    records = sorted(records, key=lambda record: record.time)
    topics = {record.topic: record.message_type for record in records}
    messages = [(record.topic, record.time, serialized(record)) for record in records]
    write_bag(path, topics, iter(messages), storage)
    return path


def image_records(index: int, time: int) -> list[Record]:
    return [
        Record("/camera/camera_info", CAMERA_INFO, time, camera_info_message(CAMERA)),
        Record("/camera/image", IMAGE, time, image_message(rgb(index))),
    ]


def depth_record(index: int, time: int, topic: str = "/camera/depth") -> Record:
    return Record(topic, IMAGE, time, image_message(depth(index), "32FC1"))


def pose_record(x: float, time: int) -> Record:
    pose = np.eye(4)
    pose[0, 3] = x
    return Record("/pose", POSE, time, pose_message(pose))


def odometry_record(x: float, time: int, child: str = "body") -> Record:
    """The child's pose: x metres along the x axis of the world, turned as the world."""
    pose = np.eye(4)
    pose[0, 3] = x
    stamped, zero = pose_message(pose), TYPES["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
    twist = TYPES["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    message = TYPES[ODOMETRY](
        header=stamped.header,
        child_frame_id=child,
        pose=TYPES["geometry_msgs/msg/PoseWithCovariance"](stamped.pose, np.zeros(36)),
        twist=TYPES["geometry_msgs/msg/TwistWithCovariance"](twist, np.zeros(36)),
    )
    return Record("/odom", ODOMETRY, time, message)


def wall_records(frames: int = 12) -> list[Record]:
    records = []
    for index in range(frames):
        time = START + index * STEP
        records += image_records(index, time)
        records += [depth_record(index, time), pose_record(0.01 * index, time)]
    return records


def write_wall_bag(path: Path, frames: int = 12, storage: str = "mcap") -> Path:
    return write_records(path, wall_records(frames), storage)


def cloud_message(points: np.ndarray, rings: np.ndarray | None = None, rows: int = 1) -> Any:
    """A PointCloud2 of points (N, 3), with padding, and a field `ring` of uint16 where given."""
    layout = np.dtype({"names": ["x", "y", "z", "ring"], "formats": ["<f4"] * 3 + ["<u2"],
                       "offsets": [0, 4, 8, 16], "itemsize": 22})  # fmt: skip
    data = np.zeros(len(points), layout)
    for axis, name in enumerate("xyz"):
        data[name] = points[:, axis]
    names = [("x", 0, 7), ("y", 4, 7), ("z", 8, 7)]
    if rings is not None:
        data["ring"] = rings
        names.append(("ring", 16, 4))
    field = TYPES["sensor_msgs/msg/PointField"]
    header = TYPES["std_msgs/msg/Header"](
        stamp=TYPES["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id=""
    )
    width = len(points) // rows
    return TYPES[POINT_CLOUD](
        header=header,
        height=rows,
        width=width,
        fields=[field(name=n, offset=o, datatype=t, count=1) for n, o, t in names],
        is_bigendian=False,
        point_step=layout.itemsize,
        row_step=layout.itemsize * width,
        data=np.frombuffer(data.tobytes(), np.uint8),
        is_dense=True,
    )


def transform_message(
    parent: str, child: str, translation: tuple, quaternion: tuple = (0.0, 0.0, 0.0, 1.0)
) -> Any:
    """A geometry_msgs/TransformStamped."""
    header = TYPES["std_msgs/msg/Header"](
        stamp=TYPES["builtin_interfaces/msg/Time"](sec=0, nanosec=0), frame_id=parent
    )
    return TYPES["geometry_msgs/msg/TransformStamped"](
        header=header,
        child_frame_id=child,
        transform=TYPES["geometry_msgs/msg/Transform"](
            translation=TYPES["geometry_msgs/msg/Vector3"](*translation),
            rotation=TYPES["geometry_msgs/msg/Quaternion"](*quaternion),
        ),
    )


def static_record(transforms: list[Any], time: int) -> Record:
    return Record("/tf_static", STATIC, time, TYPES[STATIC](transforms=transforms))
