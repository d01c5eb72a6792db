"""A graph of our own for the tests of ROS: environment, model, node processes, a peer."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from depth_distill_ros.ros.dds import with_shared_memory_profile

# ros_messages and ros_graph are helpers beside the tests, which pytest imports as single files.
sys.path.insert(0, str(Path(__file__).parent))

# Before anything loads the middleware. A domain for each test process, so that workers and other
# graphs of this machine do not hear each other; 0 to 101 are safe on every platform.
os.environ["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
os.environ.update(with_shared_memory_profile(os.environ))
if not os.environ.get("AMENT_PREFIX_PATH") and Path(sys.prefix, "share/ament_index").is_dir():
    os.environ["AMENT_PREFIX_PATH"] = sys.prefix  # ROS from wheels, in a virtual environment


@pytest.fixture
def start_node(tmp_path) -> Iterator[Callable]:
    """Starts node processes that end with the test."""
    from ros_graph import NodeProcess

    started: list[NodeProcess] = []

    def start(*parameters: str, arguments: tuple[str, ...] = ()) -> NodeProcess:
        log = tmp_path / f"node{len(started)}.log"
        started.append(NodeProcess(log, parameters, arguments))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def peer() -> Iterator:
    from ros_graph import Peer

    peer = Peer()
    yield peer
    peer.close()


@pytest.fixture(scope="module")
def open_graph(tmp_path_factory) -> Iterator[Callable]:
    """Starts nodes in namespaces of their own, with a peer each, which end with the module."""
    from node_graph import NodeGraph

    opened: list[NodeGraph] = []

    def start(*parameters: str, **more) -> NodeGraph:
        opened.append(NodeGraph(tmp_path_factory.mktemp("graph"), parameters, **more))
        return opened[-1]

    yield start
    for graph in opened:
        graph.close()
