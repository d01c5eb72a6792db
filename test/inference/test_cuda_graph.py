"""Graphs by shape: which are kept, what becomes of one that cannot be captured; on a GPU, the replay."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth_distill_ros.inference.cuda_graph import MOST_SHAPES, GraphedFunction


def brightness(pixels: torch.Tensor) -> torch.Tensor:
    """(B, h, w, 3) to (B, h, w)."""
    return pixels.float().mean(dim=3) / 255


def images(height: int, width: int = 8) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (2, height, width, 3), dtype=np.uint8)


class Captures:
    """A capture backend for a machine without a GPU: it counts, and may fail."""

    def __init__(self, error: Exception | None = None):
        self.shapes: list[tuple[int, ...]] = []
        self._error = error

    def __call__(self, function, shape, device):
        self.shapes.append(shape)
        if self._error is not None:
            raise self._error
        return lambda pixels: function(torch.from_numpy(pixels).to(device)).numpy()


def test_each_shape_is_captured_once_and_the_last_few_are_kept():
    capture = Captures()
    graphed = GraphedFunction(brightness, "cpu", capture)
    for height in range(1, MOST_SHAPES + 1):
        for _ in range(2):
            pixels = images(height)
            np.testing.assert_allclose(graphed(pixels), pixels.mean(3) / 255, rtol=1e-6)
    assert [shape[1] for shape in capture.shapes] == list(range(1, MOST_SHAPES + 1))
    graphed(images(1))  # asked for again, so that 2 is now the one that was not for longest
    graphed(images(MOST_SHAPES + 1))
    graphed(images(1))
    assert len(capture.shapes) == MOST_SHAPES + 1
    graphed(images(2))
    assert len(capture.shapes) == MOST_SHAPES + 2


def test_a_shape_that_cannot_be_captured_runs_without_and_is_reported_once(caplog):
    capture = Captures(RuntimeError("operation not permitted when stream is capturing\ndetails"))
    graphed = GraphedFunction(brightness, "cpu", capture)
    for _ in range(3):
        pixels = images(4)
        np.testing.assert_allclose(graphed(pixels), pixels.mean(3) / 255, rtol=1e-6)
    assert len(capture.shapes) == 1
    (line,) = caplog.messages
    assert "(2, 4, 8, 3)" in line and "not permitted" in line and "details" not in line


def test_lack_of_memory_is_not_hidden():
    graphed = GraphedFunction(brightness, "cpu", Captures(torch.OutOfMemoryError("full")))
    with pytest.raises(torch.OutOfMemoryError):
        graphed(images(4))


def test_cleared_graphs_are_captured_again():
    capture = Captures()
    graphed = GraphedFunction(brightness, "cpu", capture)
    graphed(images(4))
    graphed.clear()
    graphed(images(4))
    assert len(capture.shapes) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="replays CUDA graphs: needs a GPU")
def test_a_replay_gives_what_the_function_gives():
    graphed = GraphedFunction(brightness, "cuda")
    for height in (4, 6, 4):
        first, second = images(height), images(height)[:, ::-1].copy()
        found = graphed(first)
        np.testing.assert_allclose(graphed(second), second.mean(3) / 255, rtol=1e-6)
        np.testing.assert_allclose(found, first.mean(3) / 255, rtol=1e-6)  # an array of its own
