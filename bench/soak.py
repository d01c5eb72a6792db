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

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from depth_distill_ros.evaluation.graph import Graph, graph_environment
from depth_distill_ros.evaluation.tables import write_json

SIZE = 640, 480
SAMPLE_SECONDS = 5.0
LEAK_SHARE = 0.03
PARAMETERS = ("scale.mode:=reference", "reference.type:=image")
START_SECONDS = 120.0


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
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from sensor_msgs.msg import CameraInfo, Image, PointCloud2

    from depth_distill_ros.ros.camera_info import camera_info_from_fov
    from depth_distill_ros.ros.qos import INPUT_QOS, OUTPUT_QOS

    rclpy.init(args=[])
    node = rclpy.create_node("soak")
    images = [_image(Image, seed) for seed in range(4)]
    reference = _reference(Image)
    publishers = {
        name: node.create_publisher(kind, name, INPUT_QOS)
        for name, kind in (
            ("camera_info", CameraInfo),
            ("reference/image", Image),
            ("image", Image),
        )
    }
    counts = {"depth/image": 0, "points": 0}

    def count(topic: str):
        def add(_raw: bytes) -> None:
            counts[topic] += 1

        return add

    for topic, kind in (("depth/image", Image), ("points", PointCloud2)):
        node.create_subscription(kind, topic, count(topic), OUTPUT_QOS, raw=True)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    deadline = time.monotonic() + START_SECONDS
    while not publishers["image"].get_subscription_count():
        if time.monotonic() > deadline:
            raise SystemExit("the node did not start")
        time.sleep(0.1)
    samples: list[Sample] = []
    sent, started, next_sample = 0, time.monotonic(), 0.0
    try:
        while (elapsed := time.monotonic() - started) < 60 * minutes:
            image = images[sent % len(images)]
            image.header.stamp = node.get_clock().now().to_msg()
            info = camera_info_from_fov(CameraInfo, image.header, *SIZE, 60.0)
            reference.header = image.header
            for name, message in (
                ("camera_info", info),
                ("reference/image", reference),
                ("image", image),
            ):
                publishers[name].publish(message)
            sent += 1
            if elapsed >= next_sample:
                next_sample += SAMPLE_SECONDS
                samples.append(
                    Sample(
                        elapsed / 60, _rss(process), sent, counts["depth/image"], counts["points"]
                    )
                )
            time.sleep(max(0.0, started + sent / rate - time.monotonic()))
    finally:
        executor.shutdown()
        thread.join(5)
        rclpy.try_shutdown()
    return samples


def _image(image_type: type, seed: int) -> object:
    """A smooth picture: noise has edges everywhere, a room has not."""
    import cv2

    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    pixels = cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC)
    message = image_type(height=SIZE[1], width=SIZE[0], encoding="rgb8", step=3 * SIZE[0])
    message.header.frame_id = "camera_optical_frame"
    message.data = array("B", pixels.tobytes())
    return message


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
