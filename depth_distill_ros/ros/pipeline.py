"""From one camera's image messages to the messages on its topics; knows messages, but not ROS."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError, ScaleError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.colour import colourise
from depth_distill_ros.geometry.edges import upsample_mask
from depth_distill_ros.geometry.scale_tracker import ScaleState, ScaleTracker
from depth_distill_ros.ros.answer import Answer
from depth_distill_ros.ros.camera_info import (
    CameraInfoStore,
    camera_info_from_fov,
    intrinsics_of,
    needs_rectification,
    rectified_camera_info,
    rectifier_of,
    scaled_camera_info,
)
from depth_distill_ros.ros.images import picture
from depth_distill_ros.ros.messages import cloud_message, depth_image, float_image, rgb_image
from depth_distill_ros.ros.reports import StageTimes
from depth_distill_ros.ros.scale_messages import scale_marker, scale_message
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.topics import (
    COLOR,
    METRIC,
    RELATIVE,
    SCALE,
    SCALE_TEXT,
    MessageTypes,
    Topics,
)

CAMERA_INFO_MISSING = (
    "no camera_info has come with the images, so there are no clouds: "
    "check that the camera driver publishes it, and the topic's name"
)
OLD_SECONDS = 1.0
"""A camera_info farther than this from its image is worth a word."""


@dataclass
class Frame:
    """A decoded image.

    Attributes:
        header: of the message; every output gets it.
        rgb: uint8 (H, W, 3), rectified where that was asked for.
        info: the camera_info that belongs to it; None until it is looked for, or where there is
            none.
        valid: bool (H, W), where a rectified image has a picture; None: everywhere.
    """

    header: Any
    rgb: np.ndarray
    info: Any | None = None
    valid: np.ndarray | None = None


@dataclass
class _Task:
    """An image with its depth, on its way to its messages."""

    frame: Frame
    answer: Answer
    wanted: Collection[str]
    settings: Settings
    state: ScaleState | None = None

    @property
    def kinds(self) -> tuple[Topics, ...]:
        """Without a scale there is relative depth only."""
        known = self.state is not None and self.state.is_metric
        return (RELATIVE, METRIC) if known else (RELATIVE,)


class CameraPipeline:
    """Makes the wanted output messages of one camera's images, and nothing that is not wanted.

    Only `reset_scale`, `saved_scale`, `scale_state` and `camera_infos` may be used beside a running
    call, and the second part of an image's outputs beside all that is done with the images after it
    but their second parts.

    Args:
        types: the classes of the outgoing messages.
        report: told, as one line, why something wanted could not be made of an image.
        times: gets the time of each stage.
        settings: those the camera begins with.
        name: of the camera, in scale messages.
        references: metric measurements beside the images: a `ReferenceStore`.
        attitude: the direction up in the optical frame, and the camera's height in metres, of an
            image's header; from TF.
    """

    def __init__(
        self,
        types: MessageTypes,
        report: Callable[[str], None],
        times: StageTimes,
        settings: Settings,
        name: str = "d3epth",
        references: Any | None = None,
        attitude: Callable[[Any], tuple[np.ndarray, float]] | None = None,
    ):
        self.camera_infos = CameraInfoStore()
        self.tracker = ScaleTracker(settings.scale_settings())
        self.references = references
        self.camera_info_age = 0.0
        self._attitude = attitude
        self._types = types
        self._report = report
        self._times = times
        self._name = name
        self._scale_lock = threading.Lock()
        self._scale_state: ScaleState | None = None
        self._last_cloud: dict[str, float] = {}

    @property
    def scale_state(self) -> ScaleState | None:
        """The scale of the last image that needed one."""
        return self._scale_state

    def saved_scale(self) -> dict | None:
        """The tracker's state, for another run to begin with; None without a metric scale."""
        with self._scale_lock:
            state = self._scale_state
            if state is None or not state.is_metric:
                return None
            # Without its stamp, the scale's age counts from the first image that it is used for.
            return {**self.tracker.to_json(), "stamp": None}

    def reset_scale(self) -> None:
        """Forgets what was learned about the scale."""
        with self._scale_lock:
            self.tracker.reset()
            self._scale_state = None

    def decode(self, message: Any, settings: Settings) -> Frame:
        """The picture of an Image or CompressedImage, undistorted where settings say so.

        Raises MessageError for a message that cannot be used.
        """
        with self._times.measure("decode"):
            rgb = picture(message)
            self._check_frame_id(message.header)
            found = self.camera_infos.match(message.header.stamp)
            if found is None or not needs_rectification(found[0]):
                return Frame(message.header, rgb)
            if not settings.rectify:
                self._report(
                    "camera_info has distortion (D is not zero) and images are taken as they are: "
                    "where they are not rectified already, set rectify to true"
                )
                return Frame(message.header, rgb)
            info = found[0]
            rectifier = rectifier_of(info, rgb.shape[1], rgb.shape[0])
            rectified = rectifier.image(rgb)
            return Frame(message.header, rectified, rectified_camera_info(info), rectifier.valid)

    def _check_frame_id(self, header: Any) -> None:
        if "optical" not in header.frame_id:
            self._report(
                f"the images' frame_id '{header.frame_id}' does not name an optical frame: depth "
                "and clouds are in axes x right, y down, z forward (REP 103); check the driver"
            )

    def outputs(
        self, frame: Frame, disparity: np.ndarray, wanted: Collection[str], settings: Settings
    ) -> Iterator[tuple[str, Any]]:
        """(topic, message) of the wanted topics, each made when it is asked for.

        Depth images come first, clouds last, so that those can be on their way while these are
        made. Every header is that of the image.

        Args:
            disparity: of the network, float32 (h, w) in [0, 1] of any size, NaN where invalid.
        """
        return chain(*self.outputs_in_parts(frame, disparity, wanted, settings))

    def outputs_in_parts(
        self, frame: Frame, disparity: np.ndarray, wanted: Collection[str], settings: Settings
    ) -> tuple[Iterator[tuple[str, Any]], Iterator[tuple[str, Any]]]:
        """The same in two: depth images, with what says what they mean, and then larger things.

        The second part is asked for after the end of the first, by any thread.
        """
        if frame.valid is not None:
            seen = upsample_mask(frame.valid, disparity.shape)
            disparity = np.where(seen, disparity, np.float32(np.nan))
        task = _Task(frame, Answer(frame.rgb, disparity, settings), wanted, settings)
        return self._depth(task), self._colours_and_clouds(task)

    def _depth(self, task: _Task) -> Iterator[tuple[str, Any]]:
        answer, wanted, header = task.answer, task.wanted, task.frame.header
        if RELATIVE.image in wanted:
            yield RELATIVE.image, float_image(answer.disparity(), header, self._types.image)
        if task.settings.is_metric and not {*METRIC, SCALE, SCALE_TEXT}.isdisjoint(wanted):
            with self._times.measure("scale"):
                task.state = self._scale(task.frame, answer, task.settings)
        if METRIC in task.kinds and METRIC.image in wanted:
            with self._times.measure("depth"):
                depth, encoding = answer.metric_depth(task.state), task.settings.depth_encoding
                image = depth_image(depth, header, self._types.image, encoding)
            yield METRIC.image, image
        yield from self._camera_infos(task)
        if task.state is not None and SCALE in wanted:
            yield SCALE, scale_message(task.state, header, f"{self._name}: scale", self._types)
        if task.state is not None and SCALE_TEXT in wanted and self._types.marker is not None:
            yield SCALE_TEXT, scale_marker(task.state, header, self._types.marker)

    def _camera_infos(self, task: _Task) -> Iterator[tuple[str, Any]]:
        topics = [kind.camera_info for kind in task.kinds if kind.camera_info in task.wanted]
        if topics:
            camera = self._camera(task.frame, task.answer.size, task.settings)
            if camera is not None:
                yield from ((topic, camera[0]) for topic in topics)

    def _colours_and_clouds(self, task: _Task) -> Iterator[tuple[str, Any]]:
        """May run beside `_depth` of another image: the scale is the task's, not the tracker's."""
        answer, wanted, header = task.answer, task.wanted, task.frame.header
        if COLOR in wanted:
            colours = colourise(answer.disparity(), 0.0, 1.0)
            yield COLOR, rgb_image(colours, header, self._types.image)
        for kind in task.kinds:
            if kind.points in wanted and self._is_due(kind.points, task.frame, task.settings):
                camera = self._camera(task.frame, answer.size, task.settings)
                if camera is None:
                    return
                with self._times.measure("cloud"):
                    cloud = answer.cloud(task.state if kind is METRIC else None, camera[1])
                    message = cloud_message(cloud, header, self._types.cloud, self._types.field)
                yield kind.points, message

    def _camera(
        self, frame: Frame, size: tuple[int, int], settings: Settings
    ) -> tuple[Any, Intrinsics] | None:
        """camera_info and intrinsics of a `size` (height, width) view; None, reported, without.

        Asked for after the inference: drivers publish an image before the camera_info of the same
        moment.
        """
        if frame.info is None:
            frame.info = self._find_info(frame, settings)
        info = frame.info
        if info is None:
            self._report(CAMERA_INFO_MISSING)
            return None
        try:
            copied = scaled_camera_info(info, size[1], size[0], frame.header)
            return copied, intrinsics_of(info, size[1], size[0])
        except MessageError as error:
            self._report(str(error))
            return None

    def _find_info(self, frame: Frame, settings: Settings) -> Any | None:
        found = self.camera_infos.match(frame.header.stamp)
        if found is not None:
            self.camera_info_age = found[1]
            self._report_age()
            return found[0]
        if settings.camera_fov == 0:
            return None
        height, width = frame.rgb.shape[:2]
        return camera_info_from_fov(
            self._types.camera_info, frame.header, width, height, settings.camera_fov
        )

    def _report_age(self) -> None:
        age = self.camera_info_age
        if abs(age) > OLD_SECONDS:
            order = "older" if age > 0 else "newer"
            self._report(
                f"the nearest camera_info is {abs(age):.1f} s {order} than its image: it is used, "
                "but check that the driver stamps both alike"
            )

    def _scale(self, frame: Frame, answer: Answer, settings: Settings) -> ScaleState:
        stamp = seconds(frame.header)
        with self._scale_lock:
            self.tracker.settings = settings.scale_settings()
            try:
                if settings.scale_mode == "reference":
                    self._observe_reference(frame, answer.network, stamp, settings)
                elif settings.scale_mode == "camera_height":
                    self._observe_ground(frame, answer.network, stamp, settings)
            except (MessageError, ScaleError) as error:
                self._report(str(error))
            state = self._scale_state = self.tracker.state(stamp)
        if not state.is_metric:
            self._report(f"no depth in metres: {state.reason or 'no reference has come yet'}")
        return state

    def _observe_reference(
        self, frame: Frame, disparity: np.ndarray, stamp: float, settings: Settings
    ) -> None:
        camera = self._camera(frame, frame.rgb.shape[:2], settings)
        if camera is None or self.references is None:
            return
        self.references.max_age = settings.reference_max_age
        samples = self.references.samples(frame.header, camera[1])
        if samples is not None:
            self.tracker.observe_reference(disparity, samples, stamp)

    def _observe_ground(
        self, frame: Frame, disparity: np.ndarray, stamp: float, settings: Settings
    ) -> None:
        camera = self._camera(frame, frame.rgb.shape[:2], settings)
        if camera is None:
            return
        if settings.camera_height_height > 0 or self._attitude is None:
            self.tracker.observe_ground(disparity, camera[1], stamp)
        else:
            up, height = self._attitude(frame.header)
            self.tracker.observe_ground(disparity, camera[1], stamp, up=up, height=height)

    def _is_due(self, topic: str, frame: Frame, settings: Settings) -> bool:
        """Whether a cloud of this moment keeps the rate that was asked for."""
        if settings.cloud_rate <= 0:
            return True
        now, last = seconds(frame.header), self._last_cloud.get(topic)
        # A tenth of the period of grace: stamps jitter, and every n-th image should do.
        if last is not None and 0 <= now - last < 0.9 / settings.cloud_rate:
            return False
        self._last_cloud[topic] = now
        return True


def seconds(header: Any) -> float:
    """The stamp of a header."""
    return header.stamp.sec + header.stamp.nanosec * 1e-9
