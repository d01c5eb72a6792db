"""Signals while PyTorch and the model are loaded, where exceptions get lost in imports."""

from __future__ import annotations

import random
import signal
import time

import pytest

pytest.importorskip("rclpy")

from ros_graph import NodeProcess, until  # noqa: E402 - it imports rclpy

END_SECONDS = 10.0
BOTH = (signal.SIGINT, signal.SIGTERM)


def ends_well(process: NodeProcess, delay: float, numbers: tuple, pause: float) -> None:
    """Sends signals so long after the load began; fails unless the process ends as it should."""
    until(lambda: "loading model" in process.log, 60, "the node was not made")
    time.sleep(delay)
    for number in numbers:
        if process.is_running:
            process.signal(number)
        time.sleep(pause)
    assert process.wait(END_SECONDS) == 0, process.log
    assert "Traceback" not in process.log and "rror" not in process.log, process.log


@pytest.mark.parametrize("numbers", [(signal.SIGINT,), (signal.SIGTERM, signal.SIGINT)])
def test_it_ends_cleanly(numbers, start_node, small_model):
    ends_well(start_node(f"model:={small_model}"), 1.0, numbers, 0.02)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_it_ends_cleanly_at_many_moments(seed, start_node, small_model):
    moments = random.Random(seed)
    numbers = moments.choices(BOTH, k=moments.choice((1, 1, 2, 3)))
    process = start_node(f"model:={small_model}")
    ends_well(process, moments.uniform(0, 4), tuple(numbers), moments.choice((0.0, 0.001, 0.05)))
