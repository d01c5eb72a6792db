"""Prepare Hypersim for training.

python -m training.data.hypersim --root DIR --output DIR [--workers N]
python -m training.data.hypersim --root DIR --output DIR --size 768x576 --jpeg 95

DIR holds the official scenes, as folders or as the archives ai_VVV_NNN.zip, which are read as they
are, and the split file metadata_images_split_scene_v1.csv. Shards, one a scene, are written with a
report of what was filtered; an interrupted run goes on after the last finished scene.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.data.hypersim.files import PARTITIONS, SPLIT_FILE
from training.data.hypersim.images import Filters
from training.data.hypersim.prepare import plan
from training.data.preparation import add_common_options, prepare, run, summary

PAPER_TRAIN = 53885


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m training.data.hypersim", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    add_common_options(p)
    standard = Filters()
    p.add_argument("--split-file", type=Path, metavar="CSV", help=f"[ROOT/{SPLIT_FILE}]")
    p.add_argument("--partition", choices=tuple(PARTITIONS), default="train")
    p.add_argument("--size", type=_size, metavar="WxH", help="of the stored images [as they are]")
    p.add_argument("--jpeg", type=int, default=0, metavar="QUALITY", help="JPEG instead of PNG")
    p.add_argument("--max-invalid", type=float, default=standard.max_invalid)
    p.add_argument("--min-depth-range", type=float, default=standard.min_depth_range)
    p.add_argument("--min-rgb-range", type=int, default=standard.min_rgb_range)
    p.add_argument("--max-depth", type=float, default=standard.max_depth, metavar="METRES")
    return p


def _size(text: str) -> tuple[int, int]:
    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"must look like 768x576, got '{text}'")
    return int(width), int(height)


def command(arguments: argparse.Namespace) -> str:
    """Prepare; returns the summary."""
    report = prepare(arguments.output, plan(arguments), arguments.workers, not arguments.only_list)
    expected = {}
    if arguments.list is None:
        released = PARTITIONS[arguments.partition]
        if report["frames"] != released:
            report_line = f"the split file has {report['frames']} frames, the official {released}"
            print(f"note: {report_line}", file=sys.stderr)
        if arguments.partition == "train":
            expected = {PAPER_TRAIN: "in Marigold's filtered training list"}
    return summary(report, expected) + f"\n{arguments.output}"


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    return run(command, parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
