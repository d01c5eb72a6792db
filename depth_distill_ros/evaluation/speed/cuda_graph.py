"""A function of tensors as one CUDA graph: a replay starts all its kernels at once.

Networks of hundreds of small kernels are otherwise timed by how fast Python can launch them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

WARM_UP = 3
"""Calls before the capture: libraries choose their algorithms and allocate then."""


def captured(
    call: Callable[..., object], arguments: Sequence[torch.Tensor]
) -> Callable[[], object]:
    """What replays the call on the same tensors, and returns the same result's tensors.

    Args:
        call: without synchronisation and copies from the host.
        arguments: on a CUDA device; their contents may change between replays.
    """
    device = arguments[0].device
    with torch.cuda.device(device):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                call(*arguments)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = call(*arguments)

    def replay() -> object:
        graph.replay()
        return result

    return replay
