"""Networks and their parts timed side by side: what is compared takes turns, call by call.

So all see the same machine. Times are medians over the turns; a ratio is the median of the turns'
own ratios, which a busy machine disturbs least. On a GPU each part is replayed as a CUDA graph.
"""

from __future__ import annotations

import functools
import gc
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from depth_distill_ros.evaluation.speed.meters import energy, energy_meter, peak_memory
from depth_distill_ros.evaluation.speed.roofline import synchronise
from depth_distill_ros.inference.cuda_graph import captured


@dataclass(frozen=True)
class Part:
    """One of the things that are compared.

    Attributes:
        name: in the report.
        call: what is timed, a function of ``arguments``.
        arguments: of the call; tensors on the device, or something else for the CPU's engines.
        networks: what the call runs.
        model: of a call that is no function of tensors, a part that computes the same and is
            never timed: it counts operations and parameters. Its tensors may be on the meta device.
        graph: whether a GPU replays it as one graph, rather than launch kernel by kernel.
    """

    name: str
    call: Callable[..., object]
    arguments: tuple = ()
    networks: tuple[nn.Module, ...] = ()
    model: Part | None = None
    graph: bool = True


@dataclass(frozen=True)
class Comparison:
    """Parts that take turns; shares are of the first one.

    Attributes:
        title: what is compared.
        parts: in the order of a turn.
        ratios: by name, the parts whose times are divided.
        device: "cpu" or "cuda:N".
        precision: of the weights, a key of ``roofline.PRECISIONS``.
        whole: whether the parts are whole networks, from an image to its map.
    """

    title: str
    parts: tuple[Part, ...]
    ratios: dict[str, tuple[str, str]] = field(default_factory=dict)
    device: str = "cpu"
    precision: str = "fp32"
    whole: bool = False


def compare(
    comparison: Comparison,
    rounds: int,
    seconds: float,
    say: Callable[[str], None] = print,
) -> dict:
    """Times, operations, memory and energy. Afterwards its networks have no weights any more.

    Args:
        comparison: what.
        rounds: turns at least.
        seconds: turns go on for so long.
        say: takes lines about the progress.
    """
    parts = comparison.parts
    say(f"{comparison.title}: {'; '.join(part.name for part in parts)}")
    with torch.inference_mode():
        memory = [peak_memory(_waiting(_call(part)), comparison.device) for part in parts]
        graphs = comparison.device.startswith("cuda")
        calls = [_waiting(_graph(part) if graphs and part.graph else _call(part)) for part in parts]
        turns = _take_turns(calls, rounds, seconds, say)
        meter = energy_meter(comparison.device)
        joules = [energy(call, meter) for call in calls]
    del calls  # and the graphs, which hold memory
    report: dict = {
        "title": comparison.title,
        "precision": comparison.precision,
        "whole": comparison.whole,
        "turns": len(turns),
        "parts": {},
        "ratios": {},
    }
    for index, part in enumerate(parts):
        times = [turn[index] for turn in turns]
        report["parts"][part.name] = {
            "ms": 1000 * median(times),
            "ms_range": [1000 * min(times), 1000 * max(times)],
            "share": median(turn[index] / turn[0] for turn in turns),
            **_facts(part, memory[index]),
            "joules": joules[index],
        }
    names = [part.name for part in parts]
    for name, (slow, fast) in comparison.ratios.items():
        ratios = [turn[names.index(slow)] / turn[names.index(fast)] for turn in turns]
        report["ratios"][name] = {
            "median": median(ratios),
            "min": min(ratios),
            "max": max(ratios),
            "of": f"{slow} / {fast}",
            "precision": comparison.precision,
        }
    gc.collect()
    return report


def _call(part: Part) -> Callable[[], object]:
    return functools.partial(part.call, *part.arguments)


def _graph(part: Part) -> Callable[[], object]:
    return captured(part.call, part.arguments)


def _waiting(call: Callable[[], object]) -> Callable[[], None]:
    """A call that returns when its results are there."""

    def whole() -> None:
        call()
        synchronise()

    return whole


def _take_turns(
    calls: Iterable[Callable[[], None]], rounds: int, seconds: float, say: Callable[[str], None]
) -> list[list[float]]:
    """Seconds of each call in each turn, after a turn that does not count."""
    turn = sum(_seconds(call) for call in calls)
    if turn > 1:
        say(f"    {rounds} turns or more of about {turn:.0f} s")
    turns: list[list[float]] = []
    end = time.perf_counter() + seconds
    while len(turns) < rounds or time.perf_counter() < end:
        turns.append([_seconds(call) for call in calls])
    return turns


def _seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _facts(part: Part, memory: int | None) -> dict:
    """Operations, parameters, and memory with the weights."""
    model = part.model or part
    weights = [p for network in model.networks for p in network.parameters()]
    size = sum(p.numel() * p.element_size() for p in weights)
    return {
        "gflop": count_flops(model) / 1e9 if weights else None,
        "parameters": sum(p.numel() for p in weights) or None,
        "weights_mb": size / 1e6 if weights else None,
        "memory_mb": (size + memory) / 1e6 if weights and memory is not None else None,
    }


def count_flops(part: Part) -> int:
    """Operations of a part's matrix products and convolutions, a multiplication and an addition
    being two. Nothing is computed: its networks lose their weights to the meta device.
    """
    for network in part.networks:
        network.to("meta")
    arguments = [argument.to("meta") for argument in part.arguments]
    plain = sdpa_kernel(SDPBackend.MATH)  # fused attention is not counted everywhere
    with torch.inference_mode(), plain, FlopCounterMode(display=False) as counter:
        part.call(*arguments)
    return counter.get_total_flops()
