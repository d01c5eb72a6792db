"""Memory and energy of a call, where the system tells them."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

import torch

RAPL = Path("/sys/class/powercap")
ENERGY_SECONDS = 2.0
"""NVML's counter moves ten times a second or so: one call is too short."""


def peak_memory(call: Callable[[], object], device: str) -> int | None:
    """Bytes that one call needs at its peak besides what was there before it; None where nobody tells.

    On CUDA what PyTorch allocates. On Linux the growth of the process, so it should be the call's
    first: later ones find memory that the allocators kept.
    """
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        call()
        return torch.cuda.max_memory_allocated(device) - before
    if not _forget_peak():
        call()
        return None
    before = _status_bytes("VmRSS")
    call()
    return max(0, _status_bytes("VmHWM") - before)


def _forget_peak() -> bool:
    """Gives freed memory back and sets the recorded peak to what is in use; whether that worked."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):  # another C library than glibc
        pass
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status_bytes(field: str) -> int:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def energy(
    call: Callable[[], object],
    meter: Callable[[], float] | None,
    seconds: float = ENERGY_SECONDS,
) -> float | None:
    """Joules of one call, the mean of a few seconds; None without a meter.

    Args:
        call: returns when its work is done.
        meter: of ``energy_meter``.
        seconds: how long the call is repeated.
    """
    if meter is None:
        return None
    calls, before = 0, meter()
    end = time.perf_counter() + seconds
    while calls == 0 or time.perf_counter() < end:
        call()
        calls += 1
    return (meter() - before) / calls


def energy_meter(device: str, rapl: Path = RAPL) -> Callable[[], float] | None:
    """A counter of joules: of the GPU (NVML), or of the whole processor packages (RAPL, which many
    systems let only root read, and virtual machines lack). None where there is none.

    Args:
        device: "cpu" or "cuda:N".
        rapl: the folder in which Linux has RAPL's zones.
    """
    return _gpu_meter(device) if device.startswith("cuda") else _package_meter(rapl)


def _package_meter(rapl: Path) -> Callable[[], float] | None:
    zones = []
    for zone in sorted(rapl.glob("intel-rapl:*")):
        if zone.name.count(":") == 1:  # a package; its parts have another number
            counter = zone / "energy_uj"
            try:
                last = int(counter.read_text())
                wrap = int((zone / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                return None
            zones.append([counter, last, wrap])
    if not zones:
        return None
    joules = 0.0

    def read() -> float:
        nonlocal joules
        for zone in zones:
            counter, last, wrap = zone
            zone[1] = int(counter.read_text())
            joules += (zone[1] - last) % wrap / 1e6
        return joules

    return read


def _gpu_meter(device: str) -> Callable[[], float] | None:
    """Total energy since the driver was loaded (Volta and later), by NVML's C interface."""
    uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
    handle, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        failed = nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(
            uuid.encode(), ctypes.byref(handle)
        )
        total = nvml.nvmlDeviceGetTotalEnergyConsumption
    except (OSError, AttributeError):
        return None

    def read() -> float:
        total(handle, ctypes.byref(millijoules))
        return millijoules.value / 1000

    if failed or total(handle, ctypes.byref(millijoules)):
        return None
    return read
