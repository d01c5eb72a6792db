"""What the log says against QoS that does not match, followed: then it matches."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

from node_graph import SIZE, noise, set_stamp  # noqa: E402 - they import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402
from ros_graph import RELIABLE_QOS, SENSOR_QOS, ros_image, until  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


def test_overrides_change_what_is_asked_and_what_is_offered(open_graph, small_model):
    graph = open_graph(
        f"model:={small_model}",
        "qos_overrides.{ns}/image.subscription.reliability:=reliable",
        "qos_overrides.{ns}/relative/image.publisher.durability:=transient_local",
    )
    peer, image = graph.peer.node, set_stamp(ros_image(noise(*SIZE), "rgb8"), 7.0)

    def subscribe() -> list[int]:
        stamps: list[int] = []
        peer.create_subscription(
            Image, "relative/image", lambda m: stamps.append(m.header.stamp.sec), LATCHED
        )
        return stamps

    best_effort = peer.create_publisher(Image, "image", SENSOR_QOS)
    until(lambda: "offers less than is asked" in graph.process.log, 60, "the node says nothing")
    assert f"a publisher of {graph.namespace}/image" in graph.process.log
    assert f"qos_overrides.{graph.namespace}/image.subscription.reliability" in graph.process.log
    assert best_effort.get_subscription_count() == 0
    early = subscribe()
    reliable = peer.create_publisher(Image, "image", RELIABLE_QOS)
    until(reliable.get_subscription_count, 20, "the node does not take reliable images")

    def is_answered() -> bool:
        reliable.publish(image)
        return 7 in early

    until(is_answered, 20, "no answer")
    late = subscribe()
    until(lambda: 7 in late, 20, "a late subscriber does not get the last answer")
