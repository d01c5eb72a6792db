"""Records the node's output to a bag (a process of the demo).

    python -m depth_distill_ros.ros.recorder BAG --log FILE

Messages are written as they arrive, serialized. Every image and camera info is kept, but only one
cloud in `--cloud-period` seconds: a 640x480 cloud is 4.9 MB, and writing all of them would take
the processor time that is being measured. Past `--limit` bytes nothing more is written. The log has
a line for each message, written or not: topic, header stamp and CLOCK_MONOTONIC on arrival, in
nanoseconds. SIGINT ends the recording.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path
from typing import TextIO

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_distill_ros.ros.cdr import header_stamp

TOPICS = {
    "relative/image": Image,
    "relative/camera_info": CameraInfo,
    "relative/points": PointCloud2,
}


class Recorder(Node):
    """Subscribes to the node's topics and writes what arrives."""

    def __init__(self, writer: Writer, log: TextIO, cloud_period: float, limit: float):
        super().__init__("recorder")
        self._writer, self._log = writer, log
        self._cloud_period = int(cloud_period * 1e9)
        self._last_cloud: int | None = None
        self._room = limit
        typestore = get_typestore(Stores.ROS2_JAZZY)
        qos = QoSProfile(depth=2, reliability=ReliabilityPolicy.RELIABLE)
        for topic, message_type in TOPICS.items():
            connection = writer.add_connection(
                f"/{topic}", f"sensor_msgs/msg/{message_type.__name__}", typestore=typestore
            )

            def write(raw: bytes, topic=topic, connection=connection) -> None:
                self._on_message(topic, connection, raw)

            self.create_subscription(message_type, topic, write, qos, raw=True)

    def _on_message(self, topic: str, connection, raw: bytes) -> None:
        arrived = time.monotonic_ns()
        stamp = header_stamp(raw)
        self._log.write(f"{topic} {stamp} {arrived}\n")
        if topic.endswith("points"):
            if self._last_cloud is not None and arrived - self._last_cloud < self._cloud_period:
                return
            self._last_cloud = arrived
        self._room -= len(raw)
        if self._room >= 0:
            self._writer.write(connection, time.time_ns(), raw)


def _spin_until_signal(node: Node) -> None:
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except RuntimeError:  # the signal ended the context between two of spin's own looks at it
        if rclpy.ok():
            raise


def main(arguments: list[str] | None = None) -> int:
    """Record until a signal comes; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bag", type=Path, help="folder to make")
    parser.add_argument("--log", type=Path, required=True, help="stamps and arrival times")
    parser.add_argument("--cloud-period", type=float, default=1.0, help="seconds between clouds")
    parser.add_argument("--limit", type=float, default=float("inf"), help="bytes in the bag")
    options = parser.parse_args(arguments)
    rclpy.init(args=[])
    with (
        Writer(options.bag, version=9, storage_plugin=StoragePlugin.MCAP) as writer,
        open(options.log, "w", encoding="ascii") as log,
    ):
        _spin_until_signal(Recorder(writer, log, options.cloud_period, options.limit))
    # The bag is whole now. rclpy's own handler of the signal may be shutting the context down at
    # this moment, and the second of the two fails.
    with contextlib.suppress(RuntimeError):
        rclpy.try_shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
