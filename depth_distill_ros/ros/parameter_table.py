"""The table of the node's parameters: names, defaults, ranges, descriptions."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.settings import Settings

Change = Literal["live", "unconfigured", "start"]

CAMERA_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: what `ros2 param describe` says, and which values pass.

    `low` and `high` bound numbers. `change`: live, at any time; unconfigured, while the node is
    not configured; start, by the parameters it is started with only. A parameter that is
    `per_camera` may be given again for one of several cameras, as in `front.scale.mode`.
    """

    name: str
    description: str
    low: float = -math.inf
    high: float = math.inf
    change: Change = "live"
    per_camera: bool = True

    @property
    def field(self) -> str:
        return self.name.replace(".", "_")

    @property
    def default(self) -> Any:
        return getattr(Settings, self.field)

    def checked(self, value: Any) -> Any:
        """The value as its field's type; whole numbers pass for numbers. Raises ConfigError."""
        default = self.default
        if isinstance(default, tuple):
            return self._checked_list(value)
        if isinstance(default, str):
            if isinstance(value, str):
                return value
            raise ConfigError(f"{self.name} must be a text, got {value!r}: put it in quotes")
        if isinstance(default, bool):
            if isinstance(value, bool):
                return value
            raise ConfigError(f"{self.name} must be true or false, got {value!r}")
        kinds = (int,) if isinstance(default, int) else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            what = "whole number" if kinds == (int,) else "number"
            raise ConfigError(f"{self.name} must be a {what}, got {value!r}")
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ConfigError(
                f"{self.name} must be from {self.low:g} to {self.high:g}, got {value:g}"
            )
        return type(default)(value)

    def _checked_list(self, value: Any) -> tuple:
        if value is None or isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
            if value in (None, "", b""):  # an empty list has no type on its way through ROS
                return ()
            raise ConfigError(f"{self.name} must be a list, got {value!r}: put it in [ ]")
        items = tuple(item for item in value if item != "")
        if self.name == "cameras":
            for item in items:
                if not isinstance(item, str) or not CAMERA_NAME.match(item):
                    raise ConfigError(
                        f"cameras must be names of letters, digits and _, got {item!r}"
                    )
            return items
        if not all(isinstance(item, (int, float)) and math.isfinite(item) for item in items):
            raise ConfigError(f"{self.name} must be a list of numbers, got {list(items)}")
        return tuple(float(item) for item in items)


def _node(name: str, description: str, change: Change = "start", **more: Any) -> ParameterSpec:
    """A parameter of the whole node."""
    return ParameterSpec(name, description, change=change, per_camera=False, **more)


PARAMETERS: tuple[ParameterSpec, ...] = (
    _node(
        "model",
        "Bundled model, model folder, or owner/name@commit on the Hugging Face Hub. "
        "Empty: the bundled default model.",
        "unconfigured",
    ),
    _node(
        "device",
        "Where the model runs: auto (a CUDA GPU where there is one), cpu, cuda or cuda:N.",
        "unconfigured",
    ),
    _node(
        "engine",
        "What runs it: torch, onnxruntime (what `d3epth export` has made of this model), or auto: "
        "the latter where it is there and was found right, else torch.",
        "unconfigured",
    ),
    _node(
        "precision",
        "Of torch: float32, float16 or bfloat16. An exported engine has its own.",
        "unconfigured",
    ),
    _node("autostart", "Configure and activate at the start, without a lifecycle manager."),
    _node(
        "lazy",
        "Make only what somebody has subscribed to; false: everything, for every image.",
        "live",
    ),
    _node(
        "cameras",
        "Names of several cameras, each with its topics below NAME/; one model for all. "
        "Empty: one camera, with topics in the node's namespace.",
    ),
    _node(
        "batch.deadline",
        "Seconds that an image may wait for those of the other cameras, to be inferred together.",
        "unconfigured",
        low=0.0,
        high=1.0,
    ),
    _node("batch.max", "Images of one inference, at most.", "unconfigured", low=1, high=64),
    ParameterSpec(
        "input.transport",
        "raw: sensor_msgs/Image on `image`; compressed: CompressedImage (JPEG, PNG) on "
        "`image/compressed`.",
        change="unconfigured",
    ),
    ParameterSpec(
        "camera.fov",
        "Horizontal field of view in degrees, used while no camera_info has come; 0: never.",
        low=0.0,
        high=170.0,
    ),
    ParameterSpec(
        "rectify",
        "Undistort images by their camera_info before the inference; what goes out is rectified.",
    ),
    ParameterSpec(
        "temporal.enabled",
        "Depth of an image from those before it as well, where the model can: it flickers less.",
    ),
    ParameterSpec(
        "temporal.window",
        "Images that such a depth is made of, the newest among them; 0: the model's own number, "
        "which is also the largest.",
        low=0,
        high=1024,
        change="unconfigured",
    ),
    ParameterSpec(
        "relative.near",
        "Depth in metres that relative/points gives the nearest disparity, 1. "
        "For looking, not measuring; with relative.far, the shape that camera_height scales.",
        low=0.001,
        high=10_000.0,
    ),
    ParameterSpec(
        "relative.far",
        "Depth in metres that relative/points gives the farthest disparity, 0. "
        "For looking, not measuring.",
        low=0.001,
        high=10_000.0,
    ),
    ParameterSpec(
        "depth.output_size",
        "input: depth of the image's size; model: of the network's, which costs less.",
    ),
    ParameterSpec(
        "depth.encoding",
        "Of depth/image. 32FC1: metres, NaN invalid, +Inf beyond range; 16UC1: millimetres, "
        "0 for both.",
    ),
    ParameterSpec(
        "depth.min_range",
        "Depth in metres below which depth/image is -Inf: too close (REP 117).",
        low=0.0,
        high=10_000.0,
    ),
    ParameterSpec(
        "depth.max_range",
        "Depth in metres beyond which depth/image is +Inf: out of range, as the sky (REP 117).",
        low=0.001,
        high=100_000.0,
    ),
    ParameterSpec(
        "depth.edge_mask",
        "Make pixels on a jump of depth invalid in depth/image and in the clouds: between near "
        "and far they would hang in the air.",
    ),
    ParameterSpec(
        "depth.edge_threshold",
        "Jump between neighbouring pixels of the model, relative to their depth, that is an edge.",
        low=0.001,
        high=10.0,
    ),
    ParameterSpec(
        "cloud.decimation",
        "Every n-th row and column goes into the clouds.",
        low=1,
        high=64,
    ),
    ParameterSpec(
        "cloud.min_range",
        "Points nearer than this, in metres, are left out of `points`.",
        low=0.0,
        high=10_000.0,
    ),
    ParameterSpec(
        "cloud.max_range",
        "Points farther than this, in metres, are left out of `points`.",
        low=0.001,
        high=100_000.0,
    ),
    ParameterSpec("cloud.rate", "Clouds a second, at most; 0: one an image.", low=0.0, high=1000.0),
    ParameterSpec(
        "scale.mode",
        "Where metres come from. none: no metric depth; fixed: scale.scale and scale.shift; "
        "camera_height: the camera's height above the ground; reference: a metric sensor.",
    ),
    ParameterSpec(
        "scale.scale",
        "Scale of the disparity in 1/m, 1 / depth = scale * disparity + shift; must be set for "
        "scale.mode fixed.",
        low=0.0,
        high=100_000.0,
    ),
    ParameterSpec(
        "scale.shift",
        "Shift of the scaled disparity in 1/m: the inverse depth at disparity 0.",
        low=-1000.0,
        high=1000.0,
    ),
    ParameterSpec(
        "scale.spline",
        "Refine the fit of scale and shift by a monotonic curve, where the reference is dense.",
    ),
    ParameterSpec(
        "scale.min_inliers",
        "Measurements of a frame that must agree with a fit, at least.",
        low=3,
        high=1_000_000,
    ),
    ParameterSpec(
        "scale.min_inlier_ratio",
        "Share of a frame's measurements that must agree with a fit.",
        low=0.0,
        high=1.0,
    ),
    ParameterSpec(
        "scale.smoothing",
        "Time constant in seconds of the running filter over the fits; 0: each frame its own.",
        low=0.0,
        high=3600.0,
    ),
    ParameterSpec(
        "scale.timeout",
        "Seconds that the last good scale is held; after it there is no metric depth until a new "
        "fit.",
        low=0.0,
        high=86_400.0,
    ),
    ParameterSpec(
        "scale.file",
        "File of ~/save_scale; where it exists, the node begins with the scale in it.",
        change="unconfigured",
        per_camera=False,
    ),
    ParameterSpec(
        "camera_height.height",
        "Camera's height above the ground in metres; 0: from TF, above camera_height.ground_frame.",
        low=0.0,
        high=1000.0,
    ),
    ParameterSpec(
        "camera_height.ground_frame",
        "Frame whose x-y plane is the ground, for heights from TF.",
    ),
    ParameterSpec(
        "camera_height.max_tilt",
        "Angle in degrees between the ground's normal and the expected one, at most.",
        low=1.0,
        high=89.0,
    ),
    ParameterSpec(
        "reference.type",
        "points: PointCloud2 on reference/points; scan: LaserScan on reference/scan; image: depth "
        "image on reference/image.",
        change="unconfigured",
    ),
    ParameterSpec(
        "reference.max_age",
        "Seconds between an image and the reference that is used for it, at most.",
        low=0.0,
        high=10.0,
    ),
    ParameterSpec(
        "reference.transform",
        "Pose of the reference sensor in the camera's optical frame, x y z (metres) and "
        "quaternion x y z w. Empty: from TF.",
        change="unconfigured",
    ),
)
