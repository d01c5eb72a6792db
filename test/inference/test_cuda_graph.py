"""Graphs by shape: which are kept, what becomes of one that cannot be captured; on a GPU, the replay."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from depth_distill_ros.inference.cuda_graph import MOST_SHAPES, GraphedFunction
from depth_distill_ros.inference.torch_engine import TorchEngine, disparities
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folding import fold


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


class OfTheHost(TorchDispatchMode):
    """Names the operations that see a tensor of the CPU: copies of constants, and values read back."""

    def __init__(self):
        super().__init__()
        self.operations: list[str] = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        values = tree_leaves((args, kwargs, result))
        if any(isinstance(one, torch.Tensor) and one.device.type == "cpu" for one in values):
            self.operations.append(str(operation))
        return result


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("preset", ["tiny", "tiny-prior", "tiny-fast", "tiny-small"])
def test_a_folded_network_can_be_captured_for_it_never_talks_to_the_host(preset, precision):
    """On the meta device, which computes nothing and refuses to tell values, as a capture does."""
    network = fold(DepthModel.from_preset(preset)).to("meta").lower(precision)
    with torch.inference_mode(), OfTheHost() as of_the_host:
        pixels = torch.zeros(2, 64, 96, 3, dtype=torch.uint8, device="meta")
        maps = disparities(network, torch.float32, pixels)
    assert of_the_host.operations == []
    assert maps.dtype == torch.float32 and maps.shape[0] == 2


def test_what_cannot_be_captured_is_noticed():
    with OfTheHost() as of_the_host:
        torch.zeros(3, device="meta") + torch.tensor([1.0, 2.0, 3.0]).to("meta")
    assert any("copy" in operation for operation in of_the_host.operations)


needs_gpu = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="replays CUDA graphs: needs a GPU"
)


@needs_gpu
def test_an_engine_by_graphs_gives_what_it_gives_without(small_model):
    model = DepthModel.from_pretrained(small_model)
    engine, plain = TorchEngine(model, "cuda"), TorchEngine(model, "cuda")
    plain._graphs = None
    random = np.random.default_rng(0)
    for shape in [(1, 64, 96, 3), (2, 64, 96, 3), (1, 96, 64, 3), (1, 64, 96, 3)]:
        for _ in range(2):
            pixels = random.integers(0, 256, shape, dtype=np.uint8)
            np.testing.assert_allclose(engine.infer(pixels), plain.infer(pixels), atol=1e-4)


@needs_gpu
def test_a_replay_gives_what_the_function_gives():
    graphed = GraphedFunction(brightness, "cuda")
    for height in (4, 6, 4):
        first, second = images(height), images(height)[:, ::-1].copy()
        found = graphed(first)
        np.testing.assert_allclose(graphed(second), second.mean(3) / 255, rtol=1e-6)
        np.testing.assert_allclose(found, first.mean(3) / 255, rtol=1e-6)  # an array of its own
