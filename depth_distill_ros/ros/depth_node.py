"""The node `d3epth`: topics and parameters wired to the pipeline, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image, PointCloud2, PointField

from depth_distill_ros.errors import ConfigError, UserError
from depth_distill_ros.ros import parameters
from depth_distill_ros.ros.pipeline import METRIC, RELATIVE, MessageTypes, Pipeline
from depth_distill_ros.ros.reports import ProblemLog, StageTimes
from depth_distill_ros.ros.worker import NewestFrameWorker, WorkerCounts

# This pair matches every partner: best effort takes from any publisher, reliable gives to any
# subscriber. One message deep, because an old frame is worth nothing.
INPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
OUTPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)

STOP_SECONDS = 10.0
"""Patience at the stop with the frame in work; a large model on a CPU takes seconds."""

NO_SCALE = (
    f"somebody listens to {METRIC.image}, {METRIC.camera_info} or {METRIC.points}, but there is no "
    "depth in metres without a scale: set scale.scale and scale.shift, then scale.mode to fixed"
)


class DepthNode(Node):
    """Images in, depth images and clouds out.

    A node that was made has its parameters but no topics yet: `start` makes them when the model
    is ready, so that whoever sees the topics can count on answers.

    Raises ConfigError where the parameters cannot be used.
    """

    def __init__(self) -> None:
        super().__init__("d3epth")
        self.settings = parameters.declare(self)
        self._problems = ProblemLog(self.get_logger().warning)
        self._times = StageTimes()
        self._camera_info: CameraInfo | None = None
        self._refused = 0
        self._worker: NewestFrameWorker[Image] | None = None
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._warn_of_unknown_parameters()

    def start(self, estimate: Callable[[np.ndarray], Any]) -> None:
        """Publishes and subscribes, and begins to answer images with `estimate`'s depth."""
        types = MessageTypes(Image, PointCloud2, PointField)
        self._pipeline = Pipeline(
            estimate, lambda: self._camera_info, types, self._problems.report, self._times
        )
        self._outputs = {
            topic: self.create_publisher(message_type, topic, OUTPUT_QOS)
            for kind in (RELATIVE, METRIC)
            for topic, message_type in zip(kind, (Image, CameraInfo, PointCloud2), strict=True)
        }
        self._worker = NewestFrameWorker(self._answer, self._on_failure)
        self._worker.start()
        self.create_subscription(CameraInfo, "camera_info", self._on_camera_info, INPUT_QOS)
        self.create_subscription(Image, "image", self._worker.submit, INPUT_QOS)

    def stop(self) -> None:
        """Finishes the frame in work, and logs what was done in all. The node stays to destroy."""
        if self._worker is None:
            return
        if not self._worker.stop(STOP_SECONDS):
            self.get_logger().warning(f"the frame in work took more than {STOP_SECONDS:g} s")
        self.get_logger().info(self.summary())

    @property
    def counts(self) -> WorkerCounts:
        """What became of the images so far; refused ones are among the processed."""
        return self._worker.counts if self._worker else WorkerCounts()

    @property
    def refused(self) -> int:
        """Images that could not be used, through no fault of this package."""
        return self._refused

    def summary(self) -> str:
        """Counts of images and of problems, and mean times, as one line."""
        counts = self.counts
        images = (
            f"images: {counts.received} received, {counts.processed - self._refused} processed, "
            f"{counts.dropped} dropped for newer ones, {self._refused} refused, "
            f"{counts.failed} failed"
        )
        parts = [images]
        if times := self._times.summary():
            parts.append(f"mean times: {times}")
        for cause, count in self._problems.counts.items():
            parts.append(f"{count} x {cause}")
        return "; ".join(parts)

    def _on_camera_info(self, message: CameraInfo) -> None:
        self._camera_info = message

    def _answer(self, image: Image) -> None:
        """Publishes what is wanted of one image. In the worker's thread."""
        wanted = {
            topic
            for topic, publisher in self._outputs.items()
            if publisher.get_subscription_count() > 0
        }
        settings = self.settings
        if not settings.is_metric and not wanted.isdisjoint(METRIC):
            self._problems.report(NO_SCALE)
        try:
            for topic, message in self._pipeline.outputs(image, wanted, settings):
                with self._times.measure(f"publish {topic}"):
                    self._outputs[topic].publish(message)
        except UserError as error:
            self._refused += 1
            self._problems.report(str(error))

    def _on_failure(self, error: Exception) -> None:
        """A defect: reported like any problem, and with the traceback at level debug."""
        self._problems.report(f"an image failed with {type(error).__name__}: {error}")
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            self.get_logger().debug(f"  {code.co_filename}:{trace.tb_lineno} in {code.co_name}")
            trace = trace.tb_next

    def _on_set_parameters(self, changed: list) -> SetParametersResult:
        values = {parameter.name: parameter.value for parameter in changed}
        try:
            self.settings = parameters.settings_from(values, self.settings)
        except ConfigError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _warn_of_unknown_parameters(self) -> None:
        """ROS ignores a misspelt parameter without a word."""
        for name in getattr(self, "_parameter_overrides", {}):
            if not self.has_parameter(name) and not name.startswith("qos_overrides."):
                self.get_logger().warning(f"there is no parameter '{name}': it is ignored")
