"""A camera and a listener in one process, to measure a node with (a process of `d3epth bench`).

    python -m depth_distill_ros.ros.probe --topics depth/image points --output FILE

Publishes images of noise at a steady rate and takes what comes back, serialized as it arrives. The
file it writes has, per topic, arrivals and latencies, and the node's last diagnostics.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from array import array
from pathlib import Path

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import CameraInfo, Image

from depth_distill_ros.errors import UserError
from depth_distill_ros.ros.camera import OUTPUTS
from depth_distill_ros.ros.camera_info import camera_info_from_fov
from depth_distill_ros.ros.cdr import header_stamp
from depth_distill_ros.ros.process import run_process
from depth_distill_ros.ros.qos import INPUT_QOS, OUTPUT_QOS

START_SECONDS = 120.0
"""Patience with the node's start: importing PyTorch and loading a model."""

FRAME_ID = "probe_optical_frame"
FIELD_OF_VIEW = 60.0


class Probe(Node):
    """Publishes images and keeps when answers with their stamps arrive."""

    def __init__(self, topics: list[str], size: tuple[int, int]):
        super().__init__("probe")
        self.sent: dict[int, int] = {}
        self.arrivals: dict[str, list[tuple[int, int]]] = {topic: [] for topic in topics}
        self.diagnostics: dict[str, dict[str, str]] = {}
        self._image = _noise_image(*size)
        self._images = self.create_publisher(Image, "image", INPUT_QOS)
        self._infos = self.create_publisher(CameraInfo, "camera_info", INPUT_QOS)
        for topic in topics:
            self.create_subscription(
                OUTPUTS[topic], topic, self._taker(topic), OUTPUT_QOS, raw=True
            )
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)

    def wait(self) -> None:
        """Returns when a node takes images and answers. Raises UserError when none does."""
        deadline = time.monotonic() + START_SECONDS
        while not self._images.get_subscription_count() or not all(
            self.count_publishers(topic) for topic in self.arrivals
        ):
            if time.monotonic() > deadline:
                raise UserError(f"no node took images within {START_SECONDS:g} s")
            time.sleep(0.05)

    def send(self) -> None:
        """Publishes one image with its camera_info."""
        header = self._image.header
        header.stamp = self.get_clock().now().to_msg()
        info = camera_info_from_fov(
            CameraInfo, header, self._image.width, self._image.height, FIELD_OF_VIEW
        )
        self.sent[header.stamp.sec * 1_000_000_000 + header.stamp.nanosec] = time.monotonic_ns()
        self._infos.publish(info)
        self._images.publish(self._image)

    def _taker(self, topic: str):
        arrivals = self.arrivals[topic]
        return lambda raw: arrivals.append((header_stamp(raw), time.monotonic_ns()))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.diagnostics[status.name] = {pair.key: pair.value for pair in status.values}

    def report(self) -> dict:
        """What was seen: counts, rates, intervals and latencies, the node's own numbers."""
        topics = {}
        for topic, arrivals in self.arrivals.items():
            known = [(stamp, moment) for stamp, moment in arrivals if stamp in self.sent]
            span = (known[-1][1] - known[0][1]) / 1e9 if len(known) > 1 else 0.0
            gaps = np.diff([moment for _, moment in known]) / 1e6
            latencies = [(moment - self.sent[stamp]) / 1e6 for stamp, moment in known]
            topics[topic] = {
                "arrived": len(known),
                "hz": (len(known) - 1) / span if span else 0.0,
                "interval_ms": float(np.median(gaps)) if len(gaps) else None,
                "latency_ms": np.percentile(latencies, (50, 95)).tolist() if latencies else None,
            }
        return {"sent": len(self.sent), "topics": topics, "diagnostics": self.diagnostics}


def _noise_image(width: int, height: int) -> Image:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    message = Image(height=height, width=width, encoding="rgb8", step=3 * width)
    message.header.frame_id = FRAME_ID
    message.data = array("B", pixels.tobytes())
    return message


def run(options: argparse.Namespace) -> dict:
    """Plays for the time asked for, after a warm-up of the same kind that does not count."""
    probe = Probe(options.topics, tuple(options.size))
    executor = SingleThreadedExecutor()
    executor.add_node(probe)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        probe.wait()
        for seconds in (options.warm_up, options.seconds):
            probe.sent.clear()
            started, number = time.monotonic(), 0
            while rclpy.ok() and time.monotonic() - started < seconds:
                probe.send()
                number += 1
                time.sleep(max(0.0, started + number / options.rate - time.monotonic()))
        time.sleep(1.5)  # the last answers, and diagnostics that count them
        return probe.report()
    finally:
        executor.shutdown()
        thread.join(5)


def main(arguments: list[str] | None = None) -> int:
    """Measure once; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--topics", nargs="+", required=True, choices=sorted(OUTPUTS))
    parser.add_argument("--size", nargs=2, type=int, default=(640, 480), metavar=("W", "H"))
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds that do not count")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args(arguments)

    def measure() -> None:
        options.output.write_text(json.dumps(run(options)), encoding="utf-8")

    return run_process(measure, interrupted=130)


if __name__ == "__main__":
    sys.exit(main())
