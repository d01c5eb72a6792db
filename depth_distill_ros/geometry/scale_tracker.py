"""The metric scale of one camera over time: measurements in, a scale that stays put out.

Fits of single images are blended by a running filter (`scale_filter.py`). One that contradicts the
filter is refused, as an outlier; when several in a row contradict it and agree with each other, the
scene is new and they replace it. Without measurements the scale is held until a timeout, then lost.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np

from depth_distill_ros.errors import ScaleError
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.ground_plane import UP, ground_scale
from depth_distill_ros.geometry.reference import ReferenceSamples, disparity_at
from depth_distill_ros.geometry.scale_curve import Curve, RunningCurve
from depth_distill_ros.geometry.scale_filter import RunningLine
from depth_distill_ros.geometry.scale_fit import ScaleFit, fit_scale
from depth_distill_ros.geometry.scale_state import ScaleSettings, ScaleState

MAX_DISAGREEMENT = 1.5
"""Ratio of depths, by the filter and by a new fit, above which the fit is refused."""

NEW_SCENE = 3
"""Fits in a row that must agree with each other to replace a scale that they contradict."""

FRESH_SECONDS = 1.0
"""A scale without newer measurements is called held after this time: sensors are slow at times."""


class ScaleTracker:
    """The scale of one camera. Not thread safe.

    Stamps are seconds of any clock. A step back or ahead by no more than the timeout is taken for
    images out of order; after a larger one, as when a bag begins again, the next fit is believed.
    """

    def __init__(self, settings: ScaleSettings):
        self._settings = settings
        self.reset()

    @property
    def settings(self) -> ScaleSettings:
        """May be set at any time; a change of what is measured forgets the scale."""
        return self._settings

    @settings.setter
    def settings(self, settings: ScaleSettings) -> None:
        old, self._settings = self._settings, settings
        shape_changed = (old.near, old.far) != (settings.near, settings.far)
        if old.mode != settings.mode or (settings.mode == "camera_height" and shape_changed):
            self.reset()

    def reset(self) -> None:
        """Forgets what was measured."""
        self._line: RunningLine | None = None
        self._curve: RunningCurve | None = None
        self._spline: Curve | None = None
        self._stamp: float | None = None
        self._fit = (0, 0, 0.0)
        self._candidate: RunningLine | None = None
        self._candidate_stamp = 0.0
        self._candidates = 0
        self._refusal = ""

    def observe_reference(
        self, disparity: np.ndarray, samples: ReferenceSamples, stamp: float
    ) -> None:
        """Measured depth of the view that `disparity` (h, w) shows; refused where it is no good."""
        settings = self._settings
        values, depth = disparity_at(samples, disparity)
        try:
            fit = fit_scale(values, depth, settings.min_inliers, settings.min_inlier_ratio)
        except ScaleError as error:
            self._refusal = str(error)
            return
        gain = self._accept(fit, stamp)
        if gain is not None:
            self._bend(values, depth, gain)

    def observe_ground(
        self,
        disparity: np.ndarray,
        intrinsics: Intrinsics,
        stamp: float,
        up: np.ndarray | tuple[float, float, float] = UP,
        height: float | None = None,
    ) -> None:
        """The ground in `disparity` (h, w), with intrinsics of the view at any size.

        `up` is a unit vector in the optical frame, `height` metres, the settings' by default.
        Refused where there is no ground, or the height is not positive.
        """
        settings = self._settings
        height = settings.height if height is None else height
        near, far = settings.near, settings.far
        try:
            fit = ground_scale(disparity, intrinsics, near, far, height, up, settings.max_tilt)
        except ScaleError as error:
            self._refusal = str(error)
            return
        self._accept(fit, stamp)

    def _accept(self, fit: ScaleFit, stamp: float) -> float | None:
        """Takes a fit into the filter; the gain it had, 1 for a new scene, None for refused."""
        newest = RunningLine.of(fit)
        elapsed = self._elapsed(stamp)
        if self._line is None or abs(elapsed) > self._settings.timeout:
            self._line, gain = newest, 1.0
        elif (ratio := self._line.disagreement(fit)) <= MAX_DISAGREEMENT:
            smoothing = self._settings.smoothing
            gain = 1 - math.exp(-max(elapsed, 0.0) / smoothing) if smoothing > 0 else 1.0
            self._line = self._line.blended(newest, gain)
        elif self._is_new_scene(fit, newest, stamp):
            self._line, gain = self._candidate, 1.0
        else:
            self._refusal = (
                f"the depth measured contradicts the scale so far by a factor of {ratio:.2f}: "
                f"accepted when {NEW_SCENE} in a row agree"
            )
            return None
        self._stamp = float(stamp)
        self._fit = (fit.inliers, fit.points, fit.residual)
        self._candidate, self._refusal = None, ""
        return gain

    def _is_new_scene(self, fit: ScaleFit, newest: RunningLine, stamp: float) -> bool:
        """Whether enough fits in a row, this one included, agree on something else."""
        if (
            self._candidate is not None
            and abs(stamp - self._candidate_stamp) <= self._settings.timeout
            and self._candidate.disagreement(fit) <= MAX_DISAGREEMENT
        ):
            self._candidates += 1
            self._candidate = self._candidate.blended(newest, 1 / self._candidates)
        else:
            self._candidate, self._candidates = newest, 1
        self._candidate_stamp = float(stamp)
        return self._candidates >= NEW_SCENE

    def _bend(self, disparity: np.ndarray, depth: np.ndarray, gain: float) -> None:
        """Takes measurements (N,) into the curve over the line."""
        if not self._settings.spline:
            self._curve = self._spline = None
            return
        line = self._line.scale * disparity.astype(np.float64) + self._line.shift
        newest = RunningCurve.of(line, 1 / depth.astype(np.float64))
        self._curve = newest if self._curve is None else self._curve.blended(newest, gain)
        self._spline = self._curve.curve()

    def _elapsed(self, stamp: float) -> float:
        """Seconds since the last accepted fit; of a restored scale without stamp, since now."""
        if self._stamp is None:
            self._stamp = float(stamp)
        return stamp - self._stamp

    def state(self, stamp: float) -> ScaleState:
        """The scale at a moment, usually the stamp of the image it is used for."""
        settings = self._settings
        if settings.mode == "none":
            return ScaleState("none", "none", age=math.inf)
        if settings.mode == "fixed":
            return ScaleState("fixed", "ok", settings.scale, settings.shift)
        if self._line is None:
            return ScaleState(settings.mode, "none", age=math.inf, reason=self._refusal)
        age = abs(self._elapsed(stamp))
        status, reason = "held", self._refusal
        if age > settings.timeout:
            status = "lost"
        elif not reason and age <= FRESH_SECONDS:
            status = "ok"
        if status != "ok" and not reason:
            reason = f"nothing was measured for {age:.1f} s"
        line, spline = self._line, self._spline if settings.spline else None
        return ScaleState(
            settings.mode, status, line.scale, line.shift, spline, *self._fit, age, reason
        )

    def to_json(self) -> dict[str, Any]:
        """All that the following states depend on, besides the settings, for `restore`.

        With "stamp" set to None it can be restored under another clock: the scale's age then
        counts from the first stamp that is seen.
        """
        return {
            "mode": self._settings.mode,
            "stamp": self._stamp,
            "line": None if self._line is None else asdict(self._line),
            "curve": None if self._curve is None else asdict(self._curve),
            "fit": list(self._fit),
            "candidate": None if self._candidate is None else asdict(self._candidate),
            "candidates": [self._candidates, self._candidate_stamp],
            "refusal": self._refusal,
        }

    def restore(self, saved: dict[str, Any]) -> None:
        """Goes on from what `to_json` gave: the following states are the same, bit for bit.

        What was saved in another mode is of no use in this one: then nothing is known, as after
        `reset`. Raises ScaleError, and knows nothing, where `saved` is something else.
        """
        self.reset()
        try:
            if saved["mode"] != self._settings.mode:
                return
            self._stamp = None if saved["stamp"] is None else float(saved["stamp"])
            self._line = _restored(RunningLine, saved["line"])
            self._curve = _restored(RunningCurve, saved["curve"])
            self._spline = None if self._curve is None else self._curve.curve()
            inliers, points, residual = saved["fit"]
            self._fit = (int(inliers), int(points), float(residual))
            self._candidate = _restored(RunningLine, saved["candidate"])
            self._candidates, self._candidate_stamp = saved["candidates"]
            self._refusal = str(saved["refusal"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            self.reset()
            raise ScaleError(
                f"this is not the saved state of a scale ({error!r}): remove it and save again"
            ) from error


def _restored(kind: type, values: dict | None) -> Any:
    """A RunningLine or RunningCurve of what `asdict` and JSON or YAML made of it."""
    if values is None:
        return None
    numbers = {
        name: tuple(map(float, value)) if isinstance(value, list | tuple) else float(value)
        for name, value in values.items()
    }
    return kind(**numbers)
