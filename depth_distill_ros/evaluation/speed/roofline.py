"""What this device can do at best, measured, and facts about it that a time depends on.

The roofline (Williams et al., 2009): no network is faster than its operations at the peak rate, nor
than reading its weights once at the peak bandwidth. Both are measured with PyTorch: the faster of a
matrix product and a convolution, whose libraries differ, and a copy. So they are what libraries get
here, not what a data sheet says.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch

from depth_distill_ros.errors import ConfigError

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
FASTER = 1.2
"""How many times as fast as float32 matrix products bfloat16 ones must be to be taken on a CPU."""

_SIZES = {"cpu": (2048, 2**28), "cuda": (8192, 2**32)}
"""Side of the matrices, and bytes that are copied: beyond what caches hold."""

_KERNEL, _MAP = 3, 64
"""Of the convolution, whose channels are a quarter of the matrices' side."""

_REPEATS = 8


@dataclass(frozen=True)
class Roofline:
    """Peaks of a device: operations a second, a multiplication and an addition being two, and bytes a
    second of a copy, each read and written and counted twice."""

    precision: str
    operations: float
    bandwidth: float

    def seconds(self, operations: float, weights: float) -> float:
        """What so many operations, with weights of so many bytes, take at least."""
        return max(operations / self.operations, weights / self.bandwidth)

    def reached(self, part: dict) -> float | None:
        """The share of the roofline that a part of a report reaches; None where its operations are
        not known."""
        if part["gflop"] is None:
            return None
        return self.seconds(1e9 * part["gflop"], 1e6 * part["weights_mb"]) / (part["ms"] / 1000)

    def best(self, other: Roofline | None) -> Roofline:
        """The higher peaks of two measurements: something else may have disturbed one."""
        if other is None:
            return self
        operations = max(self.operations, other.operations)
        return Roofline(self.precision, operations, max(self.bandwidth, other.bandwidth))


def measure_roofline(device: str, precision: str, sizes: tuple[int, int] | None = None) -> Roofline:
    """The best of a few runs.

    Args:
        device: "cpu" or "cuda:N".
        precision: of matrices and maps, a key of ``PRECISIONS``.
        sizes: side of the matrices and bytes of the copy.
    """
    side, copied = sizes or _SIZES[device.split(":")[0]]
    dtype, channels = PRECISIONS[precision], side // 4
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    kernels = torch.randn(channels, channels, _KERNEL, _KERNEL, device=device).to(dtype)
    maps = torch.randn(1, channels, _MAP, _MAP, device=device).to(dtype)
    maps, kernels = (m.contiguous(memory_format=torch.channels_last) for m in (maps, kernels))
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.ones_like(source)
    padding = _KERNEL // 2
    with torch.inference_mode():
        product = 2 * side**3 / _best_seconds(lambda: torch.mm(left, right))
        convolution = _best_seconds(lambda: torch.conv2d(maps, kernels, padding=padding))
        copying = _best_seconds(lambda: target.copy_(source))
    convolution = 2 * kernels.numel() * _MAP**2 / convolution
    return Roofline(precision, max(product, convolution), 2 * copied / copying)


def _best_seconds(call: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATS + 1):  # the first, slower one never wins
        start = time.perf_counter()
        call()
        synchronise()
        times.append(time.perf_counter() - start)
    return min(times)


def synchronise() -> None:
    """Waits until a GPU that is in use has done its work."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def choose_precision(precision: str, device: str) -> str:
    """A key of ``PRECISIONS``; "auto": bfloat16 on GPUs, and on CPUs where its products are faster.

    Raises:
        ConfigError: the name is unknown.
    """
    if precision in PRECISIONS:
        return precision
    if precision != "auto":
        raise ConfigError(f"there is no precision '{precision}': use auto, {', '.join(PRECISIONS)}")
    if device.startswith("cuda"):
        return "bf16"
    half, single = (measure_roofline(device, name, (1024, 1)) for name in ("bf16", "fp32"))
    return "bf16" if half.operations > FASTER * single.operations else "fp32"


def machine(device: str) -> dict:
    """Facts that a time depends on: processors, threads, versions."""
    cpu = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        lines = [line.partition(":") for line in facts.read_text(encoding="utf-8").splitlines()]
        names = [value.strip() for key, _, value in lines if key.strip() == "model name"]
        cpu = names[0] if names else cpu
    gpu = torch.cuda.get_device_name(device) if device.startswith("cuda") else None
    return {
        "device": device,
        "cpu": cpu,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        **{name: _version(name) for name in ("diffusers", "transformers", "onnxruntime")},
    }


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
