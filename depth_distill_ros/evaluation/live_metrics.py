"""Accuracy of a running node: `d3epth_metrics` beside it, and `d3epth replay --live`.

    ros2 run depth_distill_ros d3epth_metrics --ros-args -r truth:=/camera/depth/image_raw

Subscribes to the node's `depth/image`, `relative/image` and `relative/camera_info`, and to `truth`;
logs a line every `period` seconds and publishes the means on `metrics` (diagnostic_msgs).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from depth_distill_ros.errors import BagError, ConfigError, UserError, refuse
from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE
from depth_distill_ros.evaluation.replay.live import LiveMetrics
from depth_distill_ros.evaluation.replay.measure import depth_range
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.pictures import Album
from depth_distill_ros.evaluation.replay.report import About
from depth_distill_ros.evaluation.replay.truth import TruthReader
from depth_distill_ros.ros.dds import with_shared_memory_profile
from depth_distill_ros.ros.installation import without_rclpy

if TYPE_CHECKING:
    from depth_distill_ros.ros.live import LiveNode

PERIOD = 5.0
COLOURS = 0.5, 20.0
"""Metres at the ends of the colours: the depth of the run is not known before its end."""

TOPICS = {"relative": "relative/image", "metric": "depth/image", "info": "relative/camera_info"}

USAGE = """usage: d3epth_metrics [--ros-args -p NAME:=VALUE … -r TOPIC:=TOPIC …]

Compares the depth of a running d3epth node with measured depth of the same moments.

subscribes:  depth/image, relative/image, relative/camera_info; truth, truth/camera_info
publishes:   metrics (diagnostic_msgs/DiagnosticArray): the means so far

parameters:
  truth_type  depth: truth is a depth image; lidar: a PointCloud2 (default: depth)
  transform   x y z qx qy qz qw of the truth's sensor in the optical frame; empty: from TF
  tolerance   seconds between depth and its truth, at most (default: 0.02)
  period      seconds between two lines (default: 5.0)
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs until a signal ends it; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return 0
    try:
        return _run(arguments)
    except UserError as error:
        return refuse(error)


def _run(arguments: list[str]) -> int:
    live = _ros(["d3epth_metrics", *arguments])
    node = live.LiveNode()
    kind = node.parameter("truth_type", "depth")
    if kind not in ("depth", "lidar"):
        raise ConfigError(f"truth_type must be depth or lidar, not '{kind}'")
    transforms = node.transforms(node.numbers("transform"))
    truth = TruthReader(kind, transforms.lookup)
    metrics = LiveMetrics(truth, DEPTH_RANGE, node.parameter("tolerance", 0.02))
    node.subscribe({**TOPICS, kind: "truth", "truth_info": "truth/camera_info"}, metrics.take)
    _spin(node, metrics, node.parameter("period", PERIOD), None)
    return 0


def run_live(options: ReplayOptions, seconds: float | None) -> dict[str, Any]:
    """Measures until Ctrl-C, or for a time, and writes the report; returns it.

    Topics are those of the options; the node's are found in the namespace of this process. Raises
    BagError where nothing came.
    """
    live = _ros(["d3epth_metrics"])
    node = live.LiveNode()
    transforms = node.transforms(options.settings.reference_transform)
    truth = TruthReader(options.kind, transforms.lookup)
    limits = depth_range(options.settings)
    metrics = LiveMetrics(truth, limits, options.tolerance, Album(*COLOURS))
    own_info = options.truth.rsplit("/", 1)[0] + "/camera_info"
    topics = {**TOPICS, options.kind: options.truth, "truth_info": own_info}
    topics |= {"image": options.image or "image"}
    if options.poses is not None:
        topics["pose"] = options.poses
    node.subscribe(topics, metrics.take)
    _spin(node, metrics, PERIOD, seconds)
    if metrics.table.count == 0:
        causes = "; ".join(metrics.problems) or "no depth came: does the node run, and its input?"
        raise BagError(f"nothing could be measured: {causes}")
    unknown = "of the running node"
    facts = {"model": unknown, "checkpoint": unknown, "truth": f"{options.truth} ({options.kind})"}
    temporal = "TAE is of the metric depth as published." if options.poses else ""
    about = About("a running node", facts, temporal, limits, dict(metrics.problems))
    return metrics.write(options.output, about, options.max_abs_rel)


def _spin(node: LiveNode, metrics: LiveMetrics, period: float, seconds: float | None) -> None:
    from depth_distill_ros.ros import live

    def tick() -> None:
        node.get_logger().info(metrics.line())
        node.publish("d3epth: accuracy", metrics.means(), metrics.table.count > 0)

    live.spin(node, period, tick, seconds)
    print(metrics.line(), flush=True)


def _ros(arguments: list[str]) -> Any:
    """The module with rclpy, which is started. Raises ConfigError without ROS 2."""
    # The middleware reads these when it is initialised.
    os.environ.update(with_shared_memory_profile(os.environ))
    try:
        from depth_distill_ros.ros import live
    except ImportError as error:
        raise without_rclpy(error) from error
    live.start(arguments)
    return live


if __name__ == "__main__":
    sys.exit(main())
