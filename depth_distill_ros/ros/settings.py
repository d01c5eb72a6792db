"""The values of the node's parameters: frozen, checked as a whole, replaced as a whole.

A parameter's field has its name with dots as underscores: `scale.mode` is `scale_mode`.
"""

from __future__ import annotations

from dataclasses import dataclass

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.geometry.scale_tracker import ScaleSettings
from depth_distill_ros.inference.choice import ENGINES, PRECISIONS

CHOICES = {
    "engine": ENGINES,
    "precision": PRECISIONS,
    "input_transport": ("raw", "compressed"),
    "depth_output_size": ("input", "model"),
    "depth_encoding": ("32FC1", "16UC1"),
    "scale_mode": ("none", "fixed", "camera_height", "reference"),
    "reference_type": ("points", "scan", "image"),
}
"""The words that a field may have."""


@dataclass(frozen=True)
class Settings:
    """The values that hold for one camera; `parameters.py` describes each.

    Raises ConfigError where values cannot work together.
    """

    model: str = ""
    device: str = "auto"
    engine: str = "auto"
    precision: str = "float32"
    autostart: bool = True
    lazy: bool = True
    cameras: tuple[str, ...] = ()
    batch_deadline: float = 0.01
    batch_max: int = 8
    input_transport: str = "raw"
    camera_fov: float = 0.0
    rectify: bool = False
    temporal_enabled: bool = True
    temporal_window: int = 0
    relative_near: float = 0.5
    relative_far: float = 10.0
    depth_output_size: str = "input"
    depth_encoding: str = "32FC1"
    depth_min_range: float = 0.0
    depth_max_range: float = 100.0
    depth_edge_mask: bool = True
    depth_edge_threshold: float = 0.1
    cloud_decimation: int = 1
    cloud_min_range: float = 0.0
    cloud_max_range: float = 100.0
    cloud_rate: float = 0.0
    scale_mode: str = "none"
    scale_scale: float = 0.0
    scale_shift: float = 0.0
    scale_spline: bool = False
    scale_min_inliers: int = 10
    scale_min_inlier_ratio: float = 0.25
    scale_smoothing: float = 1.0
    scale_timeout: float = 5.0
    scale_file: str = ""
    camera_height_height: float = 0.0
    camera_height_ground_frame: str = "base_footprint"
    camera_height_max_tilt: float = 30.0
    reference_type: str = "points"
    reference_max_age: float = 0.1
    reference_transform: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for field, words in CHOICES.items():
            if getattr(self, field) not in words:
                name = field.replace("_", ".", 1)
                value = getattr(self, field)
                raise ConfigError(f"{name} must be one of {', '.join(words)}, not '{value}'")
        for group in ("relative", "depth", "cloud"):
            self._check_range(group)
        if self.scale_mode == "fixed" and self.scale_scale <= 0:
            raise ConfigError(
                "scale.mode is fixed, but scale.scale is 0: set scale.scale (and scale.shift) "
                "to the values of your scene first, or all at once"
            )
        if len(self.reference_transform) not in (0, 7):
            raise ConfigError(
                "reference.transform must be 7 numbers, x y z in metres and a quaternion "
                f"x y z w, or empty for TF; it has {len(self.reference_transform)}"
            )
        if len(set(self.cameras)) < len(self.cameras):
            raise ConfigError(f"cameras names one twice: {', '.join(self.cameras)}")

    def _check_range(self, group: str) -> None:
        ends = ("near", "far") if group == "relative" else ("min_range", "max_range")
        low, high = (getattr(self, f"{group}_{end}") for end in ends)
        if not low < high:
            raise ConfigError(
                f"{group}.{ends[0]} must be less than {group}.{ends[1]}, got {low:g} and "
                f"{high:g} m: set the other one first, or both at once"
            )

    @property
    def is_metric(self) -> bool:
        """Whether depth in metres is asked for."""
        return self.scale_mode != "none"

    def scale_settings(self) -> ScaleSettings:
        """What the scale tracker has to know."""
        return ScaleSettings(
            mode=self.scale_mode,
            scale=self.scale_scale,
            shift=self.scale_shift,
            near=self.relative_near,
            far=self.relative_far,
            spline=self.scale_spline,
            min_inliers=self.scale_min_inliers,
            min_inlier_ratio=self.scale_min_inlier_ratio,
            smoothing=self.scale_smoothing,
            timeout=self.scale_timeout,
            height=self.camera_height_height,
            max_tilt=self.camera_height_max_tilt,
        )
