"""From one image message to the messages on the output topics; knows messages, but not ROS."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth_distill_ros.errors import MessageError
from depth_distill_ros.geometry.point_cloud import coloured_cloud
from depth_distill_ros.geometry.scale import metric_depth, nominal_depth
from depth_distill_ros.ros.camera_info import intrinsics_of, scaled_camera_info
from depth_distill_ros.ros.messages import cloud_message, float_image, image_to_rgb
from depth_distill_ros.ros.parameters import Settings
from depth_distill_ros.ros.reports import StageTimes


@dataclass(frozen=True)
class Topics:
    """The three topics on which one kind of depth goes out."""

    image: str
    camera_info: str
    points: str

    def __iter__(self) -> Iterator[str]:
        return iter((self.image, self.camera_info, self.points))


RELATIVE = Topics("relative/image", "relative/camera_info", "relative/points")
METRIC = Topics("depth/image", "depth/camera_info", "points")

CAMERA_INFO_MISSING = (
    "no camera_info has come with the images, so there are no clouds: "
    "check that the camera driver publishes it, and the topic's name"
)


@dataclass(frozen=True)
class MessageTypes:
    """The classes to make messages of."""

    image: type
    cloud: type
    field: type


class Pipeline:
    """Makes the wanted output messages of an image, and nothing that is not wanted.

    Args:
        estimate: uint8 RGB (H, W, 3) to an object with `disparity` float32 and `valid` bool (H, W).
        newest_camera_info: the camera_info message that came last, or None. Asked after the
            inference: drivers publish an image before the camera_info of the same moment.
        types: the classes of the outgoing messages.
        report: told, as one line, why something wanted could not be made of an image.
        times: gets the time of each stage.
    """

    def __init__(
        self,
        estimate: Callable[[np.ndarray], Any],
        newest_camera_info: Callable[[], Any | None],
        types: MessageTypes,
        report: Callable[[str], None],
        times: StageTimes,
    ):
        self._estimate = estimate
        self._newest_camera_info = newest_camera_info
        self._types = types
        self._report = report
        self._times = times

    def outputs(
        self, image: Any, wanted: Collection[str], settings: Settings
    ) -> Iterator[tuple[str, Any]]:
        """(topic, message) of the wanted topics, each made when it is asked for.

        Depth images come first, clouds last, so that those can be on their way while these are
        made. Every header is that of the image.

        Raises UserError for an image that cannot be used; nothing has come out then.
        """
        kinds = [RELATIVE, METRIC] if settings.is_metric else [RELATIVE]
        infos = [kind.camera_info for kind in kinds if kind.camera_info in wanted]
        header = image.header
        depths: dict[str, np.ndarray] = {}
        rgb = disparity = None
        if any(kind.image in wanted or kind.points in wanted for kind in kinds):
            rgb, disparity = self._infer(image)
        for kind in kinds:
            if kind.image in wanted:
                values = disparity
                if kind is METRIC:
                    values = depths[kind.image] = self._depth(kind, disparity, settings)
                yield kind.image, float_image(values, header, self._types.image)
        clouds = [kind for kind in kinds if kind.points in wanted]
        if not infos and not clouds:
            return
        camera = self._camera(image)
        if camera is None:
            return
        info, intrinsics = camera
        for topic in infos:
            yield topic, info
        for kind in clouds:
            depth = depths.get(kind.image)
            with self._times.measure("cloud"):
                if depth is None:
                    depth = self._depth(kind, disparity, settings)
                cloud = coloured_cloud(depth, rgb, intrinsics)
                message = cloud_message(cloud, header, self._types.cloud, self._types.field)
            yield kind.points, message

    def _infer(self, image: Any) -> tuple[np.ndarray, np.ndarray]:
        with self._times.measure("decode"):
            rgb = image_to_rgb(image)
        with self._times.measure("infer"):
            depth_map = self._estimate(rgb)
        return rgb, np.where(depth_map.valid, depth_map.disparity, np.float32(np.nan))

    @staticmethod
    def _depth(kind: Topics, disparity: np.ndarray, settings: Settings) -> np.ndarray:
        if kind is METRIC:
            return metric_depth(disparity, settings.scale, settings.shift)
        return nominal_depth(disparity, settings.near, settings.far)

    def _camera(self, image: Any) -> tuple[Any, Any] | None:
        """The outgoing camera_info and the intrinsics; None, reported, where they are unusable."""
        info = self._newest_camera_info()
        if info is None:
            self._report(CAMERA_INFO_MISSING)
            return None
        try:
            copied = scaled_camera_info(info, image.width, image.height, image.header)
            return copied, intrinsics_of(info, image.width, image.height)
        except MessageError as error:
            self._report(str(error))
            return None
