"""The names of the node's topics, and the classes of the messages on them; no ROS is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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
COLOR, SCALE, SCALE_TEXT = "depth/color", "depth/scale", "depth/scale_text"


@dataclass(frozen=True)
class MessageTypes:
    """The classes to make messages of; `marker` is None where nobody shows markers."""

    image: type
    camera_info: type
    cloud: type
    field: type
    diagnostic_array: type
    diagnostic_status: type
    key_value: type
    marker: type | None = None
