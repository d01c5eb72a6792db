"""Metrics of a running graph: by hand on messages, and on a real graph in two processes."""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from replay_bags import CAMERA, START, STEP, depth, disparity, pose_record, rgb

from depth_distill_ros.evaluation.bag import camera_info_message, image_message
from depth_distill_ros.evaluation.graph import graph_environment
from depth_distill_ros.evaluation.replay.live import KEPT, LiveMetrics
from depth_distill_ros.evaluation.replay.pictures import Album
from depth_distill_ros.evaluation.replay.report import About
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms
from depth_distill_ros.evaluation.replay.truth import TruthReader

LIMITS = (0.1, 80.0)


def stamped(message, stamp: int):
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp, 10**9)
    return message


def metrics(**options) -> LiveMetrics:
    truth = TruthReader("depth", StaticTransforms().lookup)
    return LiveMetrics(truth, LIMITS, 0.02, **options)


def feed(live: LiveMetrics, frames: int, factor: float = 1.1, names=("relative", "metric")) -> None:
    for index in range(frames):
        stamp = START + index * STEP
        later = stamp + 3_000_000
        live.take("image", stamped(image_message(rgb(index)), stamp), later)
        live.take("pose", stamped(pose_record(0.01 * index, stamp).message, stamp), later)
        live.take("info", stamped(camera_info_message(CAMERA), stamp), later)
        live.take("depth", stamped(image_message(depth(index), "32FC1"), stamp), later)
        values = {"relative": disparity(index), "metric": depth(index) * np.float32(factor)}
        for name in names:
            message = stamped(image_message(values[name], "32FC1"), stamp)
            live.take(name, message, stamp + 40_000_000)


def test_relative_and_metric_depth_of_a_moment_are_one_row(tmp_path):
    live = metrics(album=Album(1.0, 10.0))
    feed(live, 5)
    assert live.table.count == 5 and not live.problems
    assert live.table.summary("metric.abs_rel")["mean"] == pytest.approx(0.1, abs=1e-5)
    assert live.table.summary("aligned.abs_rel")["mean"] == pytest.approx(0, abs=1e-6)
    assert live.means()["scale_error"] == "1.1000"
    assert live.table.summary("latency.total")["mean"] == pytest.approx(40)
    assert live.table.summary("tae.depth_any_video")["n"] == 4
    assert live.line().startswith("5 frames, metric.abs_rel 0.1000")
    about = About("a node", {"model": "m", "checkpoint": "c", "truth": "t"}, "", LIMITS, {})
    report = live.write(tmp_path / "out", about, 0.05)
    assert not report["threshold"]["passed"] and report["threshold"]["of"] == "metric"
    assert len((tmp_path / "out" / "frames.csv").read_text().splitlines()) == 6
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("data:image/jpeg") >= 5 * 4


def test_relative_depth_alone():
    live = metrics()
    feed(live, 3, names=("relative",))
    assert set(live.means()) == {"aligned.abs_rel", "aligned.delta1"}
    assert live.table.summary("tae.depth_any_video") is None


def test_the_truth_may_come_before_the_depth_or_after_it():
    live = metrics()
    for delay in (0, 1):
        for index in range(5):
            stamp = START + (delay * 10 + index) * STEP
            pair = [("metric", depth()), ("depth", depth())]
            for name, values in pair[:: 1 if delay else -1]:
                live.take(name, stamped(image_message(values, "32FC1"), stamp))
    assert live.table.count == 10 and not live.problems
    assert live.table.summary("metric.abs_rel")["mean"] == 0


def test_depth_without_truth_is_a_problem_and_no_leak():
    live = metrics()
    for index in range(5 * KEPT):
        stamp = START + index * STEP
        live.take("metric", stamped(image_message(depth(), "32FC1"), stamp))
    assert live.table.count == 0 and sum(live.problems.values()) == 4 * KEPT + 1
    assert len(live._waiting) < KEPT  # noqa: SLF001


# --- on a graph ----------------------------------------------------------------------------

PLAYER = """
import sys, time
sys.path.insert(0, sys.argv[1])
from array import array
import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from replay_bags import CAMERA, depth

rclpy.init()
node = rclpy.create_node("player")
sensor = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
truths = node.create_publisher(Image, "/true/depth", sensor)
depths = node.create_publisher(Image, "depth/image", 1)
infos = node.create_publisher(CameraInfo, "relative/camera_info", 1)
heard = []
node.create_subscription(DiagnosticArray, "metrics", heard.append, 1)

def image(values, stamp):
    message = Image(height=48, width=64, encoding="32FC1", step=256, data=array("B", values.tobytes()))
    message.header.stamp, message.header.frame_id = stamp, "optical"
    return message

def info(stamp):
    message = CameraInfo(width=64, height=48)
    message.header.stamp = stamp
    message.k = CAMERA.matrix().ravel()
    message.p = np.hstack([CAMERA.matrix(), np.zeros((3, 1))]).ravel()
    return message

deadline = time.monotonic() + float(sys.argv[2])
while time.monotonic() < deadline:
    stamp = node.get_clock().now().to_msg()
    infos.publish(info(stamp))
    truths.publish(image(depth(), stamp))
    depths.publish(image(depth() * np.float32(1.1), stamp))
    rclpy.spin_once(node, timeout_sec=0.05)
    values = {one.key: one.value for one in heard[-1].status[0].values} if heard else {}
    if values.get("scale_error") == "1.1000":
        print("heard", values["metric.abs_rel"], flush=True)
        if len(sys.argv) < 4:
            break
"""

needs_ros = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None, reason="ROS 2 (rclpy) is not installed"
)


def start(command: list[str], environment: dict[str, str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return graph_environment()


HELPERS = str(Path(__file__).parents[1])


@pytest.mark.slow
@needs_ros
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_metrics_node_logs_and_publishes_until_a_signal(environment, number):
    arguments = ["-m", "depth_distill_ros.evaluation.live_metrics", "--ros-args", "-p", "period:=0.5",
                 "-r", "truth:=/true/depth"]  # fmt: skip
    node = start(arguments, environment)
    player = start(["-c", PLAYER, HELPERS, "60"], environment)
    said, errors = player.communicate(timeout=90)
    assert said.startswith("heard 0.1000"), errors
    node.send_signal(number)
    printed, log = node.communicate(timeout=20)
    assert node.returncode == 0 and "Traceback" not in log, log
    assert "scale_error 1.1000" in printed and "metric.abs_rel 0.1000" in log


@pytest.mark.slow
@needs_ros
def test_replay_live_writes_a_report(tmp_path, environment):
    player = start(["-c", PLAYER, HELPERS, "60", "on"], environment)
    arguments = ["-m", "depth_distill_ros.cli", "replay", "--live", "--depth", "/true/depth",
                 "--output", str(tmp_path / "out"), "--max-abs-rel", "0.05"]  # fmt: skip
    live = start([*arguments, "--seconds", "120"], environment)
    assert player.stdout.readline().startswith("heard 0.1000")  # some seconds of metrics
    live.send_signal(signal.SIGINT)
    _, log = live.communicate(timeout=60)
    player.kill()
    player.communicate()
    assert live.returncode == 1 and "Traceback" not in log, log
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["metric"]["abs_rel"]["mean"] == pytest.approx(0.1, abs=1e-4)
    assert report["scale_error"]["p50"] == pytest.approx(1.1, abs=1e-4)
    assert "0.1000, allowed 0.05" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
@needs_ros
def test_mistakes_are_one_line(tmp_path, environment):
    arguments = ["-m", "depth_distill_ros.evaluation.live_metrics", "--ros-args"]
    wrong = start([*arguments, "-p", "truth_type:=sonar"], environment)
    assert "truth_type must be depth or lidar" in wrong.communicate(timeout=60)[1]
    assert wrong.returncode == 2
    arguments = ["-m", "depth_distill_ros.cli", "replay", "--live", "--depth", "/none", "--seconds",
                 "1", "--output", str(tmp_path)]  # fmt: skip
    nothing = start(arguments, environment)
    assert "nothing could be measured: no depth came" in nothing.communicate(timeout=60)[1]
    assert nothing.returncode == 2
