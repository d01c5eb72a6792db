"""The node's parameters: names, defaults, ranges, and which values can work together.

`Settings` is what the rest of the node sees: frozen, checked as a whole, replaced as a whole when
a parameter is set while the node runs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from depth_distill_ros.errors import ConfigError

SCALE_MODES = ("none", "fixed")


@dataclass(frozen=True)
class Settings:
    """The values of all parameters.

    Attributes:
        model: a bundled model's name, a folder, or a Hugging Face id; "" is the bundled default.
        device: "auto", "cpu", "cuda" or "cuda:N".
        near, far: range of the relative cloud in metres.
        scale_mode: "none", or "fixed": 1 / depth = scale * disparity + shift.
        scale: in 1/m per unit of disparity; 0 while it is not known.
        shift: in 1/m.
    """

    model: str = ""
    device: str = "auto"
    near: float = 0.5
    far: float = 10.0
    scale_mode: str = "none"
    scale: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        if self.scale_mode not in SCALE_MODES:
            raise ConfigError(
                f"scale.mode must be one of {', '.join(SCALE_MODES)}, not '{self.scale_mode}'"
            )
        if not self.near < self.far:
            raise ConfigError(
                f"relative.near must be less than relative.far, got {self.near:g} and "
                f"{self.far:g} m: set the other one first, or both at once"
            )
        if self.is_metric and self.scale <= 0:
            raise ConfigError(
                "scale.mode is fixed, but scale.scale is 0: set scale.scale (and scale.shift) "
                "to the values of your scene first, or all at once"
            )

    @property
    def is_metric(self) -> bool:
        """Whether depth in metres can be published."""
        return self.scale_mode == "fixed"


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: the field of `Settings` it sets, and what `ros2 param describe` says.

    `low` and `high` bound numbers; a parameter that is not `live` is read when the node starts.
    """

    name: str
    field: str
    description: str
    live: bool = True
    low: float = -math.inf
    high: float = math.inf

    @property
    def default(self) -> str | float:
        return getattr(Settings, self.field)

    def checked(self, value: Any) -> str | float:
        """The value as its field's type; whole numbers pass for numbers. Raises ConfigError."""
        if isinstance(self.default, str):
            if isinstance(value, str):
                return value
            raise ConfigError(f"{self.name} must be a text, got {value!r}: put it in quotes")
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigError(f"{self.name} must be a number, got {value!r}")
        if not self.low <= value <= self.high:  # also refuses NaN
            raise ConfigError(
                f"{self.name} must be from {self.low:g} to {self.high:g}, got {value:g}"
            )
        return float(value)


PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        "model",
        "model",
        "Bundled model, model folder, or owner/name@commit on the Hugging Face Hub. "
        "Empty: the bundled default model.",
        live=False,
    ),
    ParameterSpec(
        "device",
        "device",
        "Where the model runs: auto (a CUDA GPU where there is one), cpu, cuda or cuda:N.",
        live=False,
    ),
    ParameterSpec(
        "relative.near",
        "near",
        "Depth in metres that relative/points gives the nearest disparity, 1. "
        "For looking, not measuring.",
        low=0.001,
        high=10_000.0,
    ),
    ParameterSpec(
        "relative.far",
        "far",
        "Depth in metres that relative/points gives the farthest disparity, 0. "
        "For looking, not measuring.",
        low=0.001,
        high=10_000.0,
    ),
    ParameterSpec(
        "scale.mode",
        "scale_mode",
        "none: no depth in metres. fixed: 1 / depth = scale.scale * disparity + scale.shift, "
        "published on depth/image and points.",
    ),
    ParameterSpec(
        "scale.scale",
        "scale",
        "Scale of the disparity in 1/m; must be set for scale.mode fixed.",
        low=0.0,
        high=100_000.0,
    ),
    ParameterSpec(
        "scale.shift",
        "shift",
        "Shift of the scaled disparity in 1/m: the inverse depth at disparity 0.",
        low=-1000.0,
        high=1000.0,
    ),
)
_BY_NAME = {spec.name: spec for spec in PARAMETERS}


def settings_from(values: Mapping[str, Any], base: Settings | None = None) -> Settings:
    """`base` (the defaults) with the values of the named parameters; other names are ignored.

    Raises ConfigError where a value has another type, is out of range, or cannot work with the
    other values.
    """
    fields = dict(vars(base or Settings()))
    for name, value in values.items():
        if name in _BY_NAME:
            fields[_BY_NAME[name].field] = _BY_NAME[name].checked(value)
    return Settings(**fields)


def declare(node: Any) -> Settings:
    """Declares the parameters on an rclpy node and returns the settings it was started with.

    Types are checked here and not by rclpy, which would refuse `scale.scale:=2` for want of a
    decimal point. Raises ConfigError as `settings_from`.
    """
    for spec in PARAMETERS:
        node.declare_parameter(spec.name, spec.default, _descriptor(spec))
    return settings_from({spec.name: node.get_parameter(spec.name).value for spec in PARAMETERS})


def _descriptor(spec: ParameterSpec) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=spec.description, read_only=not spec.live, dynamic_typing=True
    )
    if isinstance(spec.default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=spec.low, to_value=spec.high, step=0.0)
        ]
    if spec.field == "scale_mode":
        descriptor.additional_constraints = f"one of: {', '.join(SCALE_MODES)}"
    return descriptor


def help_text() -> str:
    """One line a parameter: name, default, description."""
    width = max(len(spec.name) for spec in PARAMETERS)
    return "\n".join(
        f"  {spec.name:<{width}}  {spec.description} (default: {spec.default!r})"
        for spec in PARAMETERS
    )
