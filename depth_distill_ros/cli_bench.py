"""`d3epth bench`: speed, measured side by side in one run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError


def bench(options: argparse.Namespace) -> int:
    """Measures networks side by side, or (--node) the node from message to message."""
    report, text = _bench_node(options) if options.node else _bench_networks(options)
    print(text)
    if options.json is not None:
        from depth_distill_ros.evaluation.tables import write_json

        write_json(options.json, report)
    if options.plot is not None:
        from depth_distill_ros.evaluation.speed.plot import plot

        plot(report, options.plot)
    return 0


def _bench_node(options: argparse.Namespace) -> tuple[dict, str]:
    from depth_distill_ros.evaluation.node_bench import NodeBenchOptions, bench_node, describe

    given = {"--threads": options.threads, "--full": options.full, "--only": options.only}
    given["--plot"] = options.plot
    if wrong := [name for name, value in given.items() if value]:
        raise ConfigError(f"{wrong[0]} is not for --node")
    report = bench_node(
        NodeBenchOptions(
            size=tuple(options.size),
            rate=options.rate,
            seconds=options.seconds,
            rounds=options.rounds,
            model=options.model,
            device=options.device,
            engine=options.engine,
        )
    )
    return report, describe(report)


def _bench_networks(options: argparse.Namespace) -> tuple[dict, str]:
    from depth_distill_ros.models import hub

    hub.resolve(options.model)  # a wrong name is refused before PyTorch is imported
    from depth_distill_ros.evaluation.speed.run import SpeedOptions, bench_speed
    from depth_distill_ros.evaluation.speed.text import describe

    report = bench_speed(
        SpeedOptions(
            model=options.model,
            device=options.device,
            engine=options.engine,
            rounds=options.rounds,
            seconds=options.seconds,
            threads=options.threads,
            precision=options.precision,
            full=options.full,
            only=tuple(options.only),
            side=options.side,
        ),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    return report, describe(report)


def add_commands(commands: Any, model: argparse.ArgumentParser) -> None:
    """Adds the command to the subparsers; `model` has the arguments --model and --device."""
    summary = bench.__doc__
    added = commands.add_parser("bench", help=summary, description=summary, parents=[model])
    added.set_defaults(run=bench)
    add = added.add_argument
    add("--rounds", type=int, default=3, help="of each kind, at least (default 3)")
    add("--seconds", type=float, default=10.0, help="of a comparison or round (default 10)")
    add("--json", "--output", type=Path, metavar="FILE", help="write the numbers as well")
    add("--threads", type=int, help="of PyTorch and ONNX Runtime; PyTorch's choice by default")
    networks = added.add_argument_group("networks")
    add = networks.add_argument
    add("--full", action="store_true", help="teacher, students and peers of the full size too")
    add("--only", nargs="+", default=(), metavar="NAME", help="some of the comparisons by name")
    add("--side", type=int, default=512, help="of images at the full size (default 512 pixels)")
    precision = "of the full size: auto, fp32, bf16, fp16; auto is bf16 where it is faster"
    add("--precision", default="auto", help=precision)
    add("--plot", type=Path, metavar="FILE", help="draw operations and parameters against time")
    node = added.add_argument_group("the node")
    add = node.add_argument
    add("--node", action="store_true", help="measure the node, from message to message")
    add("--size", nargs=2, type=int, default=(640, 480), metavar=("W", "H"))
    add("--rate", type=float, default=30.0, help="images a second (default 30)")
