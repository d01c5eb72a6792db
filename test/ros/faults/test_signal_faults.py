"""Ctrl-C and SIGTERM at random moments while images stream: always a clean end, always soon."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

pytest.importorskip("rclpy")

import signal_faults  # noqa: E402 - they import rclpy
from node_graph import NodeGraph  # noqa: E402

SIGNALS = pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name
)
TOPICS = ("relative/image", "relative/points")


@pytest.fixture
def end_some(tmp_path, small_model) -> Iterator[Callable]:
    """Starts nodes at once, for the time it takes, and ends one after the other."""
    with ExitStack() as opened:

        def end(number: signal.Signals, count: int, seed: int, again: float | None = None) -> None:
            moments = random.Random(seed)
            graphs = []
            for index in range(count):
                folder = tmp_path / str(index)
                folder.mkdir()
                graph = NodeGraph(folder, (f"model:={small_model}",), TOPICS)
                graphs.append(opened.enter_context(closing(graph)))
            for graph in graphs:
                delay = moments.uniform(0, 0.5)
                signal_faults.ends_while_images_stream(graph.wait(), number, delay, again)

        yield end


@SIGNALS
def test_a_signal_ends_it_cleanly_whatever_it_does(number, end_some):
    end_some(number, count=3, seed=int(number))


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("seed", range(5))
def test_a_signal_at_many_more_moments(number, seed, end_some):
    end_some(number, count=4, seed=100 * number + seed)


@pytest.mark.slow
@SIGNALS
@pytest.mark.parametrize("again", [0.0, 0.05, 0.3])
def test_an_impatient_second_signal_does_not_break_the_end(number, again, end_some):
    end_some(number, count=2, seed=1, again=again)
