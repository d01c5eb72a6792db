"""The first pass of a replay: every image through the node's path, measured and written down."""

from __future__ import annotations

import math
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from depth_distill_ros.errors import BagError, ConfigError, ImageError, MessageError
from depth_distill_ros.evaluation.bag import CAMERA_INFO, IMAGE, POINT_CLOUD, typestore
from depth_distill_ros.evaluation.replay.inputs import Case, Inputs, cases
from depth_distill_ros.evaluation.replay.journal import Journal, Record
from depth_distill_ros.evaluation.replay.measure import (
    depth_range,
    relative_error,
    score,
    shown_depth,
)
from depth_distill_ros.evaluation.replay.node_path import ERROR, Answer, NodePath, Seen
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.output_bag import OutputBag
from depth_distill_ros.ros.messages import float_image
from depth_distill_ros.ros.topics import METRIC, RELATIVE


def output_topics(options: ReplayOptions) -> dict[str, str]:
    """Message type by topic of the output bag: metric depth where there is a scale."""
    kind = METRIC if options.settings.is_metric else RELATIVE
    topics = {kind.image: IMAGE, kind.camera_info: CAMERA_INFO, ERROR: IMAGE}
    if options.clouds:
        topics[kind.points] = POINT_CLOUD
    return {f"/{topic}": message_type for topic, message_type in topics.items()}


class FirstPass:
    """Evaluates the frames that an earlier run has not done yet.

    Raises BagError where the bag is damaged; what was measured before stays.
    """

    def __init__(self, options: ReplayOptions, inputs: Inputs, node: NodePath, journal: Journal):
        self._options, self._inputs = options, inputs
        self._node, self._journal = node, journal
        self._limits = depth_range(node.settings)
        state = journal.state
        self._topics = output_topics(options)
        self._bag = OutputBag(options.output, self._topics, state.get("parts", 0))
        if "tracker" in state:
            node.pipeline.tracker.restore(state["tracker"])

    def run(self) -> None:
        """Goes over the bag once. At the end the output bag is complete."""
        options, journal = self._options, self._journal
        done = journal.lines.count
        if options.max_frames is not None and done > options.max_frames:
            raise ConfigError(
                f"{options.output} has {done} frames already: give --max-frames {done} or more"
            )
        # Frames before the first to be done that its depth, or that of a later one, depends on.
        reach = self._node.stream.reach if self._node.stream is not None else 0
        last_commit = time.monotonic()
        for case in self._cases(done):
            if case.number < done:
                if case.number < done - reach:
                    self._node.take_in(case)
                else:
                    self._node.remember(case)
                self._node.problems = Counter(journal.state["problems"])
                continue
            journal.lines.add(self._evaluate(case))
            if time.monotonic() - last_commit > options.checkpoint:
                self._commit()
                last_commit = time.monotonic()
        if journal.lines.count == 0:
            raise BagError(f"the bag {options.bag} has no image on {self._inputs.images.image}")
        self._commit()
        self._bag.finish()

    def _cases(self, done: int) -> Iterator[Case]:
        options = self._options
        total = math.ceil(self._inputs.count / options.every)
        total = min(total, options.max_frames or total)
        found = cases(self._inputs, options.every, options.tolerance, options.max_frames)
        return progress(found, "replay", total, done)

    def _commit(self) -> None:
        self._bag.close_part()
        tracker = self._node.pipeline.tracker.to_json()
        problems = dict(self._node.problems)
        self._journal.commit(parts=self._bag.parts, tracker=tracker, problems=problems)

    def _evaluate(self, case: Case) -> Record:
        record: Record = {"frame": case.number, "stamp": case.stamp, "recorded": case.recorded}
        try:
            seen = self._node.read(case)
            answer = self._node.answer(seen)
        except (MessageError, ImageError) as error:
            return record | {"problem": str(error)}
        if case.lag is not None:
            record["lag_ms"] = case.lag / 1e6
        record |= {f"latency.{stage}": ms for stage, ms in answer.latency.items()}
        record |= self._scale()
        if seen.truth is not None:
            record |= score(answer.disparity, answer.metric, seen.truth, self._limits)
        self._write(seen, answer, record)
        return record

    def _scale(self) -> Record:
        state = self._node.pipeline.scale_state
        if state is None:
            return {}
        names = ("scale", "shift", "inliers", "points", "residual", "age")
        numbers = {f"scale.{name}": float(getattr(state, name)) for name in names}
        known = {name: value for name, value in numbers.items() if math.isfinite(value)}
        return {"scale.status": state.status} | known

    def _write(self, seen: Seen, answer: Answer, record: Record) -> None:
        """Notes in the record whether the frame has depth in the bag."""
        recorded = record["recorded"]
        for topic, message in answer.messages.items():
            if f"/{topic}" in self._topics:
                if topic in (METRIC.image, RELATIVE.image):
                    record["published"] = True
                self._bag.write(f"/{topic}", recorded, _storable(message))
        depth = shown_depth(answer.disparity, answer.metric, record, self._limits)
        if seen.truth is not None and depth is not None:
            error = relative_error(depth, seen.truth, self._limits)
            message = float_image(error, seen.frame.header, typestore().types[IMAGE])
            self._bag.write(f"/{ERROR}", recorded, _storable(message))


def _storable(message: Any) -> Any:
    """The message with its data as the bag writer wants it: a NumPy array."""
    if hasattr(message, "data"):
        return replace(message, data=np.frombuffer(message.data, np.uint8))
    return message


def progress(found: Iterator[Case], title: str, total: int, done: int = 0) -> Iterator[Case]:
    """The same, with a bar on stderr; in a log that nobody watches, a line now and then."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 60.0
    bar = tqdm(
        total=total,
        initial=done,
        desc=title,
        unit="frame",
        mininterval=interval,
        dynamic_ncols=True,
    )
    with bar:
        for case in found:
            yield case
            if case.number >= done:
                bar.update()
