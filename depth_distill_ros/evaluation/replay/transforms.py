"""The static transforms of a bag, composed: where sensors are mounted on the robot."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import BagError
from depth_distill_ros.evaluation.bag import open_bag, typestore
from depth_distill_ros.geometry.pose import pose_matrix

TOPIC = "/tf_static"


class StaticTransforms:
    """Transforms between the frames of a tree that does not move.

    Args:
        messages: geometry_msgs/TransformStamped; of two for one child the later one holds.

    Raises DataError for a quaternion of length 0.
    """

    def __init__(self, messages: Iterable[Any] = ()):
        self._parents: dict[str, tuple[str, np.ndarray]] = {}
        for message in messages:
            parent, child = message.header.frame_id, message.child_frame_id
            self._parents[child.lstrip("/")] = parent.lstrip("/"), matrix_of(message.transform)

    def lookup(self, target_frame: str, source_frame: str, stamp: Any = None) -> np.ndarray:
        """4x4 float64 that takes points of the source frame to the target frame.

        The identity where both are one frame. Raises BagError where nothing connects them.
        """
        target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
        if target == source:
            return np.eye(4)
        target_root, from_target = self._to_root(target)
        source_root, from_source = self._to_root(source)
        if target_root != source_root:
            raise BagError(
                f"{TOPIC} of the bag does not connect '{source}' with '{target}': give the pose "
                "of the sensor in the camera's optical frame with --truth-transform "
                "x y z qx qy qz qw"
            )
        return np.linalg.inv(from_target) @ from_source

    def _to_root(self, frame: str) -> tuple[str, np.ndarray]:
        """The root of a frame's tree, and the transform that takes points there."""
        transform, seen = np.eye(4), {frame}
        while frame in self._parents:
            frame, step = self._parents[frame]
            transform = step @ transform
            if frame in seen:
                raise BagError(f"{TOPIC} of the bag goes in a circle at '{frame}'")
            seen.add(frame)
        return frame, transform


def matrix_of(transform: Any) -> np.ndarray:
    """4x4 of a geometry_msgs Transform (translation, rotation) or Pose (position, orientation)."""
    moved = getattr(transform, "translation", None) or transform.position
    turned = getattr(transform, "rotation", None) or transform.orientation
    return pose_matrix(
        np.array([moved.x, moved.y, moved.z]), np.array([turned.x, turned.y, turned.z, turned.w])
    )


def bag_transforms(bag: Path) -> StaticTransforms:
    """The tree of all of a bag's /tf_static messages. Raises BagError where it is damaged."""
    with open_bag(bag) as reader:
        chosen = [c for c in reader.connections if c.topic == TOPIC]
        recorded = reader.messages(connections=chosen) if chosen else ()
        found = [typestore().deserialize_cdr(raw, c.msgtype) for c, _, raw in recorded]
    return StaticTransforms(one for message in found for one in message.transforms)
