"""Any data set as shards that can be streamed, and shards checked.

python -m training.data.packing pack --kind shards --folder runs/scenes --output DIR
python -m training.data.packing verify --folder DIR

``pack`` turns any data set that a recipe can name into shards (webdataset tar files with an index);
``verify`` checks a folder of shards against its index.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import DataError
from training.config import DataConfig
from training.data import streaming
from training.data.batches import Source
from training.data.open import KINDS, open_source
from training.data.preparation import Plan, prepare, run, summary
from training.data.samples import Stored, encode_depth, encode_rgb
from training.data.store import About, Rejected


@dataclass(frozen=True)
class _Packer:
    """Results of the samples ``number · size`` … of a source."""

    source: Source
    size: int
    jpeg: int

    def __call__(self, part: str) -> Iterator[Stored | Rejected]:
        first = int(part.removeprefix("shard-")) * self.size
        for index in range(first, min(first + self.size, len(self.source))):
            name = self.source.name(index).replace(".", "_")
            try:
                rgb, depth = self.source[index]
            except DataError as error:
                yield Rejected(name, "unreadable", str(error))
            else:
                yield Stored(name, *encode_rgb(rgb, self.jpeg), encode_depth(depth))


def pack(arguments: argparse.Namespace) -> str:
    """Turn a data set into shards; returns the summary."""
    data = DataConfig(kind=arguments.kind, folder=arguments.folder, list=arguments.list or "")
    source, size = open_source(data), arguments.samples
    if size < 1 or not 0 <= arguments.jpeg <= 100:
        raise DataError("--samples must be at least 1, and --jpeg 0 or a quality up to 100")
    starts = range(0, len(source), size)
    parts = {f"shard-{i:05d}": min(size, len(source) - k) for i, k in enumerate(starts)}
    names = hashlib.sha256()
    for index in range(len(source)):
        names.update(source.name(index).encode() + b"\n")
    settings = {"samples": size, "jpeg": arguments.jpeg, "names": names.hexdigest()[:16]}
    plan = Plan(About(arguments.kind, settings), parts, _Packer(source, size, arguments.jpeg))
    report = prepare(arguments.output, plan, arguments.workers)
    return summary(report, {}) + f"\n{arguments.output}"


def verify(arguments: argparse.Namespace) -> str:
    """Hash all shards of a folder; returns a line, or raises DataError for the damaged ones."""
    folder = Path(arguments.folder)
    index, _ = streaming.read_index(str(folder))
    damaged = [s["file"] for s in index["shards"] if _sha256(folder / s["file"]) != s["sha256"]]
    if damaged:
        raise DataError(
            f"{len(damaged)} of {len(index['shards'])} shards of {folder} are missing or damaged: "
            f"{', '.join(damaged[:5])}; copy or prepare them again"
        )
    return f"{len(index['shards'])} shards with {index['samples']} samples are whole"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(
        prog="python -m training.data.packing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = p.add_subparsers(required=True, metavar="pack|verify")
    packing = commands.add_parser("pack", help="turn a data set into shards")
    packing.add_argument("--kind", choices=KINDS, default="shards")
    packing.add_argument("--folder", required=True, metavar="DIR", help="the data set")
    packing.add_argument("--output", type=Path, required=True, metavar="DIR")
    packing.add_argument("--list", metavar="FILE", help="frames of an official layout")
    packing.add_argument("--samples", type=int, default=240, help="in a shard")
    packing.add_argument("--jpeg", type=int, default=0, metavar="QUALITY", help="instead of PNG")
    packing.add_argument("--workers", type=int, default=1, help="processes")
    packing.set_defaults(command=pack)
    verifying = commands.add_parser("verify", help="check shards against their index")
    verifying.add_argument("--folder", required=True, metavar="DIR")
    verifying.set_defaults(command=verify)
    return p


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = parser().parse_args(argv)
    return run(arguments.command, arguments)


if __name__ == "__main__":
    sys.exit(main())
