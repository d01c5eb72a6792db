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

import cv2
import numpy as np

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.frames import Sequence
from depth_distill_ros.evaluation.images import decode_image
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
    message_type: str = IMAGE


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


def find_images(
    path: str | Path, topic: str | None = None, compressed: bool = False
) -> ImageTopics:
    """The topic of colour images in a bag, and of their camera info.

    Without `topic`, the first topic by name whose images are not depth; `compressed` admits
    CompressedImage topics as well. Raises BagError where there is no such topic, naming what the
    bag has.
    """
    kinds = (IMAGE, COMPRESSED_IMAGE) if compressed else (IMAGE,)
    with open_bag(path) as reader:
        candidates = sorted(
            (c for c in reader.connections if c.msgtype in kinds and topic in (None, c.topic)),
            key=lambda connection: (kinds.index(connection.msgtype), connection.topic),
        )
        for connection in candidates:
            first = next(reader.messages(connections=[connection]), None)
            if first is None:
                continue
            message = typestore().deserialize_cdr(first[2], connection.msgtype)
            encoding, width, height = _encoding_and_size(message)
            if topic is not None or not _is_depth(encoding):
                break
        else:
            raise BagError(_no_images(path, topic, reader.connections, compressed))
        infos = [c.topic for c in reader.connections if c.msgtype == CAMERA_INFO]
    name = connection.topic
    return ImageTopics(
        name, camera_info_beside(name, infos), encoding, width, height, connection.msgtype
    )


def camera_info_beside(topic: str, infos: list[str]) -> str | None:
    """Of the camera_info topics, the one in an image topic's namespace, or the only one."""
    beside = topic.removesuffix("/compressed").rsplit("/", 1)[0] + "/camera_info"
    if beside in infos:
        return beside
    return infos[0] if len(infos) == 1 else None


def _encoding_and_size(message: Any) -> tuple[str, int, int]:
    """Encoding, width and height of an Image; those of a CompressedImage need a look inside."""
    if hasattr(message, "encoding"):
        return message.encoding, message.width, message.height
    pixels = decode_image(bytes(message.data), cv2.IMREAD_UNCHANGED, "the first compressed image")
    return message.format, pixels.shape[1], pixels.shape[0]


def _is_depth(encoding: str) -> bool:
    return encoding.split(";")[0] in DEPTH_ENCODINGS or "compressedDepth" in encoding


def _no_images(path: str | Path, topic: str | None, connections: list, compressed: bool) -> str:
    what = "images" if topic is None else f"images on {topic}"
    topics = ", ".join(f"{c.topic} ({c.msgtype.rsplit('/', 1)[-1]})" for c in connections)
    hint = ""
    if not compressed and any(c.msgtype == COMPRESSED_IMAGE for c in connections):
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


def image_message(pixels: np.ndarray, encoding: str = "rgb8") -> Any:
    """A sensor_msgs/Image, stamped 0, of pixels whose type and channels are the encoding's."""
    height, width = pixels.shape[:2]
    little_endian = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("<"))
    return typestore().types[IMAGE](
        header=_header(),
        height=height,
        width=width,
        encoding=encoding,
        is_bigendian=0,
        step=little_endian[0].nbytes,
        data=little_endian.reshape(-1).view(np.uint8),
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


def write_bag(
    path: Path, topics: dict[str, str], messages: Iterator[Message], storage: str = "mcap"
) -> None:
    """Writes a rosbag2 folder with `mcap` or `sqlite3` storage, replacing one that is there.

    topics: message type by topic. Messages must come in the order of their times.
    """
    from rosbags.rosbag2 import StoragePlugin, Writer

    if path.exists():
        shutil.rmtree(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:
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
