"""A function of tensors as one CUDA graph: a replay starts all its kernels at once.

Networks of hundreds of small kernels are otherwise only as fast as Python can launch them. A graph is
of one shape, and reads and writes the same memory every time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch

WARM_UP = 3
"""Calls before the capture: libraries choose their algorithms and allocate then."""

MOST_SHAPES = 4
"""Graphs that are kept: each holds the memory of a whole pass."""

Function = Callable[[torch.Tensor], torch.Tensor]
"""On a device."""

Pass = Callable[[np.ndarray], np.ndarray]
"""Arrays of the host in and out."""


class GraphedFunction:
    """A function of images, replayed as a CUDA graph for each of the last few shapes.

    A shape whose capture fails is run without a graph from then on, and the log says so. For one
    thread at a time, as the graphs' memory is.

    Args:
        function: uint8 pixels (B, h, w, 3) on the device to maps there, without a word to the host.
        device: "cuda" or "cuda:N".
        capture: makes the pass of a function, a shape and a device.
    """

    def __init__(
        self,
        function: Function,
        device: str,
        capture: Callable[[Function, tuple[int, ...], str], Pass] | None = None,
    ):
        self._function, self._device = function, device
        self._capture = capture or _Graph
        self._passes: dict[tuple[int, ...], Pass] = {}

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """The maps of uint8 pixels (B, h, w, 3). Raises torch.OutOfMemoryError."""
        found = self._passes.pop(pixels.shape, None) or self._new(pixels.shape)
        self._passes[pixels.shape] = found  # last: the first is the one not asked for longest
        return found(pixels)

    def clear(self) -> None:
        """Drop all graphs, and with them their memory."""
        self._passes.clear()

    def _new(self, shape: tuple[int, ...]) -> Pass:
        while len(self._passes) >= MOST_SHAPES:
            del self._passes[next(iter(self._passes))]
        try:
            return self._capture(self._function, shape, self._device)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().partition("\n")[0]
            logging.getLogger(__name__).warning(
                "no CUDA graph of images %s, which run without: %s", shape, reason
            )
            return self._eager

    def _eager(self, pixels: np.ndarray) -> np.ndarray:
        return self._function(torch.from_numpy(pixels).to(self._device)).cpu().numpy()


class _Graph:
    """A function's graph for one shape, and the buffers through which images get in and maps out.

    Those of the host are pinned: the GPU copies from and to them by itself, behind each other on the
    current stream, and the host waits once.
    """

    def __init__(self, function: Function, shape: tuple[int, ...], device: str):
        self._sent = torch.zeros(shape, dtype=torch.uint8, pin_memory=True)
        self._pixels = self._sent.to(device)
        self._replay = captured(function, (self._pixels,))
        maps = self._replay()
        self._received = torch.empty(maps.shape, dtype=maps.dtype, pin_memory=True)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        np.copyto(self._sent.numpy(), pixels)
        self._pixels.copy_(self._sent, non_blocking=True)
        self._received.copy_(self._replay(), non_blocking=True)
        torch.cuda.current_stream(self._pixels.device).synchronize()
        return self._received.numpy().copy()  # the next pass writes there


def captured(
    call: Callable[..., object], arguments: Sequence[torch.Tensor]
) -> Callable[[], object]:
    """What replays the call on the same tensors, and returns the same result's tensors.

    Args:
        call: without synchronisation and copies from the host; what it reads has to stay alive.
        arguments: on a CUDA device; their contents may change between replays.

    Raises RuntimeError where the call cannot be captured.
    """
    with torch.cuda.device(arguments[0].device):
        current, side = torch.cuda.current_stream(), torch.cuda.Stream()
        side.wait_stream(current)
        # Around the capture too, which does not put the stream back where it fails.
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                call(*arguments)
            graph = torch.cuda.CUDAGraph()
            # Other threads may go on using the GPU meanwhile.
            with torch.cuda.graph(graph, stream=side, capture_error_mode="thread_local"):
                result = call(*arguments)
        current.wait_stream(side)

    def replay() -> object:
        graph.replay()
        return result

    return replay
