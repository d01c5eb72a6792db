"""The process of the node `d3epth`: arguments, signals and exit status.

    ros2 run depth_distill_ros d3epth_node --ros-args -p device:=cpu -r image:=/camera/image_raw

Exit status: 0 after SIGINT or SIGTERM, 2 with one line on stderr for a mistake in the arguments,
the parameters or the model. PyTorch is imported when the parameters are known to be good.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from depth_distill_ros.errors import ConfigError, UserError, refuse
from depth_distill_ros.ros.allocator import keep_freed_memory
from depth_distill_ros.ros.dds import with_shared_memory_profile
from depth_distill_ros.ros.parameters import help_text

if TYPE_CHECKING:
    from depth_distill_ros.inference.estimator import DepthEstimator
    from depth_distill_ros.ros.depth_node import DepthNode
    from depth_distill_ros.ros.parameters import Settings

WARM_UP_SIZE = (480, 640)

_interrupted = threading.Event()

USAGE = f"""usage: d3epth_node [--ros-args -p NAME:=VALUE … -r TOPIC:=TOPIC … --params-file FILE]

Depth images and point clouds from camera images by a monocular model. A lifecycle node, which
configures and activates itself unless autostart is false.

subscribes:  image (sensor_msgs/Image) or image/compressed, camera_info;
             reference/points, reference/scan or reference/image (metres) for scale.mode reference
publishes:   relative/image, relative/camera_info, relative/points, depth/color, and with a scale
             depth/image (metres), depth/camera_info, points, depth/scale, depth/scale_text;
             /diagnostics
services:    ~/save_scale, ~/reset_scale
With several cameras (parameter cameras) each has these topics below its name.

parameters:
{help_text()}
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the node until a signal ends it; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if {"-h", "--help"} & set(arguments):
        print(USAGE, end="")
        return 0
    try:
        return _run(arguments)
    except KeyboardInterrupt:
        return 0
    except Exception as error:
        if _interrupted.is_set():  # some imports turn KeyboardInterrupt into an ImportError
            return 0
        if not isinstance(error, UserError):
            raise
        return refuse(error)


def _run(arguments: list[str]) -> int:
    # The middleware reads these when it is initialised; with `ros2 run` nobody else sets them.
    os.environ.update(with_shared_memory_profile(os.environ))
    # PyTorch's threads would otherwise spin while they wait for each other: with another busy
    # process on two cores, inference took three times as long (read when PyTorch is imported).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    keep_freed_memory()
    _interrupt_on_signals()
    try:
        import rclpy
    except ImportError as error:
        raise ConfigError(
            f"rclpy cannot be imported ({error}): `source /opt/ros/<distro>/setup.bash`, "
            "or `pip install 'depth_distill_ros[ros]'`"
        ) from error
    from depth_distill_ros.ros.depth_node import DepthNode

    _initialise(arguments)
    node = None
    try:
        node = DepthNode(load_estimator)
        if node.settings.autostart:
            node.trigger_configure()
            if node.failure is not None:
                raise node.failure
            node.trigger_activate()
        else:
            node.get_logger().info("unconfigured: waits for `ros2 lifecycle set`")
        _spin_until_interrupted(node)
    finally:
        _ignore_signals()
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _initialise(arguments: list[str]) -> None:
    """Starts rclpy. Raises ConfigError for arguments that neither ROS nor the node knows."""
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args

    command = ["d3epth_node", *arguments]
    try:
        others = remove_ros_args(command)[1:]
        if not others:
            rclpy.init(args=command, signal_handler_options=SignalHandlerOptions.NO)
    except Exception as error:  # rclpy raises classes of its own, some of them private
        reason = str(error).split(", at /")[0]  # after it, positions in ROS's sources
        raise ConfigError(f"the arguments after --ros-args cannot be used: {reason}") from error
    if others:
        raise ConfigError(
            f"unknown argument '{others[0]}': parameters and topics follow --ros-args, see --help"
        )


def load_estimator(settings: Settings) -> DepthEstimator:
    """Loads the model and runs it once, so that the first image is not a slow one.

    Raises ModelError or ConfigError where the model or the device cannot be used.
    """
    import numpy as np

    from depth_distill_ros.inference.estimator import DepthEstimator

    estimator = DepthEstimator.from_pretrained(settings.model or None, device=settings.device)
    estimator(np.zeros((*WARM_UP_SIZE, 3), np.uint8))
    return estimator


def _spin_until_interrupted(node: DepthNode) -> None:
    """Runs the callbacks in a thread and waits for KeyboardInterrupt, which is the normal end.

    Python runs signal handlers in the main thread between bytecodes, so that thread must not sit
    in the middleware's wait; and the context stays valid until the frame in work is published.
    """
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()
    failures: list[Exception] = []

    def spin() -> None:
        try:
            executor.spin()
        except Exception as error:  # the main thread raises it again
            failures.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    try:
        ended.wait()
    finally:
        _ignore_signals()
        executor.shutdown(timeout_sec=5.0)
        thread.join(5.0)
    if failures:
        raise failures[0]


def _interrupt_on_signals() -> None:
    """SIGINT and SIGTERM raise KeyboardInterrupt; also where a shell made the process ignore them."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


def _ignore_signals() -> None:
    """The end has begun: another signal must not break it off halfway."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
