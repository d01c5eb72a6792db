"""The processes of a graph: started together, watched, and always ended."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from depth_distill_ros.errors import UserError
from depth_distill_ros.ros.dds import with_shared_memory_profile

POLL_SECONDS = 0.1
LAST_LINES = 15
# SIGINT twice: a KeyboardInterrupt that falls into an import hook is lost.
END_SIGNALS = (
    (signal.SIGINT, 4.0),
    (signal.SIGINT, 6.0),
    (signal.SIGTERM, 3.0),
    (signal.SIGKILL, 3.0),
)


def graph_environment() -> dict[str, str]:
    """Environment variables for the processes of a graph of our own on this machine.

    A domain of its own, so that neither a robot on the network nor a second demo is disturbed;
    the shared-memory profile, unless the user chose another. Raises UserError without ROS 2.
    """
    spec = importlib.util.find_spec("rclpy")
    if spec is None or spec.origin is None:
        raise UserError(
            "the demo needs ROS 2, and there is no rclpy: `source /opt/ros/<distro>/setup.bash`, "
            "or install the wheels with `pip install 'depth_distill_ros[ros]'`"
        )
    environment = dict(os.environ)
    from_wheels = Path(spec.origin).is_relative_to(sys.prefix)
    if from_wheels and not environment.get("AMENT_PREFIX_PATH"):
        environment["AMENT_PREFIX_PATH"] = sys.prefix
    environment["ROS_DOMAIN_ID"] = str(1 + os.getpid() % 101)  # 0-101 are safe on every platform
    environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    environment["PYTHONUNBUFFERED"] = "1"
    return with_shared_memory_profile(environment)


class Graph:
    """Processes that belong together; leaving the context ends those that still run.

    Each runs `python -m MODULE ARGUMENTS…` in a session of its own, so that Ctrl-C reaches this
    process alone and it ends the others in order. Their output goes to `<folder>/<name>.log`.
    A process is ended by `end_signals`, each followed by a wait in seconds.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        end_signals: Sequence[tuple[int, float]] = END_SIGNALS,
    ):
        self._folder = folder
        self._end_signals = end_signals
        self._environment = environment
        self._processes: dict[str, subprocess.Popen] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Graph:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name in reversed(list(self._processes)):
            self.stop(name)

    def start(self, name: str, module: str, arguments: list[str]) -> None:
        """Starts a process under a name that is its log's and its error messages'."""
        with open(self._folder / f"{name}.log", "wb") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def process_id(self, name: str) -> int:
        """Of a process that was started, to be looked at."""
        return self._processes[name].pid

    def wait(self, name: str, timeout: float) -> None:
        """Waits for a process to end well.

        Raises UserError, with its last lines, where it or another process fails or ends before
        it, or the time in seconds is up.
        """
        deadline = time.monotonic() + timeout
        while True:
            for other, process in self._processes.items():
                status = process.poll()
                if status is not None and (other != name or status != 0):
                    raise UserError(f"the {other} ended with status {status}:\n{self.tail(other)}")
            if self._processes[name].poll() == 0:
                return
            if time.monotonic() > deadline:
                raise UserError(
                    f"the {name} did not end within {timeout:.0f} s:\n{self.tail(name)}"
                )
            time.sleep(POLL_SECONDS)

    def stop(self, name: str) -> None:
        """Ends a process; with the default signals it has 10 s to finish after SIGINT."""
        process = self._processes.pop(name)
        for number, patience in self._end_signals:
            if process.poll() is None:
                process.send_signal(number)
                try:
                    process.wait(patience)
                except subprocess.TimeoutExpired:
                    continue

    def tail(self, name: str) -> str:
        """The last lines that a process printed, indented."""
        with open(self._folder / f"{name}.log", encoding="utf-8", errors="replace") as log:
            lines = deque((line.rstrip() for line in log), maxlen=LAST_LINES)
        return "\n".join(f"    {line}" for line in lines) or "    (it printed nothing)"
