"""The node's own path from an image message to its output messages, driven without a ROS graph."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from depth_distill_ros.errors import ImageError, MessageError
from depth_distill_ros.evaluation.bag import CAMERA_INFO, IMAGE, POINT_CLOUD, typestore
from depth_distill_ros.evaluation.recording import disparity_of
from depth_distill_ros.evaluation.replay.inputs import Case
from depth_distill_ros.evaluation.replay.journal import cause
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms
from depth_distill_ros.evaluation.replay.truth import ImagePlane, TruthReader, split
from depth_distill_ros.ros.camera_info import camera_info_from_fov, intrinsics_of
from depth_distill_ros.ros.images import depth_from_image
from depth_distill_ros.ros.pipeline import CameraPipeline, Frame, seconds
from depth_distill_ros.ros.reference import ReferenceStore
from depth_distill_ros.ros.reports import StageTimes
from depth_distill_ros.ros.topics import METRIC, RELATIVE, MessageTypes
from depth_distill_ros.ros.transforms import StaticTransform, up_and_height

if TYPE_CHECKING:
    from depth_distill_ros.inference.stream import DepthStream  # imports PyTorch

ERROR = "error"
"""The one topic that the node does not have: the relative error, 32FC1, NaN where not known."""


class FrameTimes(StageTimes):
    """Milliseconds of the stages of one frame."""

    def __init__(self) -> None:
        super().__init__()
        self._stages: dict[str, float] = {}

    def add(self, stage: str, seconds: float) -> None:
        """Adds one run of a stage."""
        self._stages[stage] = self._stages.get(stage, 0.0) + 1000 * seconds

    def take(self) -> dict[str, float]:
        """The times since the last call."""
        stages, self._stages = self._stages, {}
        return stages


@dataclass(frozen=True)
class Answer:
    """What the node makes of an image.

    Attributes:
        messages: by topic.
        disparity: float32 (H, W) of the image's size.
        metric: metres, of that size, NaN invalid, inf beyond range; None without a scale.
        latency: milliseconds by stage, and `total`.
    """

    messages: dict[str, Any]
    disparity: np.ndarray
    metric: np.ndarray | None
    latency: dict[str, float]


@dataclass
class Seen:
    """A case with its image decoded and its truth in the image, float32 (H, W), or None."""

    case: Case
    frame: Frame
    view: ImagePlane
    truth: np.ndarray | None


class NodePath:
    """One camera's pipeline, fed from a bag.

    Args:
        transforms: of the bag.
        infer: a list of uint8 RGB to their disparities, `DepthEstimator.infer`.
        stream: of the model; images go through it where there is one.

    Attributes:
        problems: how often the pipeline complained of what.
    """

    def __init__(
        self,
        options: ReplayOptions,
        transforms: StaticTransforms,
        infer: Callable[[list[np.ndarray]], list[np.ndarray]] | None = None,
        stream: DepthStream | None = None,
    ):
        self.settings = options.settings
        self.problems: Counter[str] = Counter()
        self.stream = stream
        self._options, self._infer = options, infer
        self._times = FrameTimes()
        override = self.settings.reference_transform
        sensor = StaticTransform(override) if override else transforms
        self._truth = TruthReader(options.kind, sensor.lookup)
        kind = self.settings.reference_type
        self._references = ReferenceStore(self.settings.reference_max_age, sensor, kind)
        ground = self.settings.camera_height_ground_frame
        self.pipeline = CameraPipeline(
            message_types(),
            self._complain,
            self._times,
            self.settings,
            references=self._references,
            attitude=lambda header: up_and_height(
                transforms, ground, header.frame_id, header.stamp
            ),
        )
        self._wanted = {RELATIVE.image, RELATIVE.camera_info, METRIC.image, METRIC.camera_info}
        if options.clouds:
            self._wanted.add(METRIC.points if self.settings.is_metric else RELATIVE.points)

    def _complain(self, problem: str) -> None:
        self.problems.update([cause(problem)])

    def read(self, case: Case) -> Seen:
        """Takes in what came with the image, and decodes it.

        Raises MessageError for an image that the node would refuse.
        """
        self.take_in(case)
        frame = self.pipeline.decode(case.image, self.settings)
        view = self._view(frame)
        truth = None
        try:
            message = self._truth_message(case)
            if message is not None:
                truth = self._truth.depth(message, case.truth_info, view)
        except MessageError as error:
            self._complain(f"the truth cannot be used: {error}")
        return Seen(case, frame, view, truth)

    def take_in(self, case: Case) -> None:
        """What the node would have received before the image: camera_info and reference."""
        for info in case.infos:
            self.pipeline.camera_infos.add(info)
        if self._options.splits_truth and case.raw_truth is not None:
            try:
                if case.truth_info is not None:
                    self._references.add_camera_info(case.truth_info)
                self._references.add(self._split(case)[0])
            except MessageError as error:
                self._complain(f"the reference cannot be used: {error}")

    def _truth_message(self, case: Case) -> Any | None:
        if self._options.splits_truth and case.raw_truth is not None:
            return self._split(case)[1]
        return case.truth

    def _split(self, case: Case) -> tuple[Any, Any]:
        options = self._options
        return split(case.truth, options.kind, options.reference_pixels, case.stamp)

    def _view(self, frame: Frame) -> ImagePlane:
        """Size and intrinsics of the image, by the camera_info that the pipeline uses."""
        height, width = frame.rgb.shape[:2]
        found = self.pipeline.camera_infos.match(frame.header.stamp)
        info = frame.info or (found[0] if found is not None else None)
        if info is None and self.settings.camera_fov > 0:
            info_type = typestore().types[CAMERA_INFO]
            info = camera_info_from_fov(
                info_type, frame.header, width, height, self.settings.camera_fov
            )
        intrinsics = None
        if info is not None:
            try:
                intrinsics = intrinsics_of(info, width, height)
            except MessageError as error:
                self._complain(str(error))
        rectified_by = found[0] if frame.info is not None else None
        return ImagePlane(frame.header, (height, width), intrinsics, rectified_by)

    def answer(self, seen: Seen) -> Answer:
        """Runs the model and makes the messages. Raises MessageError or ImageError as the node."""
        started = time.perf_counter()
        with self._times.measure("infer"):
            disparity = self._disparity(seen.case, seen.frame)
        outputs = self.pipeline.outputs(seen.frame, disparity, self._wanted, self.settings)
        messages = dict(outputs)
        passed = 1000 * (time.perf_counter() - started)
        latency = self._times.take()
        latency["total"] = latency.get("decode", 0.0) + passed
        metric = None
        if METRIC.image in messages:
            metric = published(messages[METRIC.image], seen.view.size)
        return Answer(
            messages, published(messages[RELATIVE.image], seen.view.size), metric, latency
        )

    def remember(self, case: Case) -> None:
        """As `read`, of an image that has been answered before the run was cut off."""
        self.take_in(case)
        if self.stream is not None:
            with suppress(MessageError, ImageError):
                self._disparity(case, self.pipeline.decode(case.image, self.settings))

    def _disparity(self, case: Case, frame: Frame) -> np.ndarray:
        if self.stream is None:
            return self._infer([frame.rgb])[0]
        # Without a stamp, as in the node, the time at which the image came.
        return self.stream.infer(frame.rgb, seconds(frame.header) or case.recorded * 1e-9)


def published(message: Any, size: tuple[int, int]) -> np.ndarray:
    """The values of a depth or disparity image, float32 of `size` (height, width).

    In 32FC1, inf stays what it says: beyond range is an answer, and may be a wrong one.
    """
    values = disparity_of(message) if message.encoding == "32FC1" else depth_from_image(message)
    if values.shape == size:
        return values
    rows, columns = (
        (np.arange(large) + 0.5) * small // large for large, small in zip(size, values.shape)
    )
    return values[np.ix_(rows.astype(int), columns.astype(int))]


def message_types() -> MessageTypes:
    """The classes of the bag reader, which the bag writer takes as well."""
    types = typestore().types
    return MessageTypes(
        image=types[IMAGE],
        camera_info=types[CAMERA_INFO],
        cloud=types[POINT_CLOUD],
        field=types["sensor_msgs/msg/PointField"],
        diagnostic_array=types["diagnostic_msgs/msg/DiagnosticArray"],
        diagnostic_status=types["diagnostic_msgs/msg/DiagnosticStatus"],
        key_value=types["diagnostic_msgs/msg/KeyValue"],
    )
