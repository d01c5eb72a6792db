"""The second pass of a replay: what only the whole run tells, from the bag and the output bag.

The temporal alignment error needs two frames, and for relative depth one fit over all of them; the
worst frames and the spread of depth, which sets the colours, are known at the end. Nothing is
inferred again. The errors of pairs are kept in `pairs.jsonl`, so that this pass resumes as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.bag import IMAGE
from depth_distill_ros.evaluation.metrics import valid_depth
from depth_distill_ros.evaluation.replay.inputs import (
    Case,
    Inputs,
    cases,
    deserialize,
    recorded_messages,
)
from depth_distill_ros.evaluation.replay.journal import Lines, Record, read_json, read_lines
from depth_distill_ros.evaluation.replay.measure import DepthRange, depth_range, shown_depth
from depth_distill_ros.evaluation.replay.node_path import NodePath, Seen, published
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.output_bag import NAME
from depth_distill_ros.evaluation.replay.pictures import Album
from depth_distill_ros.evaluation.replay.run import progress
from depth_distill_ros.evaluation.replay.table import Table
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms
from depth_distill_ros.evaluation.tables import write_json
from depth_distill_ros.evaluation.temporal import VARIANTS, View, aligned_depth, tae
from depth_distill_ros.ros.topics import METRIC, RELATIVE

FLOOR = "tae.measured"
"""The error of the measured depth itself."""


@dataclass(frozen=True)
class Moment:
    """A frame of the pair: the predicted and the measured depth where they were seen from."""

    predicted: View
    measured: View


class Review:
    """Goes over a run that is complete.

    Args:
        node: a fresh one; its model is not used.
        table: of the first pass; gets the columns `tae.*`.
        album: gets the pictures of the frames it wants.
    """

    def __init__(
        self,
        options: ReplayOptions,
        inputs: Inputs,
        node: NodePath,
        transforms: StaticTransforms,
        table: Table,
        album: Album,
    ):
        self._options, self._inputs, self._node = options, inputs, node
        self._transforms, self._table, self._album = transforms, table, album
        self._limits: DepthRange = depth_range(node.settings)
        self._clip = clip_fit(table) if not node.settings.is_metric else None

    def run(self) -> None:
        """Collects the pictures, and with poses the errors of pairs, at the later frame's row."""
        with_poses = self._options.poses is not None
        lines = self._open_pairs() if with_poses else None
        known = {record["frame"] for record in lines} if lines else set()
        before: Moment | None = None
        for case, record, depth in self._frames():
            pictured = case.number in self._album.wanted
            needed = with_poses and not {case.number, case.number + 1} <= known
            if "problem" in record or not (pictured or needed):
                self._node.take_in(case)
                before = None
                continue
            seen = self._node.read(case)
            if pictured:
                self._picture(seen, depth, record)
            now = self._moment(seen, depth) if with_poses else None
            if before is not None and now is not None and case.number not in known:
                lines.add({"frame": case.number, **pair_errors(before, now)})
            before = now
        if lines is not None:
            lines.close()
            for record in read_lines(lines.path):
                self._table.put(record.pop("frame"), record)

    def _open_pairs(self) -> Lines:
        """The pairs that were measured with the same alignment, or an empty file."""
        folder = self._options.output
        about = {"frames": self._table.count, "clip": self._clip and list(self._clip)}
        path = folder / "pairs.jsonl"
        kept = read_json(folder / "pairs.json") == about and path.exists()
        write_json(folder / "pairs.json", about)
        return Lines(path, path.read_bytes().count(b"\n") if kept else 0)

    def _frames(self) -> Iterator[tuple[Case, Record, Any | None]]:
        """Each case with its record, and its depth image in the output bag if it has one."""
        options, count = self._options, self._table.count
        topic = "/" + (METRIC if self._node.settings.is_metric else RELATIVE).image
        stored = recorded_messages(options.output / NAME, {topic})
        found = cases(self._inputs, options.every, options.tolerance, count)
        records = read_lines(options.output / "frames.jsonl")
        for case, record in zip(progress(found, "review", count), records):
            depth = deserialize(IMAGE, next(stored)[3]) if record.get("published") else None
            yield case, record, depth

    def _shown(self, seen: Seen, depth: Any | None, record: Record) -> np.ndarray | None:
        """Metric depth, or the disparity aligned for this frame, as the first pass scored it."""
        if depth is None:
            return None
        values = published(depth, seen.view.size)
        metric = values if self._node.settings.is_metric else None
        return shown_depth(values, metric, record, self._limits)

    def _picture(self, seen: Seen, depth: Any | None, record: Record) -> None:
        shown = self._shown(seen, depth, record)
        self._album.add(record, seen.frame.rgb, shown, seen.truth, self._limits)

    def _moment(self, seen: Seen, depth: Any | None) -> Moment | None:
        """None where there is no pose, no camera or no depth."""
        camera_frame, pose_frame = seen.frame.header.frame_id, self._options.pose_frame
        pose = seen.case.camera_pose(self._transforms, camera_frame, pose_frame)
        if pose is None or depth is None or seen.view.intrinsics is None:
            return None
        values = published(depth, seen.view.size)
        if self._clip is not None:
            values = aligned_depth(values, *self._clip, self._limits)
        elif not self._node.settings.is_metric:
            return None
        truth = seen.truth if seen.truth is not None else np.zeros(seen.view.size, np.float32)
        measured = valid_depth(truth, self._limits)
        camera = seen.view.intrinsics
        return Moment(
            View(values, measured, camera, pose),
            View(np.where(measured, truth, np.float32(0)), measured, camera, pose),
        )


def pair_errors(first: Moment, second: Moment) -> Record:
    """`tae.*` of two adjacent frames; what cannot be measured is absent."""
    errors = {f"tae.{name}": tae(first.predicted, second.predicted, name) for name in VARIANTS}
    errors[FLOOR] = tae(first.measured, second.measured, "depth_any_video")
    return {name: error for name, error in errors.items() if error is not None}


def clip_fit(table: Table) -> tuple[float, float] | None:
    """Scale and shift of the disparity over all frames; None where nothing can be fitted."""
    try:
        return None if table.clip is None else table.clip.solve()
    except DataError:
        return None
