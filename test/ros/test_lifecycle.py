"""A node that a lifecycle manager leads: every transition by service, on one node after another.

The tests are the steps of one node's life, in order.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

pytest.importorskip("rclpy")

from lifecycle_msgs.msg import State, Transition  # noqa: E402
from lifecycle_msgs.srv import ChangeState, GetState  # noqa: E402
from node_graph import SIZE, NodeGraph, noise, set_stamp, stamp_of  # noqa: E402
from ros_graph import ros_image, until  # noqa: E402

TOPIC = "relative/image"
ACTIVATE = Transition.TRANSITION_ACTIVATE


@pytest.fixture(scope="module")
def graph(open_graph) -> NodeGraph:
    graph = open_graph("autostart:=false", "model:=/no/such/model", listen=(TOPIC,))
    until(lambda: "waits for `ros2 lifecycle set`" in graph.process.log, 60, "the node is not made")
    return graph


def change(graph: NodeGraph, transition: int) -> bool:
    """Whether the node made the transition."""
    request = ChangeState.Request(transition=Transition(id=transition))
    return graph.peer.call(ChangeState, "change_state", request).success


def state(graph: NodeGraph) -> int:
    return graph.peer.call(GetState, "get_state", GetState.Request()).current_state.id


def send_some(graph: NodeGraph, count: int = 8) -> None:
    """Sends images over most of a second, without waiting for answers."""
    image = ros_image(noise(*SIZE), "rgb8")
    for _ in range(count):
        graph.send(set_stamp(image, graph.next_stamp()))
        time.sleep(0.1)


def answers(graph: NodeGraph) -> int:
    return len(graph.seen[TOPIC].stamps)


def test_it_begins_unconfigured_without_topics(graph):
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    assert graph.peer.node.count_publishers(TOPIC) == 0
    assert "loading model" not in graph.process.log
    assert graph.values("model") == {"state": "unconfigured"}


def test_what_is_not_possible_in_a_state_is_logged_and_does_no_harm(graph):
    client = graph.peer.node.create_client(ChangeState, "d3epth/change_state")
    assert client.wait_for_service(timeout_sec=20)
    # rclpy raises in its callback instead of answering, so that nobody can wait for it.
    client.call_async(ChangeState.Request(transition=Transition(id=ACTIVATE)))
    until(lambda: "Transition is not registered" in graph.process.log, 20, "it is not logged")
    graph.peer.node.destroy_client(client)
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    assert "Traceback" not in graph.process.log


def test_a_wrong_model_fails_with_the_reason_and_the_node_lives(graph):
    assert not change(graph, Transition.TRANSITION_CONFIGURE)
    assert "cannot be configured: there is no model" in graph.process.log
    assert "/no/such/model" in graph.process.log
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    assert not change(graph, Transition.TRANSITION_CONFIGURE)  # and as often as one likes
    assert graph.process.is_running and graph.peer.node.count_publishers(TOPIC) == 0


def test_with_another_model_it_is_configured_and_answers_nothing_yet(graph, small_model):
    (result,) = graph.peer.set_parameters({"model": str(small_model)})
    assert result.successful, result.reason
    assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert state(graph) == State.PRIMARY_STATE_INACTIVE
    until(lambda: graph.peer.node.count_publishers(TOPIC), 20, "there are no outputs")
    assert graph.peer.node.count_subscribers("image") == 0
    assert graph.status("camera").message == "not active"
    values = graph.values("model")
    assert values["state"] == "inactive" and values["device"] == "cpu"


def test_active_it_answers(graph):
    assert change(graph, ACTIVATE)
    assert state(graph) == State.PRIMARY_STATE_ACTIVE
    graph.good_frames(3)
    assert graph.values("model")["state"] == "active"


def test_another_model_is_refused_with_what_to_do(graph, small_model):
    same, other = (
        graph.peer.set_parameters({"model": value})[0] for value in (str(small_model), "another")
    )
    assert same.successful
    assert not other.successful
    assert "model can be set while the node is unconfigured" in other.reason
    assert "ros2 lifecycle set" in other.reason
    graph.good_frames(1)


def test_deactivated_it_is_silent_and_active_again_it_answers_new_images(graph):
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    assert state(graph) == State.PRIMARY_STATE_INACTIVE
    time.sleep(0.3)  # what was on its way
    before = answers(graph)
    counts = graph.counts()
    send_some(graph)
    assert answers(graph) == before and graph.counts() == counts
    assert graph.status("camera").message == "not active"
    (result,) = graph.peer.set_parameters({"model": "another"})
    assert not result.successful

    assert change(graph, ACTIVATE)
    graph.good_frames(3)
    old = [s for s in graph.seen[TOPIC].stamps[before:] if s <= graph.seen[TOPIC].stamps[before]]
    assert len(old) == 1  # none of those sent in between
    after = graph.counts()
    assert after["processed"] >= counts["processed"] + 3  # the counters go on
    assert after["failed"] == after["refused"] == 0


def test_deactivated_under_load_it_finishes_what_is_in_work(graph):
    image = ros_image(noise(*SIZE), "rgb8")
    for _ in range(30):
        graph.send(set_stamp(image, graph.next_stamp()))
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    counts = graph.counts()
    assert counts["failed"] == counts["refused"] == 0
    assert change(graph, ACTIVATE)
    graph.good_frames(1)


def processor_seconds(pid: int) -> float:
    """Time that the processors have spent on a process."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_deactivated_it_costs_nothing(graph):
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    started, before = time.monotonic(), processor_seconds(graph.process.pid)
    send_some(graph, 20)
    share = (processor_seconds(graph.process.pid) - before) / (time.monotonic() - started)
    assert share < 0.1, f"{share:.0%} of a processor"
    assert change(graph, ACTIVATE)
    graph.good_frames(1)


def test_cleaned_up_it_frees_model_and_topics(graph):
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    assert change(graph, Transition.TRANSITION_CLEANUP)
    assert state(graph) == State.PRIMARY_STATE_UNCONFIGURED
    until(lambda: not graph.peer.node.count_publishers(TOPIC), 20, "the outputs are still there")
    assert graph.values("model") == {"state": "unconfigured"}


def test_it_can_be_configured_again_and_answers(graph):
    loaded = graph.process.log.count("loading model")
    assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert change(graph, ACTIVATE)
    assert graph.process.log.count("loading model") == loaded + 1
    graph.good_frames(2)
    assert stamp_of(graph.seen[TOPIC].last) == graph.seen[TOPIC].stamps[-1]


def test_configured_again_and_again_it_does_not_grow(graph):
    assert change(graph, Transition.TRANSITION_DEACTIVATE)
    sizes = []
    for _ in range(5):
        assert change(graph, Transition.TRANSITION_CLEANUP)
        sizes.append(graph.memory)
        assert change(graph, Transition.TRANSITION_CONFIGURE)
    assert sizes[-1] - sizes[1] < 10, sizes  # MiB
    assert change(graph, ACTIVATE)
    graph.good_frames(2)


def test_shut_down_while_active_it_is_finalized_and_ends_cleanly(graph):
    assert change(graph, Transition.TRANSITION_ACTIVE_SHUTDOWN)
    assert state(graph) == State.PRIMARY_STATE_FINALIZED
    before = answers(graph)
    send_some(graph, 3)
    assert answers(graph) == before
    log = graph.process.stop()
    assert "Traceback" not in log and "a transition failed" not in log
    assert log.count("was lost by") <= 2  # what was not possible, and its count
