"""The process of the node `d3epth`: arguments, signals and exit status.

    ros2 run depth_distill_ros d3epth_node --ros-args -p device:=cpu -r image:=/camera/image_raw

Exit status: 0 after SIGINT or SIGTERM, 2 with one line on stderr for a mistake in the arguments,
the parameters or the model. The engine is imported when the parameters are known to be good: PyTorch, or ONNX Runtime alone.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING

from depth_distill_ros.errors import ConfigError, UserError, refuse
from depth_distill_ros.ros.allocator import keep_freed_memory
from depth_distill_ros.ros.dds import with_shared_memory_profile
from depth_distill_ros.ros.installation import without_rclpy

if TYPE_CHECKING:
    from depth_distill_ros.inference.estimator import DepthEstimator
    from depth_distill_ros.ros.depth_node import DepthNode
    from depth_distill_ros.ros.parameters import Settings

WARM_UP_SIZE = (480, 640)

RECOVERY_SECONDS = 0.1
"""Pause after a defect in a callback, so that one that stays does not keep a core busy."""

AGAIN_SECONDS = 0.5
"""After which a signal interrupts once more where it has not come to anything."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)
_interrupted = threading.Event()

USAGE = """usage: d3epth_node [--ros-args -p NAME:=VALUE … -r TOPIC:=TOPIC … --params-file FILE]

Depth images and point clouds from camera images by a monocular model. A lifecycle node, which
configures and activates itself unless autostart is false.

subscribes:  image (sensor_msgs/Image) or image/compressed, camera_info;
             reference/points, reference/scan or reference/image (metres) for scale.mode reference
publishes:   relative/image, relative/camera_info, relative/points, depth/color, and with a scale
             depth/image (metres), depth/camera_info, points, depth/scale, depth/scale_text;
             /diagnostics
services:    ~/save_scale, ~/reset_scale, ~/reset_temporal
With several cameras (parameter cameras) each has these topics below its name.

parameters:
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs the node until a signal ends it; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    _interrupt_on_signals()  # before anything is imported that takes long
    try:
        if {"-h", "--help"} & set(arguments):
            from depth_distill_ros.ros.parameters import help_text

            print(USAGE + help_text())
            return 0
        return _run(arguments)
    except Interrupted:
        _ignore_signals()
        return 0
    except Exception as error:
        if _interrupted.is_set():  # an import that was broken off may fail in its own way
            _ignore_signals()
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
    try:
        import rclpy
    except ImportError as error:
        raise without_rclpy(error) from error
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
        # At the exit Python would look through all of PyTorch's objects, for a second and more.
        gc.freeze()
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

    estimator = DepthEstimator.from_pretrained(
        settings.model or None, settings.device, settings.engine, settings.precision
    )
    blank = np.zeros((*WARM_UP_SIZE, 3), np.uint8)
    estimator(blank)
    if estimator.temporal_window:
        estimator.stream()(blank, stamp=0.0)
    return estimator


def _spin_until_interrupted(node: DepthNode) -> None:
    """Runs the callbacks in a thread and waits for Interrupted, which is the normal end.

    Python runs signal handlers in the main thread between bytecodes, so that thread must not sit
    in the middleware's wait; and the context stays valid until the frame in work is published.
    """
    from rclpy.executors import SingleThreadedExecutor

    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ended = threading.Event()

    def spin() -> None:
        failure: Exception | None = None
        while not ended.is_set():
            try:
                if failure is not None:
                    node.report_defect(failure)
                    node.renew_inputs()
                    failure = None
                executor.spin()
                ended.set()
            except Exception as error:  # a bad request or a moment without memory is not the end
                failure = error
                time.sleep(RECOVERY_SECONDS)

    thread = threading.Thread(target=spin, name="executor", daemon=True)
    thread.start()
    try:
        ended.wait()
    finally:
        _ignore_signals()
        ended.set()
        executor.shutdown(timeout_sec=5.0)
        thread.join(5.0)


class Interrupted(BaseException):
    """SIGINT or SIGTERM, raised in the main thread.

    Not a KeyboardInterrupt: of one that breaks off a piece of code run by `exec`, as there are in
    many imports, CPython remembers that it was not handled, and ends with another status.
    """


def _interrupt_on_signals() -> None:
    """SIGINT and SIGTERM raise Interrupted; also where a shell made the process ignore them."""
    for number in _SIGNALS:
        signal.signal(number, _interrupt)
    sys.unraisablehook = _unraisable


def _interrupt(_number: int, _frame: object) -> None:
    _interrupted.set()
    # Raised in a destructor or a callback of the interpreter it would be lost: so again, soon.
    signal.setitimer(signal.ITIMER_REAL, AGAIN_SECONDS)
    raise Interrupted


def _unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_type is not Interrupted:
        sys.__unraisablehook__(args)


def _ignore_signals() -> None:
    """The end has begun: another signal must not break it off halfway.

    Nor may the timer outlive Python's handlers, which are taken back at the exit: it would kill.
    """
    while True:
        try:
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)
            signal.setitimer(signal.ITIMER_REAL, 0)
            return
        except Interrupted:  # by one that came before it was ignored
            continue


if __name__ == "__main__":
    sys.exit(main())
