"""The frame of a process on a graph: rclpy before, exit status and clean end after."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import rclpy
from rclpy.executors import ExternalShutdownException

from depth_distill_ros.errors import UserError, refuse


def run_process(work: Callable[[], None], interrupted: int) -> int:
    """Runs `work` with rclpy started, without ROS arguments; returns the exit status.

    0 when it ends, `interrupted` when a signal ends it, 2 with one line for a user's mistake.
    """
    rclpy.init(args=[])
    try:
        work()
    except (KeyboardInterrupt, ExternalShutdownException):
        return interrupted
    except UserError as error:
        return refuse(error)
    finally:
        with contextlib.suppress(RuntimeError):  # rclpy's signal handler may be at it already
            rclpy.try_shutdown()
    return 0
