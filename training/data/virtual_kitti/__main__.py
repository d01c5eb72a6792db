"""Prepare Virtual KITTI 2 for training.

python -m training.data.virtual_kitti --root DIR --output DIR [--workers N]

DIR holds the official archives vkitti_2.0.3_rgb.tar and vkitti_2.0.3_depth.tar, which are read as
they are, or what is in them. By default the 20,148 frames of the papers are taken: all but Scene01,
in the conditions clone, morning, overcast, sunset, 15-deg-left and 15-deg-right, of both cameras.
Shards hold the official bytes, one a drive; an interrupted run goes on after the last finished one.
"""

from __future__ import annotations

import argparse
import sys

from training.data.preparation import add_common_options, prepare, run, summary
from training.data.virtual_kitti.files import papers_list
from training.data.virtual_kitti.source import plan, scenes_and_conditions


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m training.data.virtual_kitti", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    add_common_options(p)
    scenes_and_conditions(p)
    return p


def command(arguments: argparse.Namespace) -> str:
    """Prepare; returns the summary."""
    report = prepare(arguments.output, plan(arguments), arguments.workers, not arguments.only_list)
    expected = {len(papers_list()): "in the papers' list"}
    return summary(report, expected) + f"\n{arguments.output}"


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    return run(command, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
