"""Plays a bag, a video file or a camera onto a graph, as a camera would (a process of the demo).

    python -m depth_distill_ros.ros.player --bag BAG --image TOPIC --log FILE
    python -m depth_distill_ros.ros.player --video FILE|--camera CAMERA --keep BAG --log FILE

A bag's messages go out as they were serialized, at their recorded times, on `image` and
`camera_info`: stamps and frame ids are kept. Of a video or a camera, what was published is kept in
a bag of its own, up to `--keep-bytes`. The log has a line for each image: header stamp and
CLOCK_MONOTONIC at publication, both in nanoseconds, so that another process on this machine can
tell the latency.
"""

from __future__ import annotations

import argparse
import contextlib
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import Reader, ReaderError
from sensor_msgs.msg import CameraInfo, Image

from depth_distill_ros.errors import BagError, UserError
from depth_distill_ros.ros.capture import (
    camera_frames,
    open_camera,
    open_video,
    video_frames,
    video_rate,
)
from depth_distill_ros.ros.captured import Message, captured_messages, keep
from depth_distill_ros.ros.cdr import header_stamp
from depth_distill_ros.ros.newest import newest
from depth_distill_ros.ros.process import run_process

# Best effort, as cameras publish: a slow subscriber must not hold the player back.
CAMERA_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
OUTPUT = "relative/image"

DAMAGE = (EOFError, MemoryError, OverflowError, ValueError, struct.error)
"""What reading the records of a damaged bag raises, beside the errors of the reader itself."""


def wait_for_graph(node: Node, timeout: float) -> None:
    """Returns once somebody listens to `image`, and somebody to the depth made of it.

    Raises UserError after `timeout` seconds, naming what is missing.
    """
    deadline = time.monotonic() + timeout
    while rclpy.ok():
        missing = [
            name
            for name, count in (
                ("a subscriber of image", node.count_subscribers("image")),
                (f"a publisher of {OUTPUT}", node.count_publishers(OUTPUT)),
                (f"a subscriber of {OUTPUT}", node.count_subscribers(OUTPUT)),
            )
            if count == 0
        ]
        if not missing:
            return
        if time.monotonic() > deadline:
            raise UserError(f"after {timeout:g} s the graph still lacks {', '.join(missing)}")
        time.sleep(0.05)


def bag_messages(bag: Path, image_topic: str, camera_info_topic: str | None) -> Iterator[Message]:
    """The messages of a bag. Raises BagError where it ends in the middle of a record."""
    names = {image_topic: "image", camera_info_topic: "camera_info"}
    with Reader(bag) as reader:
        chosen = [c for c in reader.connections if c.topic in names]
        start: int | None = None
        try:
            for connection, stamp, raw in reader.messages(connections=chosen):
                start = stamp if start is None else start
                yield stamp - start, names[connection.topic], bytes(raw)
        except (ReaderError, OSError, *DAMAGE) as error:
            raise BagError(f"{bag} cannot be read on: {error}") from error


def opened(options: argparse.Namespace) -> Iterator[Message]:
    """The messages of what the options name. Raises UserError where it cannot be opened."""
    if options.bag is not None:
        return bag_messages(options.bag, options.image, options.camera_info)
    if options.video is not None:
        video = open_video(options.video)
        frames = video_frames(video, options.rate or video_rate(video))
    else:
        frames = newest(camera_frames(open_camera(options.camera)))
    messages = captured_messages(frames, options.fov)
    return keep(messages, options.keep, options.keep_bytes) if options.keep else messages


def play(node: Node, messages: Iterator[Message], seconds: float, log: Path) -> int:
    """Publishes each message at its time, up to `seconds`; returns the number of images."""
    publishers = {
        "image": node.create_publisher(Image, "image", CAMERA_QOS),
        "camera_info": node.create_publisher(CameraInfo, "camera_info", CAMERA_QOS),
    }
    wait_for_graph(node, timeout=120)
    count = 0
    with open(log, "w", encoding="ascii") as lines:
        started: int | None = None
        for offset, name, raw in messages:
            if offset >= seconds * 1e9:
                break
            started = time.monotonic_ns() - offset if started is None else started
            time.sleep(max(0, started + offset - time.monotonic_ns()) / 1e9)
            if not rclpy.ok():
                break
            now = time.monotonic_ns()
            publishers[name].publish(raw)
            if name == "image":
                lines.write(f"{header_stamp(raw)} {now}\n")
                count += 1
    return count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--bag", type=Path, help="rosbag2 folder or storage file")
    source.add_argument("--video", type=Path, help="a video file")
    source.add_argument("--camera", help="a camera's number or device")
    parser.add_argument("--image", help="topic of the images in the bag")
    parser.add_argument("--camera-info", help="topic of their camera_info")
    parser.add_argument("--rate", type=float, help="frames a second; the video's by default")
    parser.add_argument("--fov", type=float, help="degrees: publish a camera_info of this width")
    parser.add_argument("--keep", type=Path, help="bag to make of the images that were published")
    parser.add_argument("--keep-bytes", type=float, default=float("inf"), help="its size at most")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after")
    parser.add_argument("--log", type=Path, required=True, help="stamps and publication times")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Play a source until its end; returns the exit status."""
    options = _parser().parse_args(arguments)
    return run_process(lambda: _run(options), interrupted=130)


def _run(options: argparse.Namespace) -> None:
    node = rclpy.create_node("player")
    with contextlib.closing(opened(options)) as messages:
        count = play(node, messages, options.seconds, options.log)
    print(f"played {count} images", flush=True)
    # Deleting a writer drops what readers have not taken yet: let the last image arrive.
    time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
