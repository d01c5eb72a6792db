"""Memory and energy: of arrays of known size, and of counters written into files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.evaluation.speed.meters import energy, energy_meter, peak_memory

MEGABYTE = 2**20


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_the_peak_of_a_call_is_seen_although_it_is_freed():
    def call() -> None:
        np.ones(64 * MEGABYTE, np.uint8)
        np.ones(16 * MEGABYTE, np.uint8)

    peak = peak_memory(call, "cpu")
    if peak is None:
        pytest.skip("the peak of this process cannot be reset")
    assert 63 * MEGABYTE < peak < 90 * MEGABYTE
    assert peak_memory(lambda: np.ones(1024), "cpu") < 8 * MEGABYTE


def zone(folder: Path, name: str, microjoules: int) -> Path:
    """A zone of RAPL that wraps at 1000 J; its counter."""
    (folder / name).mkdir()
    (folder / name / "max_energy_range_uj").write_text("1000000000\n")
    counter = folder / name / "energy_uj"
    counter.write_text(f"{microjoules}\n")
    return counter


def test_packages_are_added_and_counters_wrap(tmp_path):
    first = zone(tmp_path, "intel-rapl:0", 999_000_000)
    second = zone(tmp_path, "intel-rapl:1", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", 1)  # the cores of package 0, which has them already
    read = energy_meter("cpu", tmp_path)
    assert read() == 0
    first.write_text("3000000\n")  # 4 J on, through the end
    second.write_text("5500000\n")
    assert read() == pytest.approx(4.5)
    second.write_text("6500000\n")
    assert read() == pytest.approx(5.5)


def test_without_counters_no_energy_is_told(tmp_path):
    assert energy_meter("cpu", tmp_path) is None
    assert energy(lambda: None, None) is None


def test_energy_is_a_mean_over_calls():
    joules = 0.0

    def call() -> None:
        nonlocal joules
        joules += 3.0

    assert energy(call, lambda: joules, seconds=0.01) == pytest.approx(3.0)
