"""Calls shared out over processes: what they raise, and that they end with their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from training.parallel import run_in_processes

SCRIPT = """
import os
import time

from training.parallel import run_in_processes


def start(argument, ticks):
    print(os.getpid(), flush=True)


def wait():
    time.sleep(600)


if __name__ == "__main__":
    run_in_processes(wait, [(), ()], 2, start, None, int)
"""


def test_a_call_in_a_process_raises_here():
    with pytest.raises(ValueError, match="invalid literal"):
        run_in_processes(int, [("no number",)], 1, print, "", int)


def test_processes_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "waits.py"
    script.write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    assert all(map(is_alive, workers))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 30
    while any(map(is_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
