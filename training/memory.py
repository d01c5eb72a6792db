"""How much memory a training process takes, and what for."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from training.objective import Objective
from training.optimisation import Optimisation

GIB = 2**30
BUDGET = 24 * GIB
CUDA_CONTEXT = GIB // 2
"""What a CUDA process takes beside PyTorch's allocator: about half a GiB on recent GPUs."""


@dataclass(frozen=True)
class MemoryUse:
    """Bytes of one process.

    Attributes:
        trained: weights that are trained, and their running averages.
        frozen: weights that are not, and buffers.
        gradients: of the trained weights.
        optimizer: AdamW's two moments.
        peak: the most that tensors took at once during the measured steps; on a CPU, where they
            cannot be told apart, what the process has grown by since ``baseline``.
        baseline: resident memory of Python and its libraries on a CPU; 0 on CUDA.
        building: the most that the process had resident before the first step.
    """

    trained: int
    frozen: int
    gradients: int
    optimizer: int
    peak: int
    baseline: int = 0
    building: int = 0

    @property
    def activations(self) -> int:
        """The rest of the peak: activations, workspaces, data, and the allocator's waste."""
        return self.peak - self.trained - self.frozen - self.gradients - self.optimizer

    @property
    def total(self) -> int:
        """What a GPU has to hold: the peak and the CUDA context."""
        return self.peak + CUDA_CONTEXT

    @property
    def fits(self) -> bool:
        """Whether that is at most 24 GiB."""
        return self.total <= BUDGET


def resident() -> int:
    """Resident memory of this process in bytes, now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:  # no Linux: the highest ever is the nearest there is
        return peak_resident()
    return pages * resource.getpagesize()


def peak_resident() -> int:
    """The highest resident memory of this process in bytes, since ``reset_peak`` on Linux."""
    try:
        status = Path("/proc/self/status").read_text()
        return next(int(x.split()[1]) << 10 for x in status.splitlines() if x.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reset_peak(device: torch.device) -> None:
    """Forget the highest use so far, of the device and of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # no Linux, or not allowed: the peak includes the start


def measure(
    objective: Objective,
    optimisation: Optimisation,
    device: torch.device,
    baseline: int,
    building: int = 0,
) -> MemoryUse:
    """Memory of this process after a training step, the peak since ``reset_peak``."""
    trained = list(optimisation.parameters.values())
    known = {id(p) for p in trained}
    frozen = [p for p in objective.parameters() if id(p) not in known]
    states = optimisation.optimizer.state.values()
    moments = [v for state in states for v in state.values() if isinstance(v, Tensor)]
    cuda = device.type == "cuda"
    return MemoryUse(
        trained=_size(trained) + _size(optimisation.averages.values()),
        frozen=_size(frozen) + _size(objective.buffers()),
        gradients=_size(trained),
        optimizer=_size(moments),
        peak=torch.cuda.max_memory_allocated(device) if cuda else peak_resident() - baseline,
        baseline=0 if cuda else baseline,
        building=building,
    )


def _size(tensors: Iterable[Tensor]) -> int:
    """Bytes on this process, each storage once."""
    parts = (t.to_local() if isinstance(t, DTensor) else t for t in tensors)
    return sum({t.data_ptr(): t.numel() * t.element_size() for t in parts}.values())
