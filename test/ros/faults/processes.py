"""Cameras and listeners in processes of their own, which the tests kill and stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from node_graph import NodeGraph
from ros_graph import until

_SHARED = Path("/dev/shm")


class PeerProcess:
    """`peer_process.py` on a graph; `sent_or_taken` counts its frames so far."""

    def __init__(self, graph: NodeGraph, role: str, *arguments: str):
        self._output = graph.folder / f"{role}{len(list(graph.folder.iterdir()))}.txt"
        command = [sys.executable, str(Path(__file__).with_name("peer_process.py")), role]
        command += ["--namespace", graph.namespace, *arguments]
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def sent_or_taken(self) -> int:
        return self._output.stat().st_size

    def until_more(self, count: int, seconds: float = 60.0) -> int:
        """Waits for so many more frames; returns how many there are in all."""
        wanted = self.sent_or_taken + count

        def enough() -> bool:
            assert self._process.poll() is None, self._output.read_text()
            return self.sent_or_taken >= wanted

        until(enough, seconds, "the other process does not get on")
        return self.sent_or_taken

    def freeze(self) -> None:
        """SIGSTOP: it exists, but does nothing more."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL, and takes its shared memory away, which nobody else does."""
        if self._process.poll() is None:
            left = _segments(self._process.pid)
            self._process.kill()
            self._process.wait()
            for path in left:
                path.unlink(missing_ok=True)


def _segments(pid: int) -> list[Path]:
    """The files in shared memory that belong to a process: those whose lock file it holds."""
    held = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.add(Path(os.readlink(link)))
        except OSError:
            continue
    locks = [p for p in held if p.parent == _SHARED and p.name.endswith("_el")]
    return [
        path
        for lock in locks
        if "port" not in lock.name
        for path in (lock, lock.with_name(lock.name.removesuffix("_el")))
    ]
