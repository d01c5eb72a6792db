"""A node on an exported engine: the same answers without PyTorch, and the reason where it is not taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import State, Transition  # noqa: E402 - they import rclpy
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from node_graph import SIZE, NodeGraph, noise, set_stamp  # noqa: E402
from ros_graph import ros_camera_info, ros_image, until  # noqa: E402

MODEL = "d3epth-tiny-stream"
TOPIC = "relative/image"


def uses_pytorch(graph: NodeGraph) -> bool:
    """Whether the node's process has PyTorch's library in its memory."""
    return "libtorch" in Path(f"/proc/{graph.process.pid}/maps").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cache(exported) -> dict[str, str]:
    """The environment of a node for whom the bundled streaming model was exported."""
    return {"D3EPTH_CACHE": str(exported)}


@pytest.fixture(scope="module")
def graph(open_graph, cache) -> NodeGraph:
    parameters = (f"model:={MODEL}", "device:=cpu")
    return open_graph(*parameters, listen=(TOPIC,), environment=cache).wait()


def test_an_exported_engine_is_taken_and_pytorch_is_never_loaded(graph):
    graph.good_frames(3)
    values = graph.values("model")
    assert values["engine"].startswith("onnxruntime ") and values["engine"].endswith(", fp32")
    assert "of PyTorch when it was compared" in values["engine chosen because"]
    assert f"model {MODEL} on cpu, {values['engine']} (" in graph.process.log
    assert not uses_pytorch(graph)


def test_its_streams_remember_and_are_forgotten(graph):
    graph.good_frames(2)  # a second between stamps: each within the gap that a stream allows
    assert int(graph.values()["temporal frames remembered"]) >= 2
    moment = graph.next_stamp()
    image = ros_image(255 - noise(*SIZE, seed=1) // 2, "rgb8")
    graph.answered(set_stamp(image, moment), ros_camera_info(*SIZE))
    assert graph.values()["temporal resets: scene cut"] == "1"


def test_its_depth_is_that_of_pytorch(graph, open_graph):
    other = open_graph(f"model:={MODEL}", "engine:=torch", listen=(TOPIC,)).wait()
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    picture = np.stack([rows // 3, columns // 4, 255 - rows // 3], -1).astype(np.uint8)
    maps = []
    for one in (graph, other):
        one.answered(set_stamp(ros_image(picture, "rgb8"), 5e6), ros_camera_info(*SIZE))
        message = one.seen[TOPIC].last
        maps.append(np.frombuffer(message.data, np.float32))
    assert np.abs(maps[0] - maps[1]).max() < 1e-3 * maps[1].max()
    assert other.values("model")["engine chosen because"] == "asked for" and uses_pytorch(other)


def test_without_the_engine_that_was_asked_for_the_node_ends_with_one_line(small_model, start_node):
    process = start_node(f"model:={small_model}", "engine:=onnxruntime", "device:=cpu")
    assert process.wait() == 2, process.log
    (line,) = (line for line in process.log.splitlines() if line.startswith("error: "))
    assert "no exported engine of this model" in line and "d3epth export" in line
    assert "Traceback" not in process.log


def test_another_engine_while_the_node_is_unconfigured(small_model, open_graph):
    parameters = ("autostart:=false", f"model:={small_model}", "engine:=onnxruntime")
    graph = open_graph(*parameters)
    until(lambda: "waits for `ros2 lifecycle set`" in graph.process.log, 60, "the node is not made")

    def configure() -> int:
        request = ChangeState.Request(transition=Transition(id=Transition.TRANSITION_CONFIGURE))
        graph.peer.call(ChangeState, "change_state", request)
        return graph.peer.call(GetState, "get_state", GetState.Request()).current_state.id

    assert configure() == State.PRIMARY_STATE_UNCONFIGURED
    assert "cannot be configured: there is no exported engine" in graph.process.log
    assert not uses_pytorch(graph)
    (result,) = graph.peer.set_parameters({"engine": "fast"})
    assert "engine must be one of auto, torch, onnxruntime" in result.reason
    (result,) = graph.peer.set_parameters({"engine": "torch"})
    assert result.successful, result.reason
    assert configure() == State.PRIMARY_STATE_INACTIVE
    assert graph.values("model")["engine"].startswith("torch ")
