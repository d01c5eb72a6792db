"""What a scale tracker is told, and what it tells: the settings and the scale of one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from depth_distill_ros.errors import ConfigError, ScaleError
from depth_distill_ros.geometry.scale import depth_from_inverse, metric_inverse_depth
from depth_distill_ros.geometry.scale_curve import Curve, curved

MODES = ("none", "fixed", "camera_height", "reference")


@dataclass(frozen=True)
class ScaleSettings:
    """Where metres come from, and what is asked of the measurements.

    Attributes:
        mode: "none"; "fixed": `scale` and `shift`; "camera_height": by the ground; "reference":
            by measured depth.
        scale, shift: for "fixed", in 1/m.
        near, far: metres of disparity 1 and 0 in the cloud whose ground is looked for.
        spline: whether a monotonic curve refines the line of scale and shift; "reference" only.
        min_inliers, min_inlier_ratio: what a fit to measured depth must have.
        smoothing: time constant of the running filter in seconds; 0: each image has its own scale.
        timeout: seconds that a scale is held without new measurements.
        height: of the camera above the ground in metres, for "camera_height"; 0 where each
            observation brings its own.
        max_tilt: degrees between the ground's normal and the expected one, at most.

    Raises ConfigError for values that cannot work.
    """

    mode: str = "none"
    scale: float = 0.0
    shift: float = 0.0
    near: float = 0.5
    far: float = 10.0
    spline: bool = False
    min_inliers: int = 10
    min_inlier_ratio: float = 0.25
    smoothing: float = 1.0
    timeout: float = 5.0
    height: float = 0.0
    max_tilt: float = 30.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ConfigError(f"scale.mode must be one of {', '.join(MODES)}, not '{self.mode}'")
        if self.mode == "fixed" and not 0 < self.scale < math.inf:
            raise ConfigError(f"scale.scale must be positive for mode fixed, got {self.scale}")
        if self.mode == "camera_height" and not 0 < self.near < self.far:
            raise ConfigError(f"near must be below far, got near={self.near}, far={self.far}")
        if not (self.smoothing >= 0 and self.timeout >= 0):
            raise ConfigError(
                "scale.smoothing and scale.timeout must be seconds, 0 or more, "
                f"got {self.smoothing} and {self.timeout}"
            )


@dataclass(frozen=True)
class ScaleState:
    """The scale that holds at one moment: 1 / depth = scale * disparity + shift, then the spline.

    Attributes:
        status: "none": there never was one; "ok"; "held": there was, and what was measured last
            was refused or is a second old; "lost": held for longer than the timeout.
        scale, shift: in 1/m; of "none" and "lost" not to be used.
        spline: inverse depths in 1/m and what becomes of them, or None.
        inliers, points, residual: of the last accepted fit, as in `ScaleFit`.
        age: seconds since it; 0 for "fixed", infinite for "none".
        reason: why the last measurement was refused, or that there is none; "" for "ok".
    """

    mode: str
    status: str
    scale: float = 0.0
    shift: float = 0.0
    spline: Curve | None = None
    inliers: int = 0
    points: int = 0
    residual: float = 0.0
    age: float = 0.0
    reason: str = ""

    @property
    def is_metric(self) -> bool:
        """Whether there is a scale to use."""
        return self.status in ("ok", "held")

    def inverse_depth(self, disparity: np.ndarray) -> np.ndarray:
        """Inverse depth in 1/m, float32 (h, w), of disparity (h, w); NaN kept, <= 0 beyond range.

        Raises ScaleError where there is no scale.
        """
        if not self.is_metric:
            raise ScaleError(f"there is no depth in metres, the scale is '{self.status}'")
        inverse = metric_inverse_depth(disparity, self.scale, self.shift)
        return inverse if self.spline is None else curved(inverse, self.spline)

    def depth(self, disparity: np.ndarray) -> np.ndarray:
        """Planar depth in metres, float32 (h, w); NaN kept, +inf where nothing is that far.

        Raises ScaleError where there is no scale.
        """
        inverse = self.inverse_depth(disparity)
        return depth_from_inverse(inverse, out=inverse)
