"""Says why nothing comes: no publisher, another type of message, a name that is taken twice."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

from rclpy.node import Node

from depth_distill_ros.ros.camera import Camera

PATIENCE_SECONDS = 5.0
"""A camera driver may start after the node."""


class GraphWatch:
    """Looks at the graph where no image has come for a while after the start, and once for twins."""

    def __init__(self, node: Node, report: Callable[[str], None]):
        self._node = node
        self._report = report
        self._cameras: list[Camera] = []
        self._deadline = 0.0

    def begin(self, cameras: Iterable[Camera]) -> None:
        """Starts to wait for images of these cameras."""
        self._cameras = list(cameras)
        self._deadline = time.monotonic() + PATIENCE_SECONDS

    def look(self, received: Callable[[Camera], int]) -> None:
        """Called now and then; reports each camera that has sent nothing, once."""
        if not self._cameras or time.monotonic() < self._deadline:
            return
        for camera in self._cameras:
            if received(camera) == 0:
                self._report(self._silence(camera))
        self._cameras = []
        own = (self._node.get_name(), self._node.get_namespace())
        if self._node.get_node_names_and_namespaces().count(own) > 1:
            self._report(
                f"there are several nodes named {self._node.get_fully_qualified_name()}: their "
                "depth is mixed on the same topics; give one a namespace or remap __node"
            )

    def _silence(self, camera: Camera) -> str:
        topic, expected = camera.image_topic, _type_name(camera.image_type)
        publishers = self._node.get_publishers_info_by_topic(topic)
        types = sorted({info.topic_type for info in publishers})
        if not publishers:
            others = self._topics_of(expected)
            return (
                f"nobody publishes on {topic}: remap `image`, or start the camera; topics with "
                f"images are {', '.join(others) or 'none'}"
            )
        if expected not in types:
            remedy = "set input.transport, or remap `image`"
            return f"{topic} carries {', '.join(types)}, not {expected}: {remedy}"
        return f"{topic} has a publisher, but no image has come yet"

    def _topics_of(self, message_type: str) -> list[str]:
        own = self._node.get_name(), self._node.get_namespace()
        ours = {n for n, _ in self._node.get_publisher_names_and_types_by_node(*own)}
        return sorted(
            name
            for name, types in self._node.get_topic_names_and_types()
            if message_type in types and name not in ours and self._node.count_publishers(name)
        )


def _type_name(message_type: Any) -> str:
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"
