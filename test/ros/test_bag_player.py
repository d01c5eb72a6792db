"""Whole bags on a graph: what is published, when, and what is said of what cannot be."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

import rclpy  # noqa: E402
from builtin_interfaces.msg import Time  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from rclpy.serialization import serialize_message  # noqa: E402
from ros_graph import until  # noqa: E402
from rosbags.rosbag2 import StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import Stores, get_typestore  # noqa: E402
from rosgraph_msgs.msg import Clock  # noqa: E402
from std_msgs.msg import Header, String  # noqa: E402

from depth_distill_ros.errors import BagError  # noqa: E402
from depth_distill_ros.ros.bag_player import RecordedTime, main, opened, play  # noqa: E402

START = 1_700_000_000 * 10**9
STEP = 100_000_000
"""Nanoseconds between two messages."""


def write_bag(path: Path, storage: str = "mcap", count: int = 20) -> Path:
    """A bag of headers on /headers at 10 Hz, one latched string, a clock, an unknown type."""
    store = get_typestore(Stores.ROS2_JAZZY)
    with Writer(path, version=9, storage_plugin=StoragePlugin[storage.upper()]) as writer:

        def add(topic: str, kind: str, **qos):
            return writer.add_connection(topic, kind, typestore=store, **qos)

        headers = add("/headers", "std_msgs/msg/Header")
        latched = add("/latched", "std_msgs/msg/String", offered_qos_profiles=[latched_qos()])
        clock = add("/clock", "rosgraph_msgs/msg/Clock")
        other = writer.add_connection(
            "/other", "nowhere_msgs/msg/Other", msgdef="uint8 a\n", rihs01="RIHS01_" + "0" * 64
        )
        writer.write(latched, START, serialize_message(String(data="kept")))
        writer.write(clock, START, serialize_message(Clock(clock=Time(sec=5))))
        writer.write(other, START, b"\0\1\0\0\7")
        for index in range(count):
            writer.write(headers, START + index * STEP, serialize_message(header(index)))
    return path


def header(index: int) -> Header:
    return Header(stamp=Time(sec=index), frame_id=f"frame {index}")


def latched_qos():
    """As `ros2 bag record` writes that of /tf_static."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )

    never = QosTime(2147483647, 4294967295)
    return Qos(
        QosHistory.KEEP_LAST, 1, QosReliability.RELIABLE, QosDurability.TRANSIENT_LOCAL,
        never, never, QosLiveliness.AUTOMATIC, never, False,
    )  # fmt: skip


@pytest.fixture
def graph():
    rclpy.init()
    yield
    rclpy.try_shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_every_topic_comes_as_it_was_recorded_with_the_time_of_the_recording(
    peer, tmp_path, storage
):
    bag = write_bag(tmp_path / "bag", storage)
    headers, strings, times = [], [], []
    latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    peer.node.create_subscription(Header, "/headers", headers.append, 100)
    peer.node.create_subscription(String, "/latched", strings.append, latched)
    peer.node.create_subscription(Clock, "/clock", times.append, 1000)
    options = ["--clock", "50", "--rate", "2", "--delay", "4"]
    result = subprocess.run(
        [sys.executable, "-m", "depth_distill_ros.ros.bag_player", str(bag), *options],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert "/other is left out: nowhere_msgs/msg/Other is not installed" in result.stderr
    assert "played 21 messages of 2 topics" in result.stderr
    until(lambda: headers and headers[-1] == header(19), 10, "the last header is lost")
    assert headers == [header(index) for index in range(20)]
    assert [message.data for message in strings] == ["kept"]

    clock = [message.clock.sec * 10**9 + message.clock.nanosec for message in times]
    assert clock == sorted(clock)
    assert clock[0] >= START and clock[-1] == START + 19 * STEP
    assert len(clock) > 40  # 0.95 s at 50 Hz, and one for each message


def test_recorded_time_passes_at_its_rate(graph):
    ticks = []
    clock = RecordedTime(rate=4.0, step=0.01, tick=ticks.append)
    clock.wait_until(START)
    began = time.monotonic()
    clock.wait_until(START + 10**9)
    assert time.monotonic() - began == pytest.approx(0.25, abs=0.1)
    assert ticks == sorted(ticks)
    assert ticks[0] == START and ticks[-1] == START + 10**9

    began = time.monotonic()
    clock.wait_until(START + 5 * 10**8)  # what comes late does not wait
    assert time.monotonic() - began < 0.1


def test_a_damaged_bag_is_played_to_the_damage_and_named(graph, tmp_path):
    bag = write_bag(tmp_path / "bag", count=2000)
    (storage,) = bag.glob("*.mcap")
    content = bytearray(storage.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    storage.write_bytes(content)
    with opened(bag) as reader, pytest.raises(BagError, match="cannot be read on"):
        publishers = {connection.id: Taker() for connection in reader.connections}
        play(reader, publishers, RecordedTime(1e6, 0.1, lambda _now: None))


class Taker:
    """Stands where a publisher would."""

    def publish(self, message: bytes) -> None:
        assert isinstance(message, bytes)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["nowhere"], "nowhere cannot be opened"),
        (["--rate", "0", "bag"], "must be a number above 0, got '0'"),
        (["--clock", "fast", "bag"], "must be a number above 0, got 'fast'"),
    ],
)
def test_what_cannot_be_played_is_refused_with_the_reason(
    arguments, reason, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = ended.code
    assert status == 2
    assert reason in capsys.readouterr().err
