"""`d3epth bench`: speed, measured side by side in one run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError


def bench(options: argparse.Namespace) -> int:
    """Measures what the node costs besides inference, on a real graph."""
    if not options.node:
        raise ConfigError("give --node: the path from message to message is what can be measured")
    from depth_distill_ros.evaluation.node_bench import NodeBenchOptions, bench_node, describe
    from depth_distill_ros.evaluation.tables import write_json

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
    print(describe(report))
    if options.json is not None:
        write_json(options.json, report)
    return 0


def add_commands(commands: Any, model: argparse.ArgumentParser) -> None:
    """Adds the command to the subparsers; `model` has the arguments --model and --device."""
    summary = bench.__doc__
    added = commands.add_parser("bench", help=summary, description=summary, parents=[model])
    added.set_defaults(run=bench)
    added.add_argument("--node", action="store_true", help="the node, from message to message")
    added.add_argument("--size", nargs=2, type=int, default=(640, 480), metavar=("W", "H"))
    added.add_argument("--rate", type=float, default=30.0, help="images a second (default 30)")
    added.add_argument("--seconds", type=float, default=10.0, help="of a round (default 10)")
    added.add_argument("--rounds", type=int, default=3, help="of each kind (default 3)")
    added.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as well")
