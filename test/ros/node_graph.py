"""A node that is watched: in a namespace of its own, with a peer, its memory and its counters.

The namespace keeps graphs apart that share a domain. Nothing that arrives is kept but stamps and
the last message of each topic, so that long runs fit in memory.
"""

from __future__ import annotations

import itertools
import os
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ros_graph import (
    RELIABLE_QOS,
    SENSOR_QOS,
    START_SECONDS,
    NodeProcess,
    Peer,
    ros_camera_info,
    ros_image,
    until,
)

from depth_distill_ros.ros.camera import OUTPUTS

SIZE = (640, 480)
ANSWER_SECONDS = 2.0
"""Patience with an answer before the frame counts as lost on its way, and goes out again."""

_numbers = itertools.count()


def noise(width: int, height: int, seed: int = 0) -> np.ndarray:
    """A picture, uint8 (height, width, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def set_stamp(message: Any, seconds: float) -> Any:
    """The message, with another header stamp."""
    nanoseconds = round(seconds * 1e9)
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(nanoseconds, 1_000_000_000)
    return message


def stamp_of(message: Any) -> float:
    """The header stamp in seconds."""
    return message.header.stamp.sec + message.header.stamp.nanosec * 1e-9


def memory(pid: int) -> float:
    """Resident memory of a process in MiB, without what it shares with others to talk to them."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    values = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return (int(values["VmRSS"].split()[0]) - int(values["RssShmem"].split()[0])) / 1024


@dataclass
class Figures:
    """What became of the frames of a fault, and of the node's memory in MiB.

    `lost` are those that the middleware did not deliver: best effort may.
    """

    fault: str
    sent: int = 0
    received: int = 0
    processed: int = 0
    dropped: int = 0
    refused: int = 0
    failed: int = 0
    memory_before: float = 0.0
    memory_after: float = 0.0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> int:
        return self.sent - self.received

    @property
    def growth(self) -> float:
        return self.memory_after - self.memory_before

    def check(self, growth: float = 30.0) -> Figures:
        """Fails where a frame is unaccounted for, failed, or memory has grown by more MiB."""
        assert self.received == self.processed + self.dropped + self.refused + self.failed, self
        assert 0 <= self.lost, self
        assert self.failed == 0, self
        assert self.growth < growth, self
        return self


@dataclass
class Seen:
    """What came on a topic: stamps in seconds, in order, and the last message."""

    stamps: list[float] = field(default_factory=list)
    last: Any = None

    def take(self, message: Any) -> None:
        self.last = message
        self.stamps.append(stamp_of(message))


class NodeGraph:
    """A node process and a peer on topics below `namespace`.

    Args:
        folder: for the log.
        parameters: NAME:=VALUE; `{ns}` in them is the namespace.
        listen: topics to listen to, below the namespace.
        cameras: names of the cameras, as in the parameter.
    """

    def __init__(
        self,
        folder: Path,
        parameters: tuple[str, ...] = (),
        listen: tuple[str, ...] = (),
        cameras: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ):
        self.namespace = f"/graph{os.getpid()}_{next(_numbers)}"
        if cameras:
            parameters = (*parameters, f"cameras:=[{','.join(cameras)}]")
        parameters = tuple(value.replace("{ns}", self.namespace) for value in parameters)
        self.folder = folder
        remapping = ("-r", f"__ns:={self.namespace}")
        self.process = NodeProcess(folder / "node.log", parameters, remapping, environment)
        self.peer = Peer(self.namespace)
        self.seen: dict[str, Seen] = {}
        self._statuses: dict[str, tuple[float, DiagnosticStatus]] = {}
        self._publishers: dict[str, Any] = {}
        self._stamps = itertools.count(1_000_000)
        self.peer.node.create_subscription(
            DiagnosticArray, "/diagnostics", self._take_diagnostics, 10
        )
        for topic in listen:
            self.listen(topic)
        self._prefixes = [f"{name}/" for name in cameras] or [""]

    # --- the graph -------------------------------------------------------------------------------

    def wait(self) -> NodeGraph:
        """Returns when the node takes images of all cameras and all listeners are connected."""

        def ready() -> bool:
            assert self.process.is_running, self.process.log
            return "ready: images from" in self.process.log and all(
                self.peer.node.count_publishers(topic) for topic in self.seen
            )

        until(ready, START_SECONDS, "the node is not ready")
        return self

    def listen(self, topic: str) -> Seen:
        """Begins to look at a topic of the node."""
        seen = self.seen[topic] = Seen()
        kind = next(t for name, t in OUTPUTS.items() if f"/{topic}".endswith(f"/{name}"))
        self.peer.node.create_subscription(kind, topic, seen.take, RELIABLE_QOS)
        return seen

    def publish(self, topic: str, message: Any) -> None:
        """Publishes on a topic below the namespace, once its first subscriber is there."""
        publisher = self._publishers.get(topic)
        if publisher is None:
            publisher = self.peer.node.create_publisher(type(message), topic, SENSOR_QOS)
            self._publishers[topic] = publisher
            until(publisher.get_subscription_count, 20, f"nobody subscribes to {topic}")
        publisher.publish(message)

    def close(self) -> None:
        self.process.close()
        self.peer.close()

    # --- frames ----------------------------------------------------------------------------------

    def next_stamp(self) -> float:
        """A stamp that no other frame has; a second after the last one."""
        return float(next(self._stamps))

    def send(self, image: Any, camera_info: Any | None = None, camera: str = "") -> None:
        """Publishes an image, after a camera_info with its header where one is given."""
        prefix = f"{camera}/" if camera else ""
        if camera_info is not None:
            camera_info.header = image.header
            self.publish(f"{prefix}camera_info", camera_info)
        topic = f"{prefix}image/compressed" if hasattr(image, "format") else f"{prefix}image"
        self.publish(topic, image)

    def answered(
        self,
        image: Any,
        camera_info: Any | None = None,
        topics: tuple[str, ...] = (),
        camera: str = "",
        patience: float = 60.0,
        references: dict[str, Any] | None = None,
    ) -> int:
        """Sends an image until all topics (default: those listened to) have answered it.

        Returns how often it was sent. Fails after `patience` seconds. Measured depth that the
        answer needs goes into `references`, by topic: it is best effort too, and is sent before
        the image each time.
        """
        topics = topics or tuple(self.seen)
        stamp = stamp_of(image)
        deadline = time.monotonic() + patience
        for number in itertools.count(1):
            assert self.process.is_running, self.process.log
            assert time.monotonic() < deadline, f"no answer to {stamp}: {self.process.log[-2000:]}"
            for topic, reference in (references or {}).items():
                self.publish(topic, reference)
            self.send(image, camera_info, camera)
            resend = time.monotonic() + ANSWER_SECONDS
            while time.monotonic() < resend:
                if all(stamp in self.seen[topic].stamps[-50:] for topic in topics):
                    return number
                time.sleep(0.005)

    def good_frames(self, count: int = 5, camera: str = "", topics: tuple[str, ...] = ()) -> int:
        """Sends good frames, each when the one before was answered; how many it took."""
        image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
        return sum(
            self.answered(set_stamp(image, self.next_stamp()), info, topics, camera)
            for _ in range(count)
        )

    # --- what the node says ----------------------------------------------------------------------

    def _take_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith(f"{self.namespace}/"):
                self._statuses[status.name.split(": ")[1]] = time.monotonic(), status

    def status(self, name: str = "camera", seconds: float = 20.0) -> DiagnosticStatus:
        """The next status of a camera, or of the model."""
        now = time.monotonic()

        def newer() -> bool:
            assert self.process.is_running, self.process.log
            return self._statuses.get(name, (0.0,))[0] > now

        until(newer, seconds, f"no diagnostics of {name}")
        return self._statuses[name][1]

    def values(self, name: str = "camera") -> dict[str, str]:
        """The values of the next status."""
        return {pair.key: pair.value for pair in self.status(name).values}

    def counts(self, camera: str = "camera", seconds: float = 60.0) -> dict[str, int]:
        """The counters of a camera when nothing waits or is in work any more."""
        names = {
            "received": "images received",
            "processed": "images processed",
            "dropped": "dropped for newer ones",
            "refused": "refused",
            "failed": "failed",
        }
        deadline = time.monotonic() + seconds
        while True:
            values = self.values(camera)
            counts = {name: int(values[key]) for name, key in names.items()}
            if counts["received"] == sum(counts.values()) - counts["received"]:
                return counts
            assert time.monotonic() < deadline, f"frames are unaccounted for: {counts}"

    @property
    def memory(self) -> float:
        return memory(self.process.pid)

    @contextmanager
    def figures(self, fault: str, camera: str = "camera") -> Iterator[Figures]:
        """Counts what happens in the context; whoever sends adds to `sent`."""
        before = self.counts(camera)
        figures = Figures(fault, memory_before=self.memory)
        yield figures
        after = self.counts(camera)
        figures.memory_after = self.memory
        for name, value in after.items():
            setattr(figures, name, value - before[name])


def jpeg(rgb: np.ndarray, stamp: float = 0.0, quality: int = 90) -> Any:
    """A CompressedImage of uint8 RGB (H, W, 3)."""
    import cv2
    from sensor_msgs.msg import CompressedImage

    data = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    message = CompressedImage(format="rgb8; jpeg compressed bgr8", data=array("B", data.tobytes()))
    message.header.frame_id = "camera_optical_frame"
    return set_stamp(message, stamp)
