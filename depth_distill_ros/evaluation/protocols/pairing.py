"""Which image belongs to which depth file: by a benchmark's layout, or by a list of pairs."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.definition import Definition, Layout, Video
from depth_distill_ros.evaluation.protocols.nearest import NearestFiles

ANY_FOLDER = r"(?P<below>(?:.*/)?)"
"""Layouts hold at any depth below the root: an archive may have a folder around everything."""


@dataclass(frozen=True)
class Pair:
    """An image and what it is compared with, as paths from the root; `masks` where there are some."""

    rgb: str
    depth: str
    masks: tuple[str, ...] = ()


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
        if definition.video is not None:
            pairs = _clips(pairs, definition.video)
        return Pairs(pairs, dropped, "all files of the layout")
    examples = " or ".join(layout.rgb for layout in definition.layouts)
    raise DataError(
        f"{where} does not hold {definition.title}: no image with depth is called like {examples}"
    )


def _candidates(names: list[str], layout: Layout) -> list[Pair]:
    pattern = re.compile(ANY_FOLDER + layout.rgb)
    nearest = None if layout.tolerance is None else NearestFiles(names, layout.tolerance)
    pairs = []
    for name in names:
        if match := pattern.fullmatch(name):
            groups = match.groupdict()
            below = groups["below"]
            if nearest is None:
                depth = below + layout.depth.format(**groups)
            else:
                depth = nearest(layout.depth, groups, below)
            masks = tuple(below + mask.format(**groups) for mask in layout.mask)
            pairs.append(Pair(name, depth, masks))
    return pairs


def clip_of(image: str) -> str:
    """What the frames of a clip have in common: the folder that they are in."""
    return posixpath.dirname(image)


def _clips(pairs: list[Pair], video: Video) -> list[Pair]:
    chosen = slice(video.start, video.start + video.frames)
    folders = groupby(pairs, key=lambda pair: clip_of(pair.rgb))
    return [pair for _, frames in folders for pair in list(frames)[chosen]]


def read_split(path: str | Path, names: list[str], definition: Definition, where: Path) -> Pairs:
    """Pairs from a text file with `rgb depth` a line, paths from the root.

    Further columns are the masks where the benchmark has masks, and are not read otherwise
    (Marigold's lists have other things there). Depth `None` means that there is none. A line that
    is the path of an image, spaces and all, stands for the pair that a layout makes of it. Raises
    DataError for a list that cannot be read, or names files that are absent.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the split {path} cannot be read: {error}") from error
    available, pairs, dropped = set(names), [], []
    by_layout = _pairs_by_image(names, definition)
    masks = len(definition.layouts[0].mask)
    for number, line in enumerate(lines, 1):
        words = [posixpath.normpath(word) for word in line.split()]
        if not words or line.lstrip().startswith("#"):
            continue
        if known := by_layout.get(posixpath.normpath(line.strip())):
            pairs.append(known)
            continue
        if len(words) < 2 + masks:
            columns = "rgb, depth and mask" if masks else "rgb and depth"
            raise DataError(f"{path}, line {number}: expected the paths of {columns}")
        if words[1] == "None":
            dropped.append(words[0])
            continue
        pair = Pair(words[0], words[1], tuple(words[2 : 2 + masks]))
        absent = [file for file in (pair.rgb, pair.depth) if file not in available]
        if absent:
            raise DataError(f"{path}, line {number}: {where} holds no file {absent[0]}")
        pairs.append(pair)
    if len({pair.rgb for pair in pairs}) < len(pairs):
        raise DataError(f"{path} names an image twice")
    _check_masks(pairs, available, where)
    return Pairs(pairs, dropped, f"split file {path}")


def _pairs_by_image(names: list[str], definition: Definition) -> dict[str, Pair]:
    available = set(names)
    candidates = (pair for layout in definition.layouts for pair in _candidates(names, layout))
    return {pair.rgb: pair for pair in candidates if pair.depth in available}


def _check_masks(pairs: list[Pair], available: set[str], where: Path) -> None:
    for pair in pairs:
        for mask in pair.masks:
            if mask not in available:
                raise DataError(f"{where} holds no mask {mask} for {pair.rgb}")
