"""What goes out on /diagnostics once a second: rates, ages, times, drops, scale, model."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

from depth_distill_ros.ros.camera import Camera
from depth_distill_ros.ros.scale_messages import scale_level, scale_values
from depth_distill_ros.ros.worker import WorkerCounts

OK, WARN, ERROR = (
    DiagnosticStatus.OK,
    DiagnosticStatus.WARN,
    DiagnosticStatus.ERROR,
)
SILENCE_SECONDS = 2.0
"""Without an image for so long a camera's status is a warning."""


@dataclass(frozen=True)
class _Sample:
    """Counters at a moment, from whose differences rates are made."""

    moment: float
    received: int
    outputs: int
    refused: int
    failed: int


class CameraDiagnostics:
    """Makes one camera's status; called at a steady rate, remembers the last call's counters."""

    def __init__(self, camera: Camera, counts: Callable[[], WorkerCounts]):
        self._camera = camera
        self._counts = counts
        self._last = self._sample()
        self._last_input = float("-inf")

    def _sample(self) -> _Sample:
        counts = self._counts()
        outputs = max(tuple(self._camera.published.values()), default=0)
        return _Sample(
            time.monotonic(), counts.received, outputs, self._camera.refused, counts.failed
        )

    def status(self, name: str, is_active: bool) -> DiagnosticStatus:
        """The status since the last call; `name` is the node's."""
        last, now = self._last, self._sample()
        self._last = now
        if now.received > last.received:
            self._last_input = now.moment
        span = max(now.moment - last.moment, 1e-6)
        level, message = self._judge(last, now, is_active)
        values = {
            "input Hz": f"{(now.received - last.received) / span:.2f}",
            "output Hz": f"{(now.outputs - last.outputs) / span:.2f}",
            **self._counters(),
            **self._times(),
            "camera_info age s": f"{self._camera.pipeline.camera_info_age:.3f}",
            **self._scale(),
            **self._temporal(),
        }
        title = f"{name}: {self._camera.name}" if self._camera.name else f"{name}: camera"
        return diagnostic_status(level, title, message, values)

    def _judge(self, last: _Sample, now: _Sample, is_active: bool) -> tuple[bytes, str]:
        if not is_active:
            return OK, "not active"
        if now.failed > last.failed:
            return ERROR, "images failed: see the log"
        if now.moment - self._last_input > SILENCE_SECONDS:
            return WARN, f"no images on {self._camera.image_topic}"
        if now.refused > last.refused:
            return WARN, "images were refused: see the log"
        state = self._camera.pipeline.scale_state
        if state is not None and self._camera.settings.is_metric and scale_level(state) != OK:
            return scale_level(state), f"scale {state.status}: {state.reason}"
        return OK, "running"

    def _counters(self) -> dict[str, str]:
        counts = self._counts()
        values = {
            "images received": str(counts.received),
            "images processed": str(counts.processed - self._camera.refused),
            "dropped for newer ones": str(counts.dropped),
            "refused": str(self._camera.refused),
            "failed": str(counts.failed),
        }
        for cause, count in self._camera.problems.counts.items():
            values[f"problem: {cause}"] = str(count)
        return values

    def _times(self) -> dict[str, str]:
        values = {}
        for prefix, times in (("age at publish", self._camera.ages), ("time", self._camera.times)):
            for stage, (median, high) in times.percentiles().items():
                values[f"{prefix}: {stage} p50 ms"] = f"{median:.2f}"
                values[f"{prefix}: {stage} p99 ms"] = f"{high:.2f}"
        return values

    def _temporal(self) -> dict[str, str]:
        stream = self._camera.stream
        if not self._camera.settings.temporal_enabled:
            return {"temporal": "off"}
        if stream is None:
            return {"temporal": "off: the model has no temporal head"}
        resets = {f"temporal resets: {why}": str(count) for why, count in stream.resets.items()}
        values = {"temporal": "on", "temporal window": str(stream.window)}
        return {**values, "temporal frames remembered": str(stream.frames), **resets}

    def _scale(self) -> dict[str, str]:
        state = self._camera.pipeline.scale_state
        mode = self._camera.settings.scale_mode
        if state is None or mode == "none":
            return {"scale mode": mode}
        return {"scale mode": mode, **{f"scale {k}": v for k, v in scale_values(state).items()}}


def diagnostic_status(
    level: bytes, name: str, message: str, values: dict[str, str]
) -> DiagnosticStatus:
    """A status with its values as text."""
    pairs = [KeyValue(key=key, value=value) for key, value in values.items()]
    return DiagnosticStatus(level=level, name=name, message=message, values=pairs)


def model_status(
    name: str, state: str, estimator: Any | None, frugal: Any | None
) -> DiagnosticStatus:
    """The status of the model that all cameras share; `state` is the lifecycle's."""
    if estimator is None:
        return diagnostic_status(OK, f"{name}: model", f"no model: {state}", {"state": state})
    values = {
        "state": state,
        "model": estimator.name,
        "engine": estimator.engine.label,
        "engine chosen because": estimator.choice,
        "device": estimator.device,
    }
    memory = estimator.engine.device_memory()
    if memory is not None:
        values["GPU memory used MiB"] = f"{memory[0] / 2**20:.0f}"
        values["GPU memory total MiB"] = f"{memory[1] / 2**20:.0f}"
    reduction = frugal.reduction if frugal is not None else ""
    if reduction:
        values["reduced to"] = reduction
        return diagnostic_status(WARN, f"{name}: model", f"too little memory: {reduction}", values)
    return diagnostic_status(OK, f"{name}: model", state, values)
