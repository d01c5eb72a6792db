"""`d3epth evaluate` on streams: rendered clips, or sequences with `--metrics`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError


def check(options: argparse.Namespace) -> None:
    """Refuses what does not go together (ConfigError)."""
    given = [name for name in ("frames", "shards", "clips", "benchmark") if getattr(options, name)]
    if options.clips is not None and given != ["clips"]:
        raise ConfigError("--clips and --frames, --shards or --benchmark are two calls")
    for name in ("metrics", "window", "compare"):
        if getattr(options, name) is None:
            continue
        if "shards" in given or "benchmark" in given:
            raise ConfigError(
                f"--{name} is for streams: give --frames FOLDER or --clips FOLDER, "
                "and --shards or --benchmark in a call of their own"
            )
        if not given:
            raise ConfigError(f"give --frames FOLDER or --clips FOLDER with --{name}")
        if name != "metrics" and given == ["frames"] and options.metrics is None:
            raise ConfigError(f"give --metrics as well: --{name} is for streams")


def wanted(options: argparse.Namespace) -> bool:
    """Whether a call that was checked is about streams."""
    return options.clips is not None or options.metrics is not None


def evaluate_streams(options: argparse.Namespace) -> int:
    """Prints the model's numbers on streams, frame by frame, streaming and averaged."""
    from depth_distill_ros.evaluation.streams.run import StreamOptions, parse_metrics, run_streams

    run_streams(
        StreamOptions(
            frames=options.frames,
            clips=options.clips,
            metrics=parse_metrics(options.metrics),
            model=options.model,
            device=options.device,
            engine=options.engine,
            window=options.window,
            compare=options.compare,
            output=options.output,
        )
    )
    return 0


def add_arguments(group: Any) -> None:
    """Adds the arguments to a group of `d3epth evaluate`."""
    add = group.add_argument
    add("--clips", type=Path, metavar="DIR", help="rendered clips")
    metrics = "of --frames or --clips: depth, tae, temporal, boundary, or several with commas"
    add("--metrics", metavar="NAMES", help=metrics)
    add("--window", type=int, metavar="N", help="frames that the streaming head sees at most")
    add("--compare", metavar="MODEL", help="another model, frame by frame, as one more column")
