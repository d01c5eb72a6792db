"""What the commands that make the bundled models share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from depth_distill_ros.errors import UserError, refuse

RUNS = Path("runs/tiny")
IMAGE_SIZE = (256, 192)
"""Width and height of the rendered images."""


def maker_parser(description: str) -> argparse.ArgumentParser:
    """The arguments of every such command; ``description`` is its module's docstring."""
    parser = argparse.ArgumentParser(description=description.split("\n\n")[0])
    parser.add_argument("--tier", choices=("procedural", "full"), default="full")
    parser.add_argument("--workers", type=int, default=2, help="rendering processes")
    parser.add_argument("--frames", type=Path, help="real sequences to evaluate on as well")
    parser.add_argument(
        "--install", action="store_true", help="put the model into the package, as a bundled one"
    )
    return parser


def run_maker(
    parser: argparse.ArgumentParser,
    make: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None,
) -> int:
    """Parses the command line and makes the model; returns the exit status."""
    options = parser.parse_args(arguments)
    try:
        return make(options)
    except UserError as error:
        return refuse(error)
