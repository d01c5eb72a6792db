"""Frames of several cameras through one model: decoded, inferred together, published each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from depth_distill_ros.errors import UserError
from depth_distill_ros.inference.memory import FrugalEstimator
from depth_distill_ros.ros.camera import Camera
from depth_distill_ros.ros.pipeline import Frame, seconds
from depth_distill_ros.ros.reports import described


@dataclass
class Unfinished:
    """Images whose depth is published.

    Attributes:
        outputs: what else is to be made of them, by camera.
        failed: cameras whose image failed on the way.
        seconds: spent on them so far, besides inference.
    """

    outputs: dict[str, Iterator[tuple[str, Any]]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)
    seconds: float = 0.0


class BatchInference:
    """What the worker's threads do: `answer` in the first, `finish` in the second.

    Depth is published by the first thread: it then waits for nothing, neither for that thread to
    wake up nor for the cloud before it, and the scale is used by one thread. Making and publishing
    clouds takes longer, and is done while the next images are inferred.

    One camera's mistake or defect does not touch the others.

    Attributes:
        estimator: the model.
        frugal: the same, with less work where memory lacks.
    """

    def __init__(
        self, estimator: Any, cameras: Mapping[str, Camera], report: Callable[[str], None]
    ):
        self.estimator = estimator
        self.frugal = FrugalEstimator(estimator, report)
        self._cameras = cameras
        self._report = report

    def answer(self, messages: dict[str, Any]) -> Unfinished:
        """Publishes the depth of the newest images, where it is wanted."""
        started = time.perf_counter()
        unfinished = Unfinished()
        frames: dict[str, tuple[Frame, set[str]]] = {}
        for name, message in messages.items():
            camera = self._cameras[name]
            topics = camera.wanted()
            if topics:
                with self._alone(camera, unfinished.failed):
                    frames[name] = self._decode(camera, message), topics
        if not frames:
            return unfinished
        before = time.perf_counter()
        try:
            disparities = self._infer({name: frame for name, (frame, _) in frames.items()})
        except UserError as error:
            for name in frames:
                self._cameras[name].refuse(str(error))
            return unfinished
        inference = time.perf_counter() - before
        for name, (frame, topics) in frames.items():
            camera = self._cameras[name]
            camera.times.add("infer", inference)
            with self._alone(camera, unfinished.failed):
                urgent, others = camera.outputs(frame, disparities[name], topics)
                camera.publish(urgent)
                unfinished.outputs[name] = others
        unfinished.seconds = time.perf_counter() - started - inference
        return unfinished

    def finish(self, unfinished: Unfinished) -> set[str]:
        """Publishes the rest; returns the cameras whose image failed."""
        started = time.perf_counter()
        for name, outputs in unfinished.outputs.items():
            with self._alone(self._cameras[name], unfinished.failed):
                self._cameras[name].publish(outputs)
        overlapped = time.perf_counter() - started
        for name in unfinished.outputs:
            times = self._cameras[name].times
            times.add("overlapped", overlapped)
            times.add("besides inference", unfinished.seconds + overlapped)
        return unfinished.failed

    def failed(self, error: Exception) -> None:
        """Reports a defect that concerns all frames in work."""
        self._report(f"an image failed with {described(error)}")

    def _infer(self, frames: Mapping[str, Frame]) -> dict[str, np.ndarray]:
        """Disparities by camera: those with a stream together, and the others together."""
        streams = {name: self._cameras[name].active_stream for name in frames}
        single = [name for name in frames if streams[name] is None]
        streamed = [name for name in frames if streams[name] is not None]
        found = self.frugal.infer([frames[name].rgb for name in single])
        found += self.frugal.infer_streams(
            [frames[name].rgb for name in streamed],
            [streams[name] for name in streamed],
            # A driver that sets no stamp leaves 0: then the time at which the image is taken up.
            [seconds(frames[name].header) or time.monotonic() for name in streamed],
        )
        return dict(zip(single + streamed, found, strict=True))

    def _decode(self, camera: Camera, message: Any) -> Frame:
        frame = camera.pipeline.decode(message, camera.settings)
        self.estimator.check(frame.rgb)
        return frame

    @contextmanager
    def _alone(self, camera: Camera, failed: set[str]) -> Iterator[None]:
        """Keeps what goes wrong with one camera's image from the others."""
        try:
            yield
        except UserError as error:
            camera.refuse(str(error))
        except Exception as error:
            failed.add(camera.name)
            camera.problems.report(f"an image failed with {described(error)}")
