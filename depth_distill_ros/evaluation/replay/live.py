"""The metrics of a replay on a running graph: the node's depth against a truth of the same moment."""

from __future__ import annotations

import json
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import BagError, UserError
from depth_distill_ros.evaluation.replay.journal import Record, cause
from depth_distill_ros.evaluation.replay.measure import DepthRange, score, shown_depth
from depth_distill_ros.evaluation.replay.node_path import published
from depth_distill_ros.evaluation.replay.pictures import Album
from depth_distill_ros.evaluation.replay.poses import Trajectory
from depth_distill_ros.evaluation.replay.report import About, summarise, write_report
from depth_distill_ros.evaluation.replay.review import Moment, pair_errors
from depth_distill_ros.evaluation.replay.table import Table
from depth_distill_ros.evaluation.replay.truth import ImagePlane, TruthReader
from depth_distill_ros.evaluation.temporal import View
from depth_distill_ros.ros.camera_info import CameraInfoStore, intrinsics_of
from depth_distill_ros.ros.images import picture

KEPT = 40
"""Messages of a topic that may wait for others of their moment."""


@dataclass(frozen=True)
class _Depth:
    """A depth image of the node; `age` in milliseconds when it came."""

    stamp: int
    is_metric: bool
    message: Any
    age: float


class LiveMetrics:
    """Scores depth images as they come. Messages are those of rclpy, or of a bag.

    A moment is a row of the table, whether its depth comes relative, metric, or as both.

    Args:
        truth: turns true depth into maps of the image.
        tolerance: seconds between depth and its truth, at most.
        album: gets pictures, where images come; None for none.

    Attributes:
        table: all numbers so far.
        problems: what could not be scored, and how often.
    """

    def __init__(
        self, truth: TruthReader, limits: DepthRange, tolerance: float, album: Album | None = None
    ):
        self.table = Table()
        self.problems: Counter[str] = Counter()
        self._truth, self._limits, self._album = truth, limits, album
        self._tolerance = round(tolerance * 1e9)
        self._truths: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._images: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._waiting: deque[_Depth] = deque(maxlen=KEPT)
        self._rows: dict[int, int] = {}
        self._infos = CameraInfoStore()
        self._truth_info: Any | None = None
        self._trajectory = Trajectory()
        self._before: tuple[int, Moment] | None = None

    def take(self, name: str, message: Any, now: int = 0) -> None:
        """One message: `name` says what it is (`ros/live.py`), `now` when it came, nanoseconds."""
        stamp = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if name == "info":
            self._infos.add(message)
        elif name == "truth_info":
            self._truth_info = message
        elif name == "image":
            self._images.append((stamp, message))
        elif name == "pose":
            self._trajectory.add(stamp, message)
        elif name in ("depth", "lidar"):
            self._truths.append((stamp, message))
        else:
            self._waiting.append(_Depth(stamp, name == "metric", message, (now - stamp) / 1e6))
        while self._waiting and self._may_score(self._waiting[0].stamp):
            try:
                self._score(self._waiting.popleft())
            except UserError as error:
                self.problems.update([cause(str(error))])

    def _may_score(self, stamp: int) -> bool:
        """Whether no nearer truth can come, or too much waits."""
        no_nearer = bool(self._truths) and self._truths[-1][0] >= stamp
        return no_nearer or len(self._waiting) == KEPT

    def _score(self, depth: _Depth) -> None:
        message, stamp = depth.message, depth.stamp
        nearest = min(self._truths, key=lambda one: abs(one[0] - stamp), default=None)
        if nearest is None or abs(nearest[0] - stamp) > self._tolerance:
            raise BagError(f"no truth within {self._tolerance / 1e9:g} s of the depth")
        found = self._infos.match(message.header.stamp)
        camera = None if found is None else intrinsics_of(found[0], message.width, message.height)
        view = ImagePlane(message.header, (message.height, message.width), camera)
        truth = self._truth.depth(nearest[1], self._truth_info, view)
        if truth is None:
            raise BagError("the truth needs a camera_info beside the depth, and none has come")
        values = published(message, view.size)
        metric = values if depth.is_metric else None
        with np.errstate(divide="ignore"):
            disparity = values if metric is None else 1 / values  # of inf, 0; NaN stays
        row = self._rows.setdefault(stamp, self.table.count)
        record: Record = {"frame": row, "stamp": stamp, "recorded": stamp}
        record |= {"lag_ms": (nearest[0] - stamp) / 1e6, "latency.total": depth.age}
        record |= score(disparity, metric, truth, self._limits)
        if metric is not None:
            record |= self._temporal(row, stamp, view, values, truth)
        self._picture(stamp, record, shown_depth(disparity, metric, record, self._limits), truth)
        self.table.put(row, record)
        while len(self._rows) > KEPT:
            del self._rows[next(iter(self._rows))]

    def _temporal(
        self, row: int, stamp: int, view: ImagePlane, depth: np.ndarray, truth: np.ndarray
    ) -> Record:
        pose, before = self._trajectory.at(stamp), self._before
        self._trajectory.forget(stamp - 10**9)
        if pose is None or view.intrinsics is None:
            self._before = None
            return {}
        measured = truth > 0
        views = [View(values, measured, view.intrinsics, pose) for values in (depth, truth)]
        self._before = row, Moment(*views)
        if before is None or before[0] != row - 1:
            return {}
        return pair_errors(before[1], self._before[1])

    def _picture(
        self, stamp: int, record: Record, depth: np.ndarray | None, truth: np.ndarray
    ) -> None:
        image = next((message for at, message in self._images if at == stamp), None)
        if self._album is not None and image is not None and depth is not None:
            if record["frame"] not in self._album.wanted:
                self._album.want(record["frame"])
            self._album.add(record, picture(image), depth, truth, self._limits)

    def line(self) -> str:
        """The means so far in one line."""
        parts = [f"{self.table.count} frames"]
        for name, value in self.means().items():
            parts.append(f"{name} {value}")
        return ", ".join(parts)

    def means(self) -> dict[str, str]:
        """Mean numbers so far, as text by name; those of the scale are medians."""
        found = {}
        for name in ("metric.abs_rel", "metric.delta1", "aligned.abs_rel", "aligned.delta1"):
            summary = self.table.summary(name)
            if summary:
                found[name] = f"{summary['mean']:.4f}"
        scale = self.table.summary("scale_error")
        if scale:
            found["scale_error"] = f"{scale['p50']:.4f}"
        return found

    def write(self, folder: Path, about: About, max_abs_rel: float | None) -> dict[str, Any]:
        """Writes the report of a replay, without a bag; returns it."""
        folder.mkdir(parents=True, exist_ok=True)
        columns = {name: self.table.column(name) for name in self.table.names}
        with open(folder / "frames.jsonl", "w", encoding="utf-8") as file:
            for row in range(self.table.count):
                numbers = {name: float(values[row]) for name, values in columns.items()}
                known = {name: value for name, value in numbers.items() if np.isfinite(value)}
                file.write(json.dumps(known) + "\n")
        report = summarise(about, self.table, max_abs_rel)
        write_report(folder, report, about, self.table, self._album or Album(1, 2))
        return report
