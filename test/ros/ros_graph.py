"""A node in a process of its own, and a peer in this one that talks to it over the middleware."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rclpy
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

MESSAGE_TYPES = {"image": Image, "camera_info": CameraInfo, "points": PointCloud2}
SENSOR_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE_QOS = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)
START_SECONDS = 240.0


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """The condition's value as soon as it is true; fails the test after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"after {seconds:g} s: {what}"
        time.sleep(0.02)
    return value


class NodeProcess:
    """`python -m depth_distill_ros.ros.node` with parameters given as NAME:=VALUE."""

    def __init__(
        self,
        log: Path,
        parameters: tuple[str, ...] = (),
        arguments: tuple = (),
        environment: dict[str, str] | None = None,
    ):
        command = [sys.executable, "-m", "depth_distill_ros.ros.node", "--ros-args"]
        for parameter in parameters:
            command += ["-p", parameter]
        self._log = log
        with open(log, "wb") as output:
            self._process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "PYTHONUNBUFFERED": "1",
                    **(environment or {}),
                },
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, seconds: float = START_SECONDS) -> int:
        """The exit status."""
        return self._process.wait(seconds)

    def stop(self) -> str:
        """Ends it as Ctrl-C does, and returns its log."""
        self.signal(signal.SIGINT)
        assert self.wait(20) == 0, self.log
        return self.log

    def kill(self) -> None:
        """SIGKILL; its files in shared memory stay behind."""
        if self.is_running:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        """Ends it in its own way, which leaves nothing in shared memory, or else by SIGKILL."""
        if self.is_running:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()


class Peer:
    """Publishes images and camera_info, and keeps what comes on the topics it listens to."""

    def __init__(self, namespace: str = "") -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node("peer", context=self._context, namespace=namespace)
        self._images = self.node.create_publisher(Image, "image", SENSOR_QOS)
        self._infos = self.node.create_publisher(CameraInfo, "camera_info", SENSOR_QOS)
        self._subscriptions: dict[str, Any] = {}
        self.received: dict[str, list] = {}
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()

    def listen(self, *topics: str) -> None:
        for topic in topics:
            self.received[topic] = []
            self._subscriptions[topic] = self.node.create_subscription(
                MESSAGE_TYPES[topic.split("/")[-1]],
                topic,
                self.received[topic].append,
                RELIABLE_QOS,
            )

    def wait_for(self, process: NodeProcess) -> None:
        """Returns when the node takes images, and the topics listened to have a publisher."""

        def ready() -> bool:
            assert process.is_running, process.log
            return self._images.get_subscription_count() and all(
                self.node.count_publishers(topic) for topic in self.received
            )

        until(ready, START_SECONDS, "the node does not take images")

    def send(self, image: Image, camera_info: CameraInfo | None = None) -> None:
        if camera_info is not None:
            camera_info.header = image.header
            self._infos.publish(camera_info)
        self._images.publish(image)

    def ask(
        self, image: Image, camera_info: CameraInfo | None = None, topics: tuple = ()
    ) -> dict[str, Any]:
        """Sends an image until its stamp has come back on all topics (default: those listened to).

        Sent again because best effort may lose it, and because the node may hear of a new
        subscription a moment later than we of its publisher.
        """
        topics = topics or tuple(self.received)
        for _ in range(20):
            self.send(image, camera_info)
            deadline = time.monotonic() + 1.5
            while time.monotonic() < deadline:
                answers = {topic: self.answer(topic, image) for topic in topics}
                if all(answers.values()):
                    return answers
                time.sleep(0.01)
        raise AssertionError(f"no answer on {[t for t in topics if not answers[t]]}")

    def answer(self, topic: str, image: Image) -> Any | None:
        """The newest message on the topic with the image's stamp."""
        messages = [m for m in self.received[topic] if m.header.stamp == image.header.stamp]
        return messages[-1] if messages else None

    def set_parameters(self, values: dict[str, Any], atomically: bool = False) -> list:
        """What the node answers: `successful` and `reason` of each, or of all at once."""
        service = SetParametersAtomically if atomically else SetParameters
        name = "set_parameters_atomically" if atomically else "set_parameters"
        parameters = [Parameter(name, value=value) for name, value in values.items()]
        request = service.Request(parameters=[p.to_parameter_msg() for p in parameters])
        answer = self.call(service, name, request)
        return [answer.result] if atomically else answer.results

    def call(self, service: type, name: str, request: Any, seconds: float = 60.0) -> Any:
        """What the node's service `name` answers to a request."""
        client = self.node.create_client(service, f"d3epth/{name}")
        try:
            assert client.wait_for_service(timeout_sec=20), f"there is no service {name}"
            future = client.call_async(request)
            until(future.done, seconds, f"the node does not answer {name}")
            return future.result()
        finally:
            self.node.destroy_client(client)

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join(5)
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)


def ros_image(
    pixels: Any, encoding: str, stamp: int = 1, frame_id: str = "camera_optical_frame"
) -> Image:
    """A sensor_msgs Image of a uint8 array (H, W, ...); `stamp` counts seconds."""
    message = Image(
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        step=pixels[0].nbytes,
        data=array("B", pixels.tobytes()),
    )
    message.header.stamp.sec = stamp
    message.header.stamp.nanosec = 123_456_789
    message.header.frame_id = frame_id
    return message


def ros_camera_info(width: int, height: int, focal: float = 100.0) -> CameraInfo:
    cx, cy = (width - 1) / 2, (height - 1) / 2
    info = CameraInfo(width=width, height=height, distortion_model="plumb_bob")
    info.k = [focal, 0.0, cx, 0.0, focal, cy, 0.0, 0.0, 1.0]
    info.p = [focal, 0.0, cx, 0.0, 0.0, focal, cy, 0.0, 0.0, 0.0, 1.0, 0.0]
    return info
