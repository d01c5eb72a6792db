"""Processes that are watched and always ended; real ones, without ROS."""

from __future__ import annotations

import os
import signal
import time

import pytest

from depth_distill_ros.errors import UserError
from depth_distill_ros.evaluation.graph import Graph

MODULES = {
    "patient": "import time\nprint('started', flush=True)\ntime.sleep(60)\n",
    "brief": "import time\ntime.sleep(0.3)\n",
    "failing": (
        "import sys\nprint('first line')\nprint('the reason', file=sys.stderr)\nsys.exit(7)\n"
    ),
    "stubborn": (
        "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('told', flush=True), exit(0)))\n"
        "print('started', flush=True)\ntime.sleep(60)\n"
    ),
}


@pytest.fixture
def graph(tmp_path):
    for name, source in MODULES.items():
        (tmp_path / f"{name}.py").write_text(source)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    signals = [(number, 0.5) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)]
    with Graph(tmp_path / "logs", environment, signals) as graph:
        yield graph


def process_of(graph, name):
    return graph._processes[name]


def until_printed(graph, name, text="started"):
    deadline = time.monotonic() + 10
    while text not in graph.tail(name):
        assert time.monotonic() < deadline, f"{name} printed only {graph.tail(name)}"
        time.sleep(0.02)


def test_waits_for_one_while_others_run(graph):
    graph.start("node", "patient", [])
    graph.start("player", "brief", [])
    graph.wait("player", timeout=10)
    assert process_of(graph, "node").poll() is None


def test_a_process_that_dies_ends_the_wait_with_its_last_lines(graph):
    graph.start("player", "patient", [])
    graph.start("node", "failing", [])
    with pytest.raises(UserError, match="the node ended with status 7") as caught:
        graph.wait("player", timeout=10)
    assert "first line" in str(caught.value) and "the reason" in str(caught.value)


def test_a_process_that_ends_too_early_is_a_failure_even_without_an_error(graph):
    graph.start("player", "patient", [])
    graph.start("node", "brief", [])
    with pytest.raises(UserError, match="the node ended with status 0"):
        graph.wait("player", timeout=10)


def test_the_wait_has_an_end(graph):
    graph.start("player", "patient", [])
    with pytest.raises(UserError, match="the player did not end within"):
        graph.wait("player", timeout=0.3)


def test_leaving_ends_every_process(tmp_path, graph):
    processes = []
    with pytest.raises(KeyboardInterrupt):
        with graph:
            for name in ("patient", "stubborn"):
                graph.start(name, name, [])
                until_printed(graph, name)
                processes.append(process_of(graph, name))
            raise KeyboardInterrupt
    assert all(process.returncode is not None for process in processes)
    assert "told" in (tmp_path / "logs" / "stubborn.log").read_text(), "SIGTERM follows SIGINT"
