"""What the node says where nothing comes: QoS that does not match, nobody there, another type, twins.

All nodes start at once, in namespaces of their own, since each takes seconds to look around.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

pytest.importorskip("rclpy")

import rclpy  # noqa: E402
from node_graph import SIZE, noise  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from ros_graph import START_SECONDS, NodeProcess, Peer, ros_image, until  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

SPACE = f"/words{os.getpid()}"
NODES = {
    "silent": "/camera/nobody",
    "mistyped": "/camera/jpeg",
    "twin": f"{SPACE}/twin/image",
    "other_twin": f"{SPACE}/twin/image",
}
"""The topic that `image` of each node is."""


class Words:
    """The nodes, and a peer that publishes images in the namespace of the twins."""

    def __init__(self, folder, model):
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node("observer", context=self.context)
        self._publisher = self.node.create_publisher(CompressedImage, "/camera/jpeg", 1)
        self.peer = Peer(f"{SPACE}/twin")
        self.peer.listen("relative/image")
        self.processes = {
            name: NodeProcess(
                folder / f"{name}.log",
                (f"model:={model}",),
                ("-r", f"__ns:={SPACE}/{name.split('_')[-1]}", "-r", f"image:={topic}"),
            )
            for name, topic in NODES.items()
        }
        for process in self.processes.values():
            until(lambda p=process: "ready: images" in p.log, START_SECONDS, "a node is not ready")

    def says(self, name: str, *words: str, seconds: float = 20.0) -> str:
        """The line of a node's log that has all the words, as soon as there is one."""
        process = self.processes[name]

        def line() -> str | None:
            assert process.is_running, process.log
            lines = process.log.splitlines()
            return next((one for one in lines if all(word in one for word in words)), None)

        return until(line, seconds, f"{name} does not say {words}: {process.log}")

    def close(self) -> None:
        for process in self.processes.values():
            process.close()
        self.peer.close()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def words(tmp_path_factory, small_model) -> Iterator[Words]:
    words = Words(tmp_path_factory.mktemp("words"), small_model)
    yield words
    words.close()


def test_a_subscriber_that_asks_for_too_much_is_named_with_the_remedy(words):
    topic = f"{SPACE}/silent/relative/image"
    wants_all = QoSProfile(
        depth=1,
        reliability=ReliabilityPolicy.RELIABLE,
        durability=DurabilityPolicy.TRANSIENT_LOCAL,
    )
    subscription = words.node.create_subscription(Image, topic, lambda _image: None, wants_all)
    try:
        line = words.says("silent", "asks for more than is offered in its durability")
        assert "[WARN]" in line and f"a subscriber of {topic}" in line
        assert f"parameter qos_overrides.{topic}.publisher.durability" in line
    finally:
        words.node.destroy_subscription(subscription)


def test_where_nobody_publishes_topics_with_images_are_named(words):
    line = words.says("silent", "nobody publishes on /camera/nobody: remap `image`")
    assert "topics with images are" in line
    assert f"{SPACE}/twin/image" in line.split("topics with images are")[1]
    assert f"{SPACE}/silent/" not in line.split("topics with images are")[1]  # its own outputs


def test_another_type_on_the_topic_is_told_with_what_to_set(words):
    line = words.says("mistyped", "/camera/jpeg carries sensor_msgs/msg/CompressedImage")
    assert "not sensor_msgs/msg/Image: set input.transport" in line


def test_two_nodes_of_one_name_warn_and_one_alone_goes_on(words):
    for name in ("twin", "other_twin"):
        words.says(name, f"there are several nodes named {SPACE}/twin/d3epth")
    words.peer.ask(ros_image(noise(*SIZE), "rgb8", stamp=1))
    words.processes["twin"].kill()
    for stamp in range(2, 5):
        words.peer.ask(ros_image(noise(*SIZE), "rgb8", stamp=stamp))
    log = words.processes["other_twin"].stop()
    assert "0 refused, 0 failed" in log


def test_each_is_said_once_and_nothing_is_a_defect(words):
    for name, process in words.processes.items():
        assert "Traceback" not in process.log and "was lost by" not in process.log
        warnings = [line.split("]: ")[1] for line in process.log.splitlines() if "[WARN]" in line]
        assert len(warnings) == len(set(warnings)), name
    assert not words.processes["twin"].is_running
