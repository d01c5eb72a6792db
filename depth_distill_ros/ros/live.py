"""The ROS side of live metrics: messages of a running graph handed over, the numbers published."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CameraInfo, Image, PointCloud2

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.transforms import Transforms, make_transforms

TYPES = {
    "relative": Image,
    "metric": Image,
    "info": CameraInfo,
    "depth": Image,
    "lidar": PointCloud2,
    "truth_info": CameraInfo,
    "image": Image,
    "pose": PoseStamped,
}
"""Message type by what a topic is to the metrics."""

OWN = ("relative", "metric", "info")
"""What the node publishes, reliably; sensors may do otherwise."""


Take = Callable[[str, Any, int], None]
"""Told of a message: the name of what it is, the message, and when it came, in nanoseconds."""


class LiveNode(Node):
    """Subscribes to topics by what they are, and hands over what comes."""

    def __init__(self) -> None:
        super().__init__("d3epth_metrics")
        self._publisher = self.create_publisher(DiagnosticArray, "metrics", 1)

    def subscribe(self, topics: Mapping[str, str], take: Take) -> None:
        """Subscribes to topics by the names of TYPES; `take` is called in the thread that spins."""

        def handed_over(name: str) -> Callable[[Any], None]:
            return lambda message: take(name, message, self.get_clock().now().nanoseconds)

        for name, topic in topics.items():
            own = name in OWN
            reliability = ReliabilityPolicy.RELIABLE if own else ReliabilityPolicy.BEST_EFFORT
            qos = QoSProfile(depth=5, reliability=reliability)
            self.create_subscription(TYPES[name], topic, handed_over(name), qos)

    def parameter(self, name: str, default: Any) -> Any:
        """The value of a parameter, declared here. Raises ConfigError for one of another type."""
        self.declare_parameter(name, default, ParameterDescriptor(dynamic_typing=True))
        value = self.get_parameter(name).value
        if isinstance(default, float) and isinstance(value, int):
            value = float(value)
        if not isinstance(value, type(default)):
            raise ConfigError(f"{name} must be like {default!r}, got {value!r}")
        return value

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of numbers, empty by default, declared here: an empty list has no type in ROS."""
        self.declare_parameter(name, "", ParameterDescriptor(dynamic_typing=True))
        return tuple(self.get_parameter(name).value or ())

    def transforms(self, values: tuple[float, ...]) -> Transforms:
        """The transform of the values where there are any, else those of TF."""
        return make_transforms(self, values)

    def publish(self, name: str, values: Mapping[str, str], is_good: bool) -> None:
        """Publishes one status on `metrics`."""
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        status = DiagnosticStatus(
            level=DiagnosticStatus.OK if is_good else DiagnosticStatus.WARN,
            name=name,
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        message.status.append(status)
        self._publisher.publish(message)


_ended = threading.Event()


def start(arguments: list[str]) -> None:
    """Starts rclpy; SIGINT and SIGTERM then end `spin`.

    They raise nothing: an exception in the middle of rclpy comes out as something else.
    """
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: _ended.set())


def spin(node: LiveNode, period: float, tick: Callable[[], None], seconds: float | None) -> None:
    """Hands messages over until a signal, or for a time; calls `tick` every `period` seconds."""
    started = ticked = time.monotonic()
    try:
        while not _ended.is_set() and (seconds is None or time.monotonic() - started < seconds):
            rclpy.spin_once(node, timeout_sec=0.1)
            if time.monotonic() - ticked >= period:
                ticked = time.monotonic()
                tick()
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
