"""A node with a temporal model: what it remembers, and everything that makes it forget.

The tests are steps of one node's life, in order; each begins where nothing is remembered.
"""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import Transition  # noqa: E402 - they import rclpy
from lifecycle_msgs.srv import ChangeState  # noqa: E402
from node_graph import NodeGraph, set_stamp  # noqa: E402
from ros_graph import ros_image  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from depth_distill_ros.inference.estimator import DepthEstimator  # noqa: E402

TOPIC = "relative/image"
COUNT = 3  # as many as are remembered: an image sent twice changes nothing


@pytest.fixture(scope="module")
def graph(open_graph, stream_model) -> NodeGraph:
    return open_graph(
        f"model:={stream_model}", "device:=cpu", "depth.output_size:=model", listen=(TOPIC,)
    ).wait()


@pytest.fixture(scope="module")
def estimator(stream_model) -> DepthEstimator:
    return DepthEstimator.from_pretrained(stream_model, device="cpu")


def scene(number: int) -> np.ndarray:
    """Blobs that move a few pixels a frame and become brighter."""
    rough = np.random.default_rng(0).integers(0, 128, (7, 7, 3)).astype(np.uint8)
    rows, columns = (np.arange(side) * 7 // side for side in (240, 320))
    return np.roll(rough[rows][:, columns], 3 * number, axis=1) + np.uint8(10 * number)


def play(graph: NodeGraph, start: float) -> list[np.ndarray]:
    """Disparities of a few images at 10 Hz."""
    found = []
    for number in range(COUNT):
        image = set_stamp(ros_image(scene(number), "rgb8"), start + 0.1 * number)
        graph.answered(image)
        last = graph.seen[TOPIC].last
        found.append(np.frombuffer(last.data, np.float32).reshape(last.height, last.width))
    return found


@pytest.fixture(scope="module")
def expected(estimator) -> list[np.ndarray]:
    stream = estimator.stream()
    return [stream.infer(scene(number), 0.1 * number) for number in range(COUNT)]


def check(found: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_stream_as_without_ros(graph, expected, estimator):
    found = play(graph, 1000.0)
    check(found, expected)
    assert not np.allclose(found[2], estimator.infer([scene(2)])[0], atol=1e-4)
    values = graph.values()
    assert (values["temporal"], values["temporal window"]) == ("on", "4")
    assert values["temporal frames remembered"] == "3"
    assert "no temporal head" not in graph.process.log


def test_a_bag_in_a_loop_begins_anew(graph, expected):
    check(play(graph, 900.0), expected)
    assert graph.values()["temporal resets: time went back"] == "1"


def test_the_service_forgets(graph, expected):
    answer = graph.peer.call(Trigger, "reset_temporal", Trigger.Request())
    assert (answer.success, answer.message) == (True, "past images of 1 camera(s) forgotten")
    check(play(graph, 900.3), expected)
    values = graph.values()
    assert values["temporal resets: asked for"] == "1"
    assert values["temporal frames remembered"] == "3"


def test_a_second_without_images_is_a_long_gap(graph, expected):
    check(play(graph, 902.0), expected)
    assert graph.values()["temporal resets: long gap"] == "1"


def test_inactive_is_forgotten(graph, expected):
    for transition in (Transition.TRANSITION_DEACTIVATE, Transition.TRANSITION_ACTIVATE):
        request = ChangeState.Request(transition=Transition(id=transition))
        assert graph.peer.call(ChangeState, "change_state", request).success
    check(play(graph, 902.3), expected)
    assert graph.values()["temporal resets: asked for"] == "2"


def test_switched_off_each_image_is_taken_by_itself(graph, estimator):
    (result,) = graph.peer.set_parameters({"temporal.window": 2})
    assert not result.successful and "while the node is unconfigured" in result.reason
    (result,) = graph.peer.set_parameters({"temporal.enabled": False})
    assert result.successful, result.reason
    check(play(graph, 902.6), [estimator.infer([scene(number)])[0] for number in range(COUNT)])
    assert graph.values()["temporal"] == "off"


@pytest.mark.slow
def test_a_window_that_the_model_does_not_have_is_refused(start_node, stream_model):
    node = start_node(f"model:={stream_model}", "device:=cpu", "temporal.window:=5")
    assert node.wait() == 2
    assert "a window of 5 frames was asked for, and the model small-stream sees 4" in node.log
