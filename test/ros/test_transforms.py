"""Where sensors are: by parameter, by TF (where tf2_ros is installed), and without either."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
import pytest
from ros_messages import Time

from depth_distill_ros.errors import ConfigError, MessageError
from depth_distill_ros.geometry.pose import pose_matrix
from depth_distill_ros.ros.transforms import (
    NoTransforms,
    StaticTransform,
    TfTransforms,
    make_transforms,
    up_and_height,
)

NOW = Time(sec=100, nanosec=0)
HALF = np.sqrt(0.5)

# From the ground's axes (x forward, y left, z up) to optical ones, 1.2 m below the camera.
GROUND = pose_matrix(np.array([0, 1.2, 0]), np.array([0.5, -0.5, 0.5, 0.5]))


class Known:
    """Transforms that were written down."""

    def __init__(self, matrix: np.ndarray):
        self.matrix = matrix

    def lookup(self, target_frame, source_frame, stamp):
        assert (target_frame, source_frame, stamp) == ("camera", "ground", NOW)
        return self.matrix


def test_the_parameters_transform_by_hand():
    # a sensor 0.5 m ahead that is turned a quarter about the optical axis
    transforms = StaticTransform([0, 0, 0.5, 0, 0, HALF, HALF])
    matrix = transforms.lookup("camera_optical", "lidar", NOW)
    np.testing.assert_allclose(matrix @ [1, 0, 0, 1], [0, 1, 0.5, 1], atol=1e-12)


def test_four_digits_of_a_quaternion_suffice():
    matrix = StaticTransform([1, 2, 3, 0, 0, 0.7071, 0.7071]).lookup("a", "b", NOW)
    np.testing.assert_allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-12)


@pytest.mark.parametrize(
    "values, message",
    [
        ([0.0, 0, 0], "must be 7 numbers.*has 3"),
        ([0.0, 0, 0, 0, 0, 1.57, 0], "length 1, they have length 1.57.*w comes last"),
        ([0.0] * 7, "length 0"),
        ([0.0, 0, np.nan, 0, 0, 0, 1], "finite"),
    ],
)
def test_values_that_are_no_pose(values, message):
    with pytest.raises(ConfigError, match=message):
        make_transforms(None, values)


def test_the_parameter_goes_before_tf():
    assert isinstance(make_transforms(None, (0, 0, 0, 0, 0, 0, 1)), StaticTransform)


def test_without_tf_and_parameter_only_one_frame_is_known():
    transforms = NoTransforms()
    np.testing.assert_array_equal(transforms.lookup("camera", "/camera", NOW), np.eye(4))
    with pytest.raises(MessageError) as caught:
        transforms.lookup("camera", "lidar", NOW)
    text = str(caught.value)
    for part in ("'lidar'", "'camera'", "reference.transform", "tf2-ros-py"):
        assert part in text
    assert "\n" not in text


def test_up_and_height_of_a_level_camera():
    up, height = up_and_height(Known(GROUND), "ground", "camera", NOW)
    np.testing.assert_allclose(up, [0, -1, 0], atol=1e-12)
    assert height == pytest.approx(1.2)


def test_up_and_height_of_a_camera_that_looks_down():
    # pitched down by 30 degrees, 0.8 m above the ground and far from its origin
    sine, cosine = np.sin(np.radians(30)), np.cos(np.radians(30))
    camera_in_ground = np.eye(4)
    camera_in_ground[:3, :3] = np.array(
        [[0, -sine, cosine], [-1, 0, 0], [0, -cosine, -sine]]  # columns: optical x, y and z
    )
    camera_in_ground[:3, 3] = [25, -7, 0.8]
    up, height = up_and_height(Known(np.linalg.inv(camera_in_ground)), "ground", "camera", NOW)
    np.testing.assert_allclose(up, [0, -cosine, -sine], atol=1e-12)
    assert height == pytest.approx(0.8)


def test_a_camera_in_or_under_the_ground_is_no_measure():
    for height in (0, -0.5):
        ground = GROUND.copy()
        ground[1, 3] = height
        with pytest.raises(MessageError, match="above the x-y plane of 'ground'.*ground_frame"):
            up_and_height(Known(ground), "ground", "camera", NOW)


def test_the_sensors_transform_says_nothing_about_the_ground():
    with pytest.raises(MessageError, match="set camera_height.height"):
        up_and_height(StaticTransform([0, 0, 0, 0, 0, 0, 1]), "ground", "camera", NOW)


# --- TF on a real graph ---------------------------------------------------------------------------

needs_tf = pytest.mark.skipif(
    find_spec("tf2_ros") is None, reason="tf2_ros is not installed (the wheels of ROS lack it)"
)


class TfGraph:
    """A node that is spun and listens, and another that says where frames are."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor
        from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

        self._rclpy = rclpy
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node, self._speaker = (
            rclpy.create_node(name, context=self._context) for name in ("listens", "speaks")
        )
        self._executor = SingleThreadedExecutor(context=self._context)
        for node in (self.node, self._speaker):
            self._executor.add_node(node)
        self._thread = threading.Thread(target=self._executor.spin, daemon=True)
        self._thread.start()
        self._static = StaticTransformBroadcaster(self._speaker)
        self._moving = TransformBroadcaster(self._speaker)

    def say(self, parent: str, child: str, seconds: float | None, x: float) -> None:
        """`child` is x metres along the x axis of `parent`; always, where seconds is None."""
        from geometry_msgs.msg import TransformStamped

        message = TransformStamped(child_frame_id=child)
        message.header.frame_id = parent
        message.transform.translation.x = float(x)
        message.transform.rotation.w = 1.0
        if seconds is None:
            self._static.sendTransform(message)
        else:
            message.header.stamp = stamp_of(seconds)
            self._moving.sendTransform(message)

    def close(self) -> None:
        self._executor.shutdown(5)
        self._thread.join(5)
        for node in (self.node, self._speaker):
            node.destroy_node()
        self._rclpy.try_shutdown(context=self._context)


def stamp_of(seconds: float):
    from builtin_interfaces.msg import Time as RclTime

    return RclTime(sec=int(seconds), nanosec=round(seconds % 1 * 1e9))


@pytest.fixture
def tf_graph() -> Iterator[TfGraph]:
    graph = TfGraph()
    yield graph
    graph.close()


def found(transforms, target: str, source: str, seconds: float) -> float:
    """x of the transform, as soon as it is known."""
    from ros_graph import until

    def ask():
        try:
            return transforms.lookup(target, source, stamp_of(seconds))
        except MessageError:
            return None

    answer = []
    until(lambda: (value := ask()) is not None and not answer.append(value), 10, "no transform")
    return float(answer[0][0, 3])


@needs_tf
def test_tf_at_the_stamp_and_shortly_after_the_last(tf_graph):
    transforms = make_transforms(tf_graph.node, ())
    assert isinstance(transforms, TfTransforms)
    tf_graph.say("camera", "mount", None, 1)
    with pytest.raises(MessageError):
        transforms.lookup("camera", "lidar", stamp_of(50))  # from here on it listens
    time.sleep(0.5)
    for seconds, x in [(100, 0), (101, 2)]:
        tf_graph.say("mount", "lidar", seconds, x)
    assert found(transforms, "camera", "mount", 7) == 1, "static: at any time"
    assert found(transforms, "camera", "lidar", 101) == 3
    assert found(transforms, "camera", "lidar", 100.25) == 1.5, "between two"
    assert found(transforms, "camera", "lidar", 101.5) == 3, "not come yet: the newest"
    np.testing.assert_array_equal(transforms.lookup("lidar", "/lidar", stamp_of(1)), np.eye(4))
    with pytest.raises(MessageError, match=r"'lidar' in 'camera' 4.0 s before the image.*--clock"):
        transforms.lookup("camera", "lidar", stamp_of(105))
    with pytest.raises(MessageError, match=r"'lidar' in 'camera' 91.0 s after the image.*clocks"):
        transforms.lookup("camera", "lidar", stamp_of(10))
    transforms.close()


@needs_tf
def test_frames_that_tf_does_not_connect_are_named_at_once(tf_graph):
    transforms = TfTransforms(tf_graph.node)
    with pytest.raises(MessageError):
        transforms.lookup("camera", "nowhere", stamp_of(10))
    start = time.perf_counter()
    with pytest.raises(MessageError) as caught:
        transforms.lookup("camera", "nowhere", stamp_of(10))
    assert time.perf_counter() - start < 0.01
    text = str(caught.value)
    for part in ("'nowhere'", "'camera'", "reference.transform", "robot_state_publisher"):
        assert part in text
    assert "\n" not in text
    transforms.close()


@needs_tf
def test_the_cameras_height_from_tf(tf_graph):
    transforms = TfTransforms(tf_graph.node)
    tf_graph.say("ground", "camera", None, 3)
    found(transforms, "camera", "ground", 5)
    with pytest.raises(MessageError, match="0.00 m above the x-y plane of 'ground'"):
        up_and_height(transforms, "ground", "camera", stamp_of(5))
    transforms.close()


@needs_tf
def test_after_close_nothing_is_listened_to(tf_graph):
    transforms = TfTransforms(tf_graph.node)
    before = len(list(tf_graph.node.subscriptions))
    with pytest.raises(MessageError):
        transforms.lookup("a", "b", stamp_of(1))
    assert len(list(tf_graph.node.subscriptions)) == before + 2
    transforms.close()
    assert len(list(tf_graph.node.subscriptions)) == before
