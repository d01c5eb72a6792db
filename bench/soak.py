"""The node at camera rate for half an hour: does its memory stay flat, does it keep answering?

    make soak                       # python -m bench.soak --minutes 30
    python -m bench.soak --minutes 2 --json soak.json

A node of its own on a graph of its own gets 640x480 images at 30 Hz, with camera_info and a metric
depth image beside each as reference; depth and clouds are listened to. Resident memory of the node
is read every few seconds. After a warm-up (a fifth of the time, five minutes at most) it may grow by
3 % until the end; more is a leak, and the exit status 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from array import array
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from depth_distill_ros.evaluation.graph import Graph, graph_environment
from depth_distill_ros.evaluation.tables import write_json

SIZE = 640, 480
SAMPLE_SECONDS = 5.0
LEAK_SHARE = 0.03
PARAMETERS = ("scale.mode:=reference", "reference.type:=image")


@dataclass
class Sample:
    """One look at the node."""

    minutes: float
    rss_mib: float
    sent: int
    depths: int
    clouds: int


def soak(minutes: float, rate: float, model: str | None, folder: Path) -> dict:
    """Runs the graph and returns the report, with the verdict in "is_flat"."""
    environment = graph_environment()
    os.environ.update(environment)  # this process is part of that graph
    parameters = [*PARAMETERS, *([f"model:={model}"] if model else [])]
    arguments = ["--ros-args", *(word for value in parameters for word in ("-p", value))]
    with Graph(folder, environment) as graph:
        graph.start("node", "depth_distill_ros.ros.node", arguments)
        process = graph.process_id("node")
        samples = _play(minutes, rate, process)
        graph.stop("node")
        summary = graph.tail("node").splitlines()[-1].strip()
    return {**_verdict(samples), "node": summary, "samples": [vars(sample) for sample in samples]}


def _play(minutes: float, rate: float, process: int) -> list[Sample]:
    """Sends images at camera rate and looks at the process meanwhile."""
    import rclpy
    from rclpy.executors import SingleThreadedExecutor

    rclpy.init(args=[])
    probe = _probe()
    executor = SingleThreadedExecutor()
    executor.add_node(probe)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    samples: list[Sample] = []
    try:
        probe.wait()
        number, started = 0, time.monotonic()
        while (elapsed := time.monotonic() - started) < 60 * minutes:
            probe.send()
            number += 1
            if elapsed >= SAMPLE_SECONDS * len(samples):
                depths, clouds = (len(arrivals) for arrivals in probe.arrivals.values())
                samples.append(Sample(elapsed / 60, _rss(process), number, depths, clouds))
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
    finally:
        executor.shutdown()
        thread.join(5)
        rclpy.try_shutdown()
    return samples


def _probe():
    """The probe of `d3epth bench`, with a reference beside each image."""
    from sensor_msgs.msg import Image

    from depth_distill_ros.ros.probe import Probe
    from depth_distill_ros.ros.qos import INPUT_QOS

    class ReferencedProbe(Probe):
        def __init__(self) -> None:
            super().__init__(["depth/image", "points"], SIZE)
            self._image.data = array("B", _picture().tobytes())
            self._reference = _reference(Image)
            self._reference.header.frame_id = self._image.header.frame_id
            self._references = self.create_publisher(Image, "reference/image", INPUT_QOS)

        def send(self) -> None:
            self._reference.header.stamp = self.get_clock().now().to_msg()
            self._references.publish(self._reference)
            super().send()

    return ReferencedProbe()


def _picture() -> np.ndarray:
    """Smooth, uint8 (480, 640, 3): noise has edges everywhere, a room has not."""
    small = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC)


def _reference(image_type: type) -> object:
    """A floor in millimetres: near below, far above."""
    rows = np.linspace(6000, 800, SIZE[1]).astype(np.uint16)
    depth = np.repeat(rows[:, None], SIZE[0], axis=1)
    message = image_type(height=SIZE[1], width=SIZE[0], encoding="16UC1", step=2 * SIZE[0])
    message.data = array("B", depth.tobytes())
    return message


def _rss(process: int) -> float:
    """Resident memory in MiB."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _verdict(samples: list[Sample]) -> dict:
    whole = samples[-1].minutes
    warm = min(whole / 5, 5.0)
    settled = [sample for sample in samples if sample.minutes >= warm]
    minutes = np.array([sample.minutes for sample in settled])
    memory = np.array([sample.rss_mib for sample in settled])
    slope = float(np.polyfit(minutes, memory, 1)[0])
    tenth = max(1, len(memory) // 10)
    begin, end = float(np.median(memory[:tenth])), float(np.median(memory[-tenth:]))
    last = settled[-1]
    return {
        "minutes": whole,
        "sent": last.sent,
        "depths": last.depths,
        "clouds": last.clouds,
        "depth_hz": (last.depths - settled[0].depths) / (60 * (last.minutes - settled[0].minutes)),
        "rss_after_warm_up_mib": begin,
        "rss_at_the_end_mib": end,
        "rss_most_mib": float(memory.max()),
        "mib_a_minute": slope,
        "is_flat": end < (1 + LEAK_SHARE) * begin,
    }


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--rate", type=float, default=30.0, help="images a second")
    parser.add_argument("--model", help="another than the bundled one")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report, with samples")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        report = soak(options.minutes, options.rate, options.model, Path(folder))
    if options.json is not None:
        write_json(options.json, report)
    for name, value in report.items():
        if name != "samples":
            print(f"{name:22} {value:.2f}" if isinstance(value, float) else f"{name:22} {value}")
    print("memory is flat" if report["is_flat"] else "memory grows")
    return 0 if report["is_flat"] else 1


if __name__ == "__main__":
    sys.exit(main())
