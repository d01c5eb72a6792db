"""Which image belongs to which depth file: by a benchmark's layout, or by a list of pairs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.definition import Definition, Layout

ANY_FOLDER = r"(?P<below>(?:.*/)?)"
"""Layouts hold at any depth below the root: an archive may have a folder around everything."""


@dataclass(frozen=True)
class Pair:
    """An image and its depth, as paths from the root; `mask` where the benchmark has masks."""

    rgb: str
    depth: str
    mask: str | None = None


@dataclass(frozen=True)
class Pairs:
    """The images of a split.

    Attributes:
        dropped: images without depth, which the definition leaves out.
        source: what decided, for people.
    """

    pairs: list[Pair]
    dropped: list[str]
    source: str


def find_pairs(names: list[str], definition: Definition, where: Path) -> Pairs:
    """Pairs by the first layout that fits any file, in the order of their names.

    Raises DataError where none fits, or an image lacks a file and may not be dropped.
    """
    available = set(names)
    for layout in definition.layouts:
        candidates = _candidates(names, layout)
        if not any(pair.depth in available for pair in candidates):
            continue
        dropped = [pair.rgb for pair in candidates if pair.depth not in available]
        if dropped and definition.without_depth == "refuse":
            raise DataError(
                f"{where}: {len(dropped)} images lack their depth, first {dropped[0]}. Unpack the "
                "depth files too, or give the images that count with --split"
            )
        pairs = [pair for pair in candidates if pair.depth in available]
        _check_masks(pairs, available, where)
        return Pairs(pairs, dropped, "all files of the layout")
    examples = " or ".join(layout.rgb for layout in definition.layouts)
    raise DataError(
        f"{where} does not hold {definition.title}: no image with depth is called like {examples}"
    )


def _candidates(names: list[str], layout: Layout) -> list[Pair]:
    pattern = re.compile(ANY_FOLDER + layout.rgb)
    pairs = []
    for name in names:
        if match := pattern.fullmatch(name):
            groups = match.groupdict()
            below = groups["below"]
            mask = None if layout.mask is None else below + layout.mask.format(**groups)
            pairs.append(Pair(name, below + layout.depth.format(**groups), mask))
    return pairs


def read_split(path: str | Path, names: list[str], definition: Definition, where: Path) -> Pairs:
    """Pairs from a text file with `rgb depth` a line, paths from the root.

    A third column is the mask where the benchmark has masks, and is not read otherwise (Marigold's
    lists have other things there). Depth `None` means that there is none. Raises DataError for a
    list that cannot be read, or names files that are absent.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the split {path} cannot be read: {error}") from error
    available, pairs, dropped = set(names), [], []
    for number, line in enumerate(lines, 1):
        words = [posixpath.normpath(word) for word in line.split()]
        if not words or line.lstrip().startswith("#"):
            continue
        if len(words) < 2 + definition.masked:
            columns = "rgb, depth and mask" if definition.masked else "rgb and depth"
            raise DataError(f"{path}, line {number}: expected the paths of {columns}")
        if words[1] == "None":
            dropped.append(words[0])
            continue
        pair = Pair(words[0], words[1], words[2] if definition.masked else None)
        absent = [file for file in (pair.rgb, pair.depth) if file not in available]
        if absent:
            raise DataError(f"{path}, line {number}: {where} holds no file {absent[0]}")
        pairs.append(pair)
    if len({pair.rgb for pair in pairs}) < len(pairs):
        raise DataError(f"{path} names an image twice")
    _check_masks(pairs, available, where)
    return Pairs(pairs, dropped, f"split file {path}")


def _check_masks(pairs: list[Pair], available: set[str], where: Path) -> None:
    for pair in pairs:
        if pair.mask is not None and pair.mask not in available:
            raise DataError(f"{where} holds no mask {pair.mask} for {pair.rgb}")
