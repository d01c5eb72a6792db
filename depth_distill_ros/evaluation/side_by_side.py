"""Parts of networks timed side by side: what is compared takes turns, call by call.

So all see the same machine. Times are medians over the turns; a share is the median of the turns'
own shares, which a busy machine disturbs least.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from diffusers.models.attention_processor import AttnProcessor
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from depth_distill_ros.evaluation.tables import columns


@dataclass(frozen=True)
class Part:
    """One of the things that are compared: a function of tensors, and the networks it runs."""

    name: str
    call: Callable[..., object]
    arguments: tuple[torch.Tensor, ...]
    networks: tuple[nn.Module, ...]


@dataclass(frozen=True)
class Comparison:
    """Parts that take turns; shares are of the first one."""

    title: str
    parts: tuple[Part, ...]


def compare(
    comparison: Comparison, rounds: int, seconds: float, say: Callable[[str], None] = print
) -> dict:
    """Times and FLOPs of a comparison. Afterwards its networks have no weights any more.

    Args:
        comparison: what.
        rounds: turns at least.
        seconds: turns go on for so long.
        say: takes lines about the progress.
    """
    parts = comparison.parts
    say(f"{comparison.title}: {', '.join(part.name for part in parts)}")
    with torch.inference_mode():
        turn = sum(_seconds(part) for part in parts)
        if turn > 1:
            say(f"    {rounds} turns or more of about {turn:.0f} s")
        turns: list[list[float]] = []
        end = time.perf_counter() + seconds
        while len(turns) < rounds or time.perf_counter() < end:
            turns.append([_seconds(part) for part in parts])
    report: dict = {"title": comparison.title, "turns": len(turns), "parts": {}}
    for index, part in enumerate(parts):
        times = [turn[index] for turn in turns]
        report["parts"][part.name] = {
            "ms": 1000 * median(times),
            "ms_range": [1000 * min(times), 1000 * max(times)],
            "share": median(turn[index] / turn[0] for turn in turns),
            "gflop": count_flops(part) / 1e9,
        }
    return report


def _seconds(part: Part) -> float:
    """How long one call takes, until its results are there."""
    start = time.perf_counter()
    part.call(*part.arguments)
    if part.arguments[0].is_cuda:
        torch.cuda.synchronize(part.arguments[0].device)
    return time.perf_counter() - start


def count_flops(part: Part) -> int:
    """Operations of a part's matrix products and convolutions, a multiplication and an addition
    being two. Nothing is computed: its networks lose their weights to the meta device.
    """
    for network in part.networks:
        network.to("meta")
        for module in network.modules():
            if hasattr(module, "set_attn_processor"):  # fused attention is not counted there
                module.set_attn_processor(AttnProcessor())
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        part.call(*(argument.to("meta") for argument in part.arguments))
    return counter.get_total_flops()


def machine(device: str) -> dict:
    """Facts that a time depends on."""
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
        "gpu": gpu,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def describe(report: dict) -> str:
    """The report as lines for a terminal."""
    facts = report["machine"]
    lines = [
        f"{facts['gpu'] or facts['cpu']}, {facts['threads']} threads, PyTorch {facts['torch']}; "
        "medians of alternated turns"
    ]
    for comparison in report["comparisons"]:
        rows = [["", "ms", "from", "to", "GFLOP", "against the first"]]
        for index, (name, part) in enumerate(comparison["parts"].items()):
            times = [part["ms"], *part["ms_range"]]
            share = "" if index == 0 else _share(part["share"])
            rows.append([name, *(f"{t:.1f}" for t in times), f"{part['gflop']:.2f}", share])
        lines += ["", f"{comparison['title']} ({comparison['turns']} turns)", columns(rows)]
    return "\n".join(lines)


def _share(share: float) -> str:
    return f"1/{1 / share:.1f}" if share < 0.5 else f"{share - 1:+.1%}"
