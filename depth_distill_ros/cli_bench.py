"""`d3epth bench`: speed, measured side by side in one run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError


def bench(options: argparse.Namespace) -> int:
    """Measures what decoding and streams cost, or (--node) the node besides inference."""
    report, text = _bench_node(options) if options.node else _bench_models(options)
    print(text)
    if options.output is not None:
        from depth_distill_ros.evaluation.tables import write_json

        write_json(options.output, report)
    return 0


def _bench_node(options: argparse.Namespace) -> tuple[dict, str]:
    from depth_distill_ros.evaluation.node_bench import NodeBenchOptions, bench_node, describe

    if options.threads is not None or options.full:
        raise ConfigError("--threads and --full are not for --node")
    report = bench_node(
        NodeBenchOptions(
            size=tuple(options.size),
            rate=options.rate,
            seconds=options.seconds,
            rounds=options.rounds,
            model=options.model,
            device=options.device,
        )
    )
    return report, describe(report)


def _bench_models(options: argparse.Namespace) -> tuple[dict, str]:
    from depth_distill_ros.models import hub

    hub.resolve(options.model)  # a wrong name is refused before PyTorch is imported
    from depth_distill_ros.evaluation.model_bench import ModelBenchOptions, bench_models
    from depth_distill_ros.evaluation.side_by_side import describe

    report = bench_models(
        ModelBenchOptions(
            model=options.model,
            device=options.device,
            rounds=options.rounds,
            seconds=options.seconds,
            threads=options.threads,
            full=options.full,
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
    add("--output", "--json", type=Path, metavar="FILE", help="write the numbers as JSON as well")
    add("--threads", type=int, help="of PyTorch; its own choice by default")
    add("--side", type=int, default=512, help="of images at the full size (default 512 pixels)")
    add("--full", action="store_true", help="streams of the full-size student too: minutes")
    node = added.add_argument_group("the node")
    add = node.add_argument
    add("--node", action="store_true", help="measure the node, from message to message")
    add("--size", nargs=2, type=int, default=(640, 480), metavar=("W", "H"))
    add("--rate", type=float, default=30.0, help="images a second (default 30)")
