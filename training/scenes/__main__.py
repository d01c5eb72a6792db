"""Render scenes: a contact sheet, a training set, clips, or the sequence of a moving camera.

python -m training.scenes --preview sheet.png
python -m training.scenes --output data/scenes --count 20000 --workers 2 --tier full
python -m training.scenes --clips data/clips --count 600 --frames 16 --workers 2 --tier full
python -m training.scenes --sequence out/frames --frames 90 --kind indoor

Clips are what the temporal head learns from: objects move, frames are dropped, the camera shakes,
the light changes, and scenes are cut. Training sets, of images or of clips, are shared out by
launchers (accelerate launch, torchrun), or by --part 2/3.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from depth_distill_ros.errors import DataError, UserError, refuse


def parse_size(text: str) -> tuple[int, int]:
    """``256x192`` to (256, 192)."""
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise DataError(f"the size must look like 256x192, got '{text}'") from None
    if min(width, height) < 16:
        raise DataError(f"images must be at least 16 pixels wide and high, got {text}")
    return width, height


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(prog="python -m training.scenes", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    what = p.add_mutually_exclusive_group(required=True)
    what.add_argument("--preview", type=Path, metavar="PNG", help="draw a contact sheet")
    what.add_argument("--output", type=Path, metavar="DIR", help="render a training set")
    what.add_argument("--clips", type=Path, metavar="DIR", help="render a training set of clips")
    what.add_argument("--sequence", type=Path, metavar="DIR", help="render a moving camera")
    p.add_argument("--count", type=int, default=2400, help="images, or clips")
    p.add_argument("--shard-size", type=int, help="images of a shard [240], or clips [40]")
    p.add_argument("--size", help="WIDTHxHEIGHT in pixels [256x192; a sequence 640x480]")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--workers", type=int, default=1, help="processes, one core each")
    p.add_argument(
        "--part", default="", metavar="I/N", help="of a training set, the I-th of N machines' part"
    )
    p.add_argument("--tier", choices=("procedural", "full"), default="procedural", help="assets")
    p.add_argument("--kinds", help="comma-separated kinds, such as indoor,tabletop/bin")
    p.add_argument("--frames", type=int, help="length of a sequence [90] or of a clip [16]")
    p.add_argument("--rate", type=float, default=30.0, help="frames a second of a sequence")
    p.add_argument("--kind", default="indoor", help="scene of a sequence")
    return p


def run(arguments: argparse.Namespace) -> None:
    """Do what was asked; raises UserError."""
    kinds = tuple(arguments.kinds.split(",")) if arguments.kinds else None
    if arguments.seed < 0:
        raise DataError("the seed must not be negative")
    if arguments.output or arguments.clips:
        _render_shards(arguments, kinds)
    elif arguments.sequence:
        from training.scenes.sequence import render_sequence

        size = parse_size(arguments.size or "640x480")
        frames = 90 if arguments.frames is None else arguments.frames
        render_sequence(
            arguments.sequence, frames, size, arguments.seed, arguments.kind,
            arguments.tier, arguments.rate,
        )  # fmt: skip
        print(f"{frames} frames with depth and poses: {arguments.sequence}")
    else:
        from training.scenes.preview import contact_sheet

        size = parse_size(arguments.size or "256x192")
        contact_sheet(arguments.preview, size, arguments.seed, arguments.tier, kinds)
        print(f"contact sheet: {arguments.preview}")


def _render_shards(arguments: argparse.Namespace, kinds: tuple[str, ...] | None) -> None:
    """Render this process' share of a training set of images or of clips."""
    from training.scenes import clips, dataset
    from training.shares import Share, report

    size = parse_size(arguments.size or "256x192")
    common = (*size, arguments.seed, arguments.tier, kinds or ())
    if arguments.output:
        folder = dataset.image_folder(arguments.output, dataset.Settings(*common))
    else:
        frames = clips.FRAMES if arguments.frames is None else arguments.frames
        folder = clips.clip_folder(arguments.clips, clips.ClipSettings(*common, frames=frames))
    if arguments.shard_size:
        folder = replace(folder, settings=replace(folder.settings, shard_size=arguments.shard_size))
    share = Share.from_environment(arguments.part)
    outcome = folder.render(arguments.count, share, arguments.workers)
    report(outcome, share, str(folder.output))


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    try:
        run(parser().parse_args(argv))
    except UserError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
