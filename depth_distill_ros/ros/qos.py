"""Quality of service of the topics, and its mismatches in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

# This pair matches every partner: best effort takes from any publisher, reliable gives to any
# subscriber. One message deep, because an old frame is worth nothing.
INPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.BEST_EFFORT
)
OUTPUT_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=1, reliability=ReliabilityPolicy.RELIABLE
)
REFERENCE_QOS = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=5, reliability=ReliabilityPolicy.BEST_EFFORT
)

OVERRIDES = QoSOverridingOptions(
    policy_kinds=(
        QoSPolicyKind.HISTORY,
        QoSPolicyKind.DEPTH,
        QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY,
    )
)
"""Parameters `qos_overrides./TOPIC.subscription.reliability` and the like."""

_CAN_BE_SET = {"RELIABILITY", "DURABILITY"}


def publisher_events(topic: str, report: Callable[[str], None]) -> PublisherEventCallbacks:
    """Reports subscribers that ask for more than `topic` offers."""

    def incompatible(info: Any) -> None:
        report(_mismatch(topic, "a subscriber", "asks for more than is offered", info, "publisher"))

    return PublisherEventCallbacks(incompatible_qos=incompatible)


def subscription_events(topic: str, report: Callable[[str], None]) -> SubscriptionEventCallbacks:
    """Reports publishers that offer less than the subscription of `topic` asks for."""

    def incompatible(info: Any) -> None:
        report(_mismatch(topic, "a publisher", "offers less than is asked", info, "subscription"))

    return SubscriptionEventCallbacks(incompatible_qos=incompatible)


def _mismatch(topic: str, who: str, does: str, info: Any, side: str) -> str:
    policy = QoSPolicyKind(info.last_policy_kind).name
    ours = f"qos_overrides.{topic}.{side}.{policy.lower()}"
    remedy = f" or start this node with the parameter {ours}" if policy in _CAN_BE_SET else ""
    return (
        f"{who} of {topic} {does} in its {policy.lower()}, so that nothing passes between them: "
        f"change its QoS{remedy}"
    )
