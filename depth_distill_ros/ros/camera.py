"""One camera of the node: its topics, its pipeline, and what became of its images."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import (
    CameraInfo,
    CompressedImage,
    Image,
    LaserScan,
    PointCloud2,
    PointField,
)
from visualization_msgs.msg import Marker

from depth_distill_ros.ros.pipeline import CameraPipeline, Frame, seconds
from depth_distill_ros.ros.qos import (
    INPUT_QOS,
    OUTPUT_QOS,
    OVERRIDES,
    REFERENCE_QOS,
    publisher_events,
    subscription_events,
)
from depth_distill_ros.ros.reference import ReferenceStore
from depth_distill_ros.ros.reports import ProblemLog, StageTimes
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.topics import COLOR, METRIC, RELATIVE, SCALE, SCALE_TEXT, MessageTypes
from depth_distill_ros.ros.transforms import StaticTransform, Transforms, up_and_height
from depth_distill_ros.ros.worker import WorkerCounts

if TYPE_CHECKING:
    from depth_distill_ros.inference.stream import DepthStream  # imports PyTorch

MESSAGE_TYPES = MessageTypes(
    Image, CameraInfo, PointCloud2, PointField, DiagnosticArray, DiagnosticStatus, KeyValue, Marker
)
OUTPUTS = {
    topic: message_type
    for kind in (RELATIVE, METRIC)
    for topic, message_type in zip(kind, (Image, CameraInfo, PointCloud2), strict=True)
} | {COLOR: Image, SCALE: DiagnosticArray, SCALE_TEXT: Marker}
"""Message type by topic, below the camera's name."""

_REFERENCES = {"points": PointCloud2, "scan": LaserScan, "image": Image}

NO_SCALE = (
    f"somebody listens to {METRIC.image}, {METRIC.camera_info} or {METRIC.points}, but there is no "
    "depth in metres without a scale: set scale.mode (and what it needs)"
)


class Camera:
    """Topics below `name`, made in two steps: outputs, then inputs.

    Args:
        name: "" for the only camera.
        settings: gives the camera's settings of the moment.
        transforms: between the frames of sensors, where settings do not give them.

    Raises ConfigError for settings that name no transform.
    """

    def __init__(
        self,
        node: LifecycleNode,
        name: str,
        settings: Callable[[], Settings],
        transforms: Transforms,
    ):
        self.name = name
        self.times = StageTimes()
        self.ages = StageTimes()
        self.published: Counter[str] = Counter()
        self.refused = 0
        self._refusing = threading.Lock()
        self.finished = WorkerCounts()
        """Of workers that have ended."""
        self.stream: DepthStream | None = None
        """What is remembered of past images; None where the model has no temporal head."""
        self._node = node
        self._settings = settings
        self._prefix = f"{name}/" if name else ""
        self._subscriptions: list[Any] = []
        # A group of its own that admits always: after a message that could not be taken, rclpy
        # leaves a group that admits one at a time closed, with all the node's services in it.
        self._group = ReentrantCallbackGroup()
        warning = node.get_logger().warning
        label = f"{name}: " if name else ""
        self.problems = ProblemLog(lambda text: warning(label + text))
        self._transforms = transforms
        start = settings()
        pose = start.reference_transform
        self._references = ReferenceStore(
            start.reference_max_age,
            StaticTransform(pose) if pose else transforms,
            start.reference_type,
        )
        self.pipeline = CameraPipeline(
            MESSAGE_TYPES,
            self.problems.report,
            self.times,
            start,
            name or node.get_name(),
            self._references,
            self._attitude,
        )
        self._outputs = {
            topic: node.create_lifecycle_publisher(
                message_type,
                self._prefix + topic,
                OUTPUT_QOS,
                event_callbacks=publisher_events(self._full(topic), self.problems.report),
                qos_overriding_options=OVERRIDES,
            )
            for topic, message_type in OUTPUTS.items()
        }

    @property
    def settings(self) -> Settings:
        """The values of the moment."""
        return self._settings()

    @property
    def image_topic(self) -> str:
        """The full name of the topic that images are taken from."""
        topic = self._full("image")
        return f"{topic}/compressed" if self.settings.input_transport == "compressed" else topic

    @property
    def image_type(self) -> type:
        """The type of messages on it."""
        return CompressedImage if self.settings.input_transport == "compressed" else Image

    @property
    def active_stream(self) -> DepthStream | None:
        """The stream, where settings of the moment want it."""
        return self.stream if self.settings.temporal_enabled else None

    def open_stream(self, estimator: Any) -> None:
        """Makes the stream, where the model can. Raises ConfigError for a window it cannot see."""
        if estimator.temporal_window:
            self.stream = estimator.stream(self.settings.temporal_window or None)

    def forget_stream(self) -> None:
        """The next image begins anew. Allowed beside a running inference."""
        if self.stream is not None:
            self.stream.reset()

    def open(self, submit: Callable[[Any], None]) -> None:
        """Subscribes; images are handed to `submit`."""
        settings = self.settings
        pipeline, references = self.pipeline, self._references
        self._subscribe(CameraInfo, "camera_info", pipeline.camera_infos.add)
        kind = settings.reference_type
        self._subscribe(_REFERENCES[kind], f"reference/{kind}", references.add, REFERENCE_QOS)
        if kind == "image":
            self._subscribe(CameraInfo, "reference/camera_info", references.add_camera_info)
        # With its full name, so that `-r image:=/camera/image_raw` holds for both transports.
        self._subscribe(self.image_type, self.image_topic, submit)

    def close(self) -> None:
        """Takes the subscriptions back."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def destroy(self) -> None:
        """Takes the publishers back as well."""
        self.close()
        for publisher in self._outputs.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._outputs.clear()

    def wanted(self) -> set[str]:
        """The topics to make messages for."""
        settings = self.settings
        if not settings.lazy:
            return set(OUTPUTS)
        wanted = {
            topic
            for topic, publisher in self._outputs.items()
            if publisher.get_subscription_count() > 0
        }
        if not settings.is_metric and not wanted.isdisjoint(METRIC):
            self.problems.report(NO_SCALE)
        return wanted

    def outputs(
        self, frame: Frame, disparity: np.ndarray, wanted: set[str]
    ) -> tuple[Iterator[tuple[str, Any]], Iterator[tuple[str, Any]]]:
        """What is wanted of a frame, for `publish`: what is urgent, and what may come later."""
        return self.pipeline.outputs_in_parts(frame, disparity, wanted, self.settings)

    def publish(self, outputs: Iterator[tuple[str, Any]]) -> None:
        """Makes and publishes outputs. Raises UserError where a part cannot be made."""
        for topic, message in outputs:
            with self.times.measure(f"publish {topic}"):
                self._outputs[topic].publish(message)
            self.published[topic] += 1
            if topic in (RELATIVE.image, METRIC.image):
                now = self._node.get_clock().now().nanoseconds * 1e-9
                self.ages.add(topic, now - seconds(message.header))

    def refuse(self, reason: str) -> None:
        """Counts an image that could not be used, through no fault of this package.

        Any thread may call.
        """
        with self._refusing:
            self.refused += 1
        self.problems.report(reason)

    def _subscribe(self, kind: type, topic: str, callback: Callable, qos: Any = INPUT_QOS) -> None:
        name = topic if topic.startswith("/") else self._prefix + topic
        self._subscriptions.append(
            self._node.create_subscription(
                kind,
                name,
                callback,
                qos,
                callback_group=self._group,
                event_callbacks=subscription_events(self._full(topic), self.problems.report),
                qos_overriding_options=OVERRIDES,
            )
        )

    def _full(self, topic: str) -> str:
        if topic.startswith("/"):
            return topic
        return self._node.resolve_topic_name(self._prefix + topic)

    def _attitude(self, header: Any) -> tuple[np.ndarray, float]:
        ground = self.settings.camera_height_ground_frame
        return up_and_height(self._transforms, ground, header.frame_id, header.stamp)
