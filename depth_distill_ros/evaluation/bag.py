"""Bags (rosbag2, MCAP): written from frames, searched for images, merged after a recording."""

from __future__ import annotations

import contextlib
import heapq
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.frames import Sequence
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.ros.cdr import with_header_stamp

IMAGE, CAMERA_INFO = "sensor_msgs/msg/Image", "sensor_msgs/msg/CameraInfo"
COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
POINT_CLOUD = "sensor_msgs/msg/PointCloud2"
FRAME_ID = "camera_optical_frame"
DEPTH_ENCODINGS = ("16UC1", "32FC1")

DAMAGE = (EOFError, MemoryError, OverflowError, UnicodeDecodeError, struct.error)
"""What reading random bytes as records raises, beside the errors of the reader itself."""

Message = tuple[str, int, bytes]
"""Topic, bag time in nanoseconds, serialized message."""


@cache
def typestore():
    """The message definitions of ROS 2 Jazzy; those of Humble and Kilted are the same here."""
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_JAZZY)


@dataclass(frozen=True)
class ImageTopics:
    """Where a bag's images are. `encoding` and the size are those of the first image."""

    image: str
    camera_info: str | None
    encoding: str
    width: int
    height: int


@contextlib.contextmanager
def open_bag(path: str | Path) -> Iterator[Any]:
    """An open rosbags Reader for a rosbag2 folder, or an .mcap or .db3 file.

    Raises BagError where there is none, it is damaged, or a message in it cannot be read.
    """
    from rosbags.rosbag2 import Reader, ReaderError
    from rosbags.serde import SerdeError

    path = Path(path)
    try:
        with Reader(path) as reader:
            yield reader
    except FileNotFoundError as error:
        raise BagError(
            f"{path} is not a bag: give the folder that holds metadata.yaml, "
            "or the .mcap or .db3 file itself"
        ) from error
    except (ReaderError, SerdeError, *DAMAGE) as error:
        raise BagError(f"the bag {path} cannot be read: {error}") from error


def find_images(path: str | Path, topic: str | None = None) -> ImageTopics:
    """The topic of colour images in a bag, and of their camera info.

    Without `topic`, the first topic by name whose images are not depth. Raises BagError where
    there is no such topic, naming what the bag has.
    """
    with open_bag(path) as reader:
        images = sorted(
            (c for c in reader.connections if c.msgtype == IMAGE and c.msgcount != 0),
            key=lambda connection: connection.topic,
        )
        candidates = [c for c in images if topic in (None, c.topic)]
        found = []
        for connection in candidates:
            first = next(reader.messages(connections=[connection]), None)
            if first is None:
                continue
            message = typestore().deserialize_cdr(first[2], IMAGE)
            if topic is not None or message.encoding not in DEPTH_ENCODINGS:
                found.append((connection.topic, message))
                break
        if not found:
            raise BagError(_no_images(path, topic, reader.connections))
        name, message = found[0]
        infos = [c.topic for c in reader.connections if c.msgtype == CAMERA_INFO]
    beside = name.rsplit("/", 1)[0] + "/camera_info"
    camera_info = beside if beside in infos else None
    if camera_info is None and len(infos) == 1:
        camera_info = infos[0]
    return ImageTopics(name, camera_info, message.encoding, message.width, message.height)


def _no_images(path: str | Path, topic: str | None, connections: list) -> str:
    what = "images" if topic is None else f"images on {topic}"
    topics = ", ".join(f"{c.topic} ({c.msgtype.rsplit('/', 1)[-1]})" for c in connections)
    hint = ""
    if any(c.msgtype == COMPRESSED_IMAGE for c in connections):
        hint = "; compressed images must be republished as sensor_msgs/Image first"
    return f"the bag {path} has no {what} to estimate depth for{hint}; it has {topics or 'nothing'}"


def write_frames_bag(
    sequence: Sequence, path: str | Path, rate: float, seconds: float, start: int
) -> dict[int, int]:
    """Writes a bag of rgb8 images and camera infos; returns the frame index of each stamp.

    A sequence shorter than `seconds` is repeated forth and back, so that the camera never jumps.
    Messages are stamped `start` nanoseconds and on, at `rate` frames a second.
    """
    path = Path(path)
    count = max(1, round(seconds * rate))
    indices = [forth_and_back(step, len(sequence)) for step in range(count)]
    stamps = [start + round(step * 1e9 / rate) for step in range(count)]
    serialize = lru_cache(maxsize=64)(partial(_serialize, sequence))
    topics = {"/image": IMAGE}
    if sequence.intrinsics is not None:
        topics["/camera_info"] = CAMERA_INFO

    def messages() -> Iterator[Message]:
        for stamp, index in zip(stamps, indices, strict=True):
            for topic, raw in serialize(index).items():
                yield topic, stamp, with_header_stamp(raw, stamp)

    write_bag(path, topics, messages())
    return dict(zip(stamps, indices, strict=True))


def forth_and_back(step: int, count: int) -> int:
    """The index of a sequence played forth and back: 0 1 2 1 0 1 … for three frames."""
    if count == 1:
        return 0
    phase = step % (2 * count - 2)
    return min(phase, 2 * count - 2 - phase)


def _serialize(sequence: Sequence, index: int) -> dict[str, bytes]:
    """The messages of one frame by topic, stamped 0; the camera info comes first."""
    frame = sequence[index]
    messages = {}
    if frame.intrinsics is not None:
        info = camera_info_message(frame.intrinsics)
        messages["/camera_info"] = bytes(typestore().serialize_cdr(info, CAMERA_INFO))
    messages["/image"] = bytes(typestore().serialize_cdr(image_message(frame.rgb), IMAGE))
    return messages


def _header() -> Any:
    types = typestore().types
    stamp = types["builtin_interfaces/msg/Time"](sec=0, nanosec=0)
    return types["std_msgs/msg/Header"](stamp=stamp, frame_id=FRAME_ID)


def image_message(rgb: np.ndarray) -> Any:
    """A sensor_msgs/Image, rgb8, of uint8 (H, W, 3), stamped 0."""
    height, width = rgb.shape[:2]
    return typestore().types[IMAGE](
        header=_header(),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(rgb).reshape(-1),
    )


def camera_info_message(intrinsics: Intrinsics) -> Any:
    """A sensor_msgs/CameraInfo of a rectified camera without distortion, stamped 0."""
    types = typestore().types
    matrix = intrinsics.matrix()
    region = types["sensor_msgs/msg/RegionOfInterest"](
        x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
    )
    return types[CAMERA_INFO](
        header=_header(),
        height=intrinsics.height,
        width=intrinsics.width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=matrix.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([matrix, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region,
    )


def write_bag(path: Path, topics: dict[str, str], messages: Iterator[Message]) -> None:
    """Writes a rosbag2 folder with MCAP storage, replacing one that is there.

    topics: message type by topic. Messages must come in the order of their times.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer

    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections = {
            topic: writer.add_connection(topic, message_type, typestore=typestore())
            for topic, message_type in topics.items()
        }
        for topic, time, raw in messages:
            writer.write(connections[topic], time, raw)


def merge_bags(
    output: Path,
    sources: list[tuple[Path, Callable[[str, int, bytes], Message | None]]],
    topics: dict[str, str],
) -> None:
    """Writes one MCAP file from bags, each message passed through its source's function.

    The function gets topic, time and message, and returns what to write, or None to leave it
    out; the order of times must survive it. `topics` are the types of what is written, by topic.
    The file is replaced atomically.
    """
    scratch = output.with_name(output.stem + ".merging")
    with contextlib.ExitStack() as stack:

        def messages(path: Path, change: Callable) -> Iterator[Message]:
            reader = stack.enter_context(open_bag(path))
            for connection, time, raw in reader.messages():
                message = change(connection.topic, time, raw)
                if message is not None:
                    yield message

        streams = [messages(path, change) for path, change in sources]
        write_bag(scratch, topics, heapq.merge(*streams, key=lambda message: message[1]))
    os.replace(scratch / f"{scratch.name}.mcap", output)
    shutil.rmtree(scratch)
