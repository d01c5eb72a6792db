"""From Hypersim's official files to a plan of shards, one a scene."""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from depth_distill_ros.errors import DataError
from training.data.hypersim.files import SPLIT_FILE, Row, Scene, read_list, read_split
from training.data.hypersim.images import Filters, read_frame, rejection
from training.data.hypersim.source import check_root, find_scenes, lacking
from training.data.preparation import Plan
from training.data.samples import Stored, encode_depth, encode_rgb
from training.data.store import About, Rejected


@dataclass(frozen=True)
class _Reader:
    """Results of a scene's frames."""

    places: dict[str, Path]
    rows: dict[str, list[Row]]
    filters: Filters | None
    max_depth: float
    size: tuple[int, int] | None
    jpeg: int

    def __call__(self, scene: str) -> Iterator[Stored | Rejected]:
        files = Scene(self.places[scene])
        try:
            for row in self.rows[scene]:
                yield self._result(files, row)
        finally:
            files.close()

    def _result(self, files: Scene, row: Row) -> Stored | Rejected:
        try:
            frame = read_frame(files, row, self.max_depth)
        except FileNotFoundError as error:
            return Rejected(row.name, "missing", str(error))
        except DataError as error:
            return Rejected(row.name, "unreadable", str(error))
        failed = self.filters and rejection(frame, self.filters)
        if failed:
            return Rejected(row.name, *failed)
        rgb, depth = frame.rgb, frame.depth
        if self.size:
            rgb = cv2.resize(rgb, self.size, interpolation=cv2.INTER_AREA)
            depth = cv2.resize(depth, self.size, interpolation=cv2.INTER_NEAREST)
        return Stored(row.name, *encode_rgb(rgb, self.jpeg), encode_depth(depth))


def plan(arguments: argparse.Namespace) -> Plan:
    """What the command line asks for, checked against the split file and the disk.

    Raises:
        DataError: the folder, the split file or scenes are missing.
    """
    root, partition = arguments.root, arguments.partition
    check_root(root)
    filters = Filters(
        arguments.max_invalid, arguments.min_depth_range, arguments.min_rgb_range,
        arguments.max_depth,
    )  # fmt: skip
    if not 0 <= arguments.jpeg <= 100:
        raise DataError("--jpeg is a quality from 1 to 100, or 0 for PNG")
    if arguments.list:
        rows = read_list(arguments.list)
    else:
        rows = read_split(arguments.split_file or root / SPLIT_FILE, partition)
    places, problems = find_scenes(root, rows)
    if not places:
        raise DataError(
            f"{root} holds none of the {len(problems)} scenes: it must be the folder of ai_001_001, "
            "ai_001_002 … or of ai_001_001.zip … (" + next(iter(problems.values())) + ")"
        )
    if problems and not arguments.partial:
        raise DataError(lacking(problems, "add --partial to prepare what is there"))
    frames = Counter(row.scene for row in rows)
    by_scene: dict[str, list[Row]] = {scene: [] for scene in places}
    for row in rows:
        if row.scene in places:
            by_scene[row.scene].append(row)
    settings = {
        "partition": "" if arguments.list else partition,
        "list": _fingerprint(arguments.list),
        "filters": None if arguments.list else asdict(filters),
        "max_depth": filters.max_depth,
        "size": arguments.size,
        "jpeg": arguments.jpeg,
    }
    reader = _Reader(
        places, by_scene, None if arguments.list else filters, filters.max_depth, arguments.size,
        arguments.jpeg,
    )  # fmt: skip
    return Plan(
        About("hypersim", settings),
        {scene: frames[scene] for scene in places},
        reader,
        {scene: frames[scene] for scene in problems},
    )


def _fingerprint(path: Path | None) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path else ""
