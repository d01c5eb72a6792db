"""Virtual KITTI 2's official layout as a training source, and as a plan of shards."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from training.data.preparation import Plan
from training.data.samples import Stored, decode
from training.data.store import About, Rejected
from training.data.virtual_kitti.files import (
    CONDITIONS,
    FRAMES,
    TRAINING_SCENES,
    Place,
    Row,
    find_files,
    papers_list,
    read_list,
)

CROP = (352, 1216)
ENCODING = "cm16"


class VirtualKitti:
    """The official files as they are, cropped as KITTI's depth benchmark is.

    Depth of 80 m and more, the sky included, is infinitely far (0).

    Args:
        root: folder of the archives or of the scenes.
        frames: a list of frames; None takes the 20,148 of the papers.

    Attributes:
        rows: the frames, in the order of their indices.

    Raises:
        DataError: frames are missing, or an archive is damaged.
    """

    def __init__(self, root: str | Path, frames: Path | None = None):
        self.rows = read_list(frames) if frames else papers_list()
        found = find_files(Path(root))
        lacking = [row for row in self.rows if not _both(row, found)]
        if lacking:
            raise DataError(_message(root, lacking, "give a list of the frames that you have"))
        self._places = [(found[row.path("rgb")], found[row.path("depth")]) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def name(self, index: int) -> str:
        """``Scene02/clone/Camera_0/00000``."""
        return self.rows[index].name

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rgb, depth = (place.read() for place in self._places[index])
        return decode(rgb, depth, ENCODING, CROP, self.name(index))


@dataclass(frozen=True)
class _Reader:
    """Results of a drive's frames: the official bytes, once they have been decoded."""

    rows: dict[str, list[Row]]
    places: dict[str, Place]

    def __call__(self, part: str) -> Iterator[Stored | Rejected]:
        return map(self._result, self.rows[part])

    def _result(self, row: Row) -> Stored | Rejected:
        for what in ("rgb", "depth"):
            if row.path(what) not in self.places:
                return Rejected(row.name, "missing", row.path(what))
        try:
            rgb, depth = (self.places[row.path(what)].read() for what in ("rgb", "depth"))
            decode(rgb, depth, ENCODING, CROP, row.name)
        except DataError as error:
            return Rejected(row.name, "unreadable", str(error))
        return Stored(row.name, rgb, "jpg", depth)


def plan(arguments: argparse.Namespace) -> Plan:
    """What the command line asks for, checked against the disk.

    Raises:
        DataError: files are missing, or scenes and conditions are unknown.
    """
    scenes, conditions = tuple(arguments.scenes), tuple(arguments.conditions)
    rows = read_list(arguments.list) if arguments.list else papers_list(scenes, conditions)
    found = find_files(arguments.root)
    lacking = [row for row in rows if not _both(row, found)]
    if lacking and not arguments.partial:
        advice = "add --partial to prepare what is there"
        raise DataError(_message(arguments.root, lacking, advice))
    by_part: dict[str, list[Row]] = {}
    for row in rows:
        by_part.setdefault(row.drive.part, []).append(row)
    total = Counter(row.drive.part for row in rows)
    gone = Counter(row.drive.part for row in lacking)
    there = {part: count for part, count in total.items() if gone[part] < count}
    if not there:
        raise DataError(_message(arguments.root, lacking, "check the folder"))
    listed = arguments.list.read_bytes() if arguments.list else b""
    settings = {
        "scenes": [] if listed else list(scenes),
        "conditions": [] if listed else list(conditions),
        "list": hashlib.sha256(listed).hexdigest()[:16] if listed else "",
    }
    kept = {part: by_part[part] for part in there}
    needed = {row.path(what) for part in kept.values() for row in part for what in ("rgb", "depth")}
    reader = _Reader(kept, {path: found[path] for path in needed if path in found})
    absent = {part: count for part, count in total.items() if part not in there}
    return Plan(About("virtual_kitti", settings, ENCODING, CROP), there, reader, absent)


def _both(row: Row, found: dict[str, Place]) -> bool:
    return row.path("rgb") in found and row.path("depth") in found


def _message(root: str | Path, lacking: list[Row], advice: str) -> str:
    return (
        f"{root} lacks {len(lacking)} frames, {lacking[0].path('rgb')} or its depth among them. "
        f"Complete the data set (vkitti_2.0.3_rgb.tar and vkitti_2.0.3_depth.tar), or {advice}"
    )


def scenes_and_conditions(parser: argparse.ArgumentParser) -> None:
    """Options for the scenes and conditions to take."""
    parser.add_argument(
        "--scenes", nargs="+", choices=tuple(FRAMES), default=TRAINING_SCENES, metavar="SCENE",
        help=f"[{' '.join(TRAINING_SCENES)}]",
    )  # fmt: skip
    known = (*CONDITIONS, "fog", "rain", "30-deg-left", "30-deg-right")
    parser.add_argument(
        "--conditions", nargs="+", choices=known, default=CONDITIONS, metavar="CONDITION",
        help=f"[{' '.join(CONDITIONS)}]; also fog, rain, 30-deg-left, 30-deg-right",
    )  # fmt: skip
