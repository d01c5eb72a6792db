"""Plays a whole bag onto a graph, as `ros2 bag play` does, where that is not installed.

    python -m depth_distill_ros.ros.bag_player BAG --clock 100 --delay 1 --rate 0.5 --loop

Every topic goes out under its own name, as it was serialized, at its recorded time. Topics whose
message type is not installed are left out, with a line that says so. The options mean what they
mean for `ros2 bag play`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.time import Time
from rosbags.interfaces import Connection, QosDurability
from rosbags.rosbag2 import Reader, ReaderError
from rosgraph_msgs.msg import Clock

from depth_distill_ros.errors import BagError
from depth_distill_ros.ros.dds import with_shared_memory_profile
from depth_distill_ros.ros.player import DAMAGE
from depth_distill_ros.ros.process import run_process

CLOCK = "/clock"
SHORT_SLEEP = 0.1
"""Seconds between two looks at whether the process was interrupted."""


class RecordedTime:
    """The recording's time, which passes with the wall clock from the first wait on.

    Args:
        rate: its seconds in one of the wall clock.
        step: seconds of the wall clock between two ticks while waiting.
        tick: takes the time in nanoseconds; never less than the tick before.
    """

    def __init__(self, rate: float, step: float, tick: Callable[[int], None]):
        self._rate, self._step, self._tick = rate, step, tick
        self._start: tuple[int, int] | None = None

    def wait_until(self, stamp: int) -> None:
        """Returns when it is `stamp` (nanoseconds), or when the process was interrupted."""
        self._start = self._start or (stamp, time.monotonic_ns())
        recorded, wall = self._start
        while rclpy.ok():
            now = recorded + round((time.monotonic_ns() - wall) * self._rate)
            self._tick(min(now, stamp))
            if now >= stamp:
                return
            time.sleep(min(self._step, (stamp - now) / self._rate * 1e-9))


@contextlib.contextmanager
def opened(bag: Path) -> Iterator[Reader]:
    """A bag to read from. Raises BagError where there is none, or none that can be opened."""
    try:
        reader = Reader(bag)
        reader.open()
    except (ReaderError, OSError, *DAMAGE) as error:
        raise BagError(f"{bag} cannot be opened: {error}") from error
    with contextlib.closing(reader):
        yield reader


def play(reader: Reader, publishers: dict[int, Publisher], clock: RecordedTime) -> int:
    """Publishes each message at its time; returns how many.

    Args:
        publishers: by the id of the bag's connection; others are left out.

    Raises BagError where the bag ends in the middle of a record.
    """
    chosen = [connection for connection in reader.connections if connection.id in publishers]
    count = 0
    try:
        for connection, stamp, raw in reader.messages(connections=chosen):
            clock.wait_until(stamp)
            if not rclpy.ok():
                break
            publishers[connection.id].publish(bytes(raw))
            count += 1
    except (ReaderError, OSError, *DAMAGE) as error:
        raise BagError(f"{reader.path} cannot be read on: {error}") from error
    return count


def make_publishers(node: Node, reader: Reader) -> dict[int, Publisher]:
    """Publishers of the bag's topics by connection; the topic of the clock has none."""
    publishers: dict[int, Publisher] = {}
    for connection in reader.connections:
        if connection.topic == CLOCK:
            continue
        package, _, name = connection.msgtype.partition("/msg/")
        try:
            message_type = getattr(importlib.import_module(f"{package}.msg"), name)
        except (ImportError, AttributeError):
            node.get_logger().warning(
                f"{connection.topic} is left out: {connection.msgtype} is not installed"
            )
            continue
        publishers[connection.id] = node.create_publisher(
            message_type, connection.topic, _qos(connection)
        )
    return publishers


def _qos(connection: Connection) -> QoSProfile:
    """Reliable, which any subscriber takes; kept for late ones where it was when recorded."""
    offered = [profile.durability for profile in connection.ext.offered_qos_profiles]
    if QosDurability.TRANSIENT_LOCAL in offered:
        return QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    return QoSProfile(depth=10)


def _run(options: argparse.Namespace) -> None:
    node = rclpy.create_node("bag_player")
    tick, step = (lambda _now: None), SHORT_SLEEP
    if options.clock:
        publisher = node.create_publisher(Clock, CLOCK, 10)
        step = 1 / options.clock

        def tick(now: int) -> None:
            publisher.publish(Clock(clock=Time(nanoseconds=now).to_msg()))

    with opened(options.bag) as reader:
        publishers = make_publishers(node, reader)
        time.sleep(options.delay)
        while True:
            count = play(reader, publishers, RecordedTime(options.rate, step, tick))
            node.get_logger().info(f"played {count} messages of {len(publishers)} topics")
            if not (options.loop and count and rclpy.ok()):
                break
        # Deleting a writer drops what readers have not taken yet: let the last messages arrive.
        for publisher in publishers.values():
            publisher.wait_for_all_acked(Duration(seconds=2.0))
        time.sleep(0.5)  # best-effort readers acknowledge nothing


def _positive(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < math.inf:
            return value
    raise argparse.ArgumentTypeError(f"must be a number above 0, got '{text}'")


def main(arguments: list[str] | None = None) -> int:
    """Plays a bag until its end or until interrupted; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bag", type=Path, help="rosbag2 folder or storage file")
    parser.add_argument("--rate", type=_positive, default=1.0, help="speed, of the recording's")
    parser.add_argument("--clock", type=_positive, help="publish the time on /clock, in Hz")
    parser.add_argument(
        "--delay", type=_positive, default=0.0, help="seconds before the first message"
    )
    parser.add_argument("--loop", action="store_true", help="again when the bag ends")
    options = parser.parse_args(arguments)
    os.environ.update(with_shared_memory_profile(os.environ))
    return run_process(lambda: _run(options), interrupted=0)


if __name__ == "__main__":
    sys.exit(main())
