"""Transforms between the frames of sensors: from a parameter, or from TF.

tf2_ros comes with every ROS installation from apt, but not with the wheels: it is imported when it
is first needed, and without it the parameter reference.transform takes its place.
"""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from depth_distill_ros.errors import ConfigError, MessageError
from depth_distill_ros.geometry.pose import pose_matrix

UNIT_TOLERANCE = 0.01
"""How far from 1 the length of a quaternion may be, typed with few digits."""

LATEST_SECONDS = 1.0
"""The newest transform serves images that are newer by up to this."""


class Transforms(ABC):
    """Whatever knows where sensors are."""

    @abstractmethod
    def lookup(self, target_frame: str, source_frame: str, stamp: Any) -> np.ndarray:
        """4x4 float64 that takes points of the source frame to the target frame.

        `stamp` is a builtin_interfaces/Time. Returns at once. Raises MessageError, with what to
        do, where the transform is not known.
        """

    def close(self) -> None:  # noqa: B027 - most have nothing to take back
        """Takes back what was made on the node; a later lookup begins anew."""


class StaticTransform(Transforms):
    """One transform for every question: the reference sensor's pose in the optical frame.

    Args:
        values: of the parameter reference.transform: x y z in metres and the unit quaternion
            qx qy qz qw.

    Raises ConfigError for another number of values, and for a quaternion that is no rotation.
    """

    def __init__(self, values: Sequence[float]):
        name = "reference.transform"
        if len(values) != 7:
            raise ConfigError(
                f"{name} must be 7 numbers, x y z (metres) and a quaternion qx qy qz qw, "
                f"it has {len(values)}"
            )
        numbers = np.array(values, np.float64)
        if not np.isfinite(numbers).all():
            raise ConfigError(f"{name} must be finite numbers, got {list(values)}")
        length = float(np.linalg.norm(numbers[3:]))
        if abs(length - 1) > UNIT_TOLERANCE:
            raise ConfigError(
                f"the last four numbers of {name} must be a quaternion qx qy qz qw of length 1, "
                f"they have length {length:.4g}: angles must be converted, and w comes last"
            )
        self._matrix = pose_matrix(numbers[:3], numbers[3:])

    def lookup(self, target_frame: str, source_frame: str, stamp: Any) -> np.ndarray:
        """The transform, whatever the frames are called: who sets it means it."""
        return self._matrix


class TfTransforms(Transforms):
    """Transforms of /tf and /tf_static, to which it listens from the first question on.

    Raises ImportError where there is no tf2_ros.

    Args:
        node: an rclpy node that is spun; its executor receives the transforms.
    """

    def __init__(self, node: Any):
        import tf2_ros

        self._tf = tf2_ros
        self._node = node
        self._buffer = tf2_ros.Buffer()
        self._listener: Any | None = None
        self._lock = threading.Lock()

    def lookup(self, target_frame: str, source_frame: str, stamp: Any) -> np.ndarray:
        """The transform of the stamp; the newest one where that has not come yet.

        A robot's transforms may come later than the image of the same moment, and to wait for
        them would hold up the images. Raises MessageError as `Transforms.lookup`.
        """
        from rclpy.time import Time

        target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
        if target == source:
            return np.eye(4)
        self._listen()
        moment = Time.from_msg(stamp)
        try:
            return _matrix(self._buffer.lookup_transform(target, source, moment))
        except self._tf.ExtrapolationException as error:
            newest = self._lookup(target, source, Time())
            late = (moment - Time.from_msg(newest.header.stamp)).nanoseconds * 1e-9
            if 0 <= late <= LATEST_SECONDS:
                return _matrix(newest)
            raise MessageError(
                f"TF knows '{source}' in '{target}' {abs(late):.1f} s "
                f"{'before' if late > 0 else 'after'} the image, but not at its time: check that "
                "the clocks of both machines agree, and that with a bag use_sim_time is true and "
                "it is played with --clock"
            ) from error
        except self._tf.TransformException as error:
            raise _unknown(target, source, error) from error

    def close(self) -> None:
        """Ends to listen."""
        with self._lock:
            if self._listener is not None:
                self._listener.unregister()
                self._listener = None

    def _listen(self) -> None:
        with self._lock:
            if self._listener is None:
                self._listener = self._tf.TransformListener(self._buffer, self._node)

    def _lookup(self, target: str, source: str, time: Any) -> Any:
        try:
            return self._buffer.lookup_transform(target, source, time)
        except self._tf.TransformException as error:
            raise _unknown(target, source, error) from error


class NoTransforms(Transforms):
    """What is left without tf2_ros and without the parameter: sensors that share the frame."""

    def lookup(self, target_frame: str, source_frame: str, stamp: Any) -> np.ndarray:
        """The identity where both are one frame. Raises MessageError otherwise."""
        target, source = target_frame.lstrip("/"), source_frame.lstrip("/")
        if target == source:
            return np.eye(4)
        raise MessageError(
            f"where '{source}' is in '{target}' is not known, as tf2_ros is not installed: set "
            "the parameter reference.transform (or camera_height.height for a ground frame), or "
            "run the node where ROS is installed from apt with ros-<distro>-tf2-ros-py"
        )


def make_transforms(node: Any, values: Sequence[float] = ()) -> Transforms:
    """The transform of the parameter reference.transform where it is set, else those of TF.

    Raises ConfigError for values that are no pose.
    """
    if len(values) > 0:
        return StaticTransform(values)
    try:
        return TfTransforms(node)
    except ImportError:
        return NoTransforms()


def up_and_height(
    transforms: Transforms, ground_frame: str, camera_frame: str, stamp: Any
) -> tuple[np.ndarray, float]:
    """Up as a unit vector (3,) in the optical frame, and the camera's height in metres.

    The ground is the plane z = 0 of the ground frame, up its z axis. Raises MessageError where TF
    does not know the ground frame, or the camera is not above its plane.
    """
    if isinstance(transforms, StaticTransform):
        raise MessageError(
            f"reference.transform says nothing about '{ground_frame}': set camera_height.height, "
            "or leave reference.transform empty to use TF"
        )
    camera_from_ground = transforms.lookup(camera_frame, ground_frame, stamp)
    up = camera_from_ground[:3, 2]
    height = -float(up @ camera_from_ground[:3, 3])
    if not (math.isfinite(height) and height > 0):
        raise MessageError(
            f"by TF the camera '{camera_frame}' is {height:.2f} m above the x-y plane of "
            f"'{ground_frame}': camera_height.ground_frame must be a frame on the ground"
        )
    return up, height


def _unknown(target: str, source: str, error: Exception) -> MessageError:
    return MessageError(
        f"TF does not connect '{source}' with '{target}' ({error}): check the frame ids and that "
        "robot_state_publisher or a static_transform_publisher runs, or set reference.transform "
        "(camera_height.height for a ground frame)"
    )


def _matrix(message: Any) -> np.ndarray:
    """4x4 of a geometry_msgs/TransformStamped."""
    moved, turned = message.transform.translation, message.transform.rotation
    return pose_matrix(
        np.array([moved.x, moved.y, moved.z]), np.array([turned.x, turned.y, turned.z, turned.w])
    )
