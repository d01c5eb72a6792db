"""The node's parameters: declared on the node, told apart by camera, turned into `Settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.parameter_table import PARAMETERS, ParameterSpec
from depth_distill_ros.ros.settings import CHOICES, Settings

_BY_NAME = {spec.name: spec for spec in PARAMETERS}


def find(name: str, cameras: tuple[str, ...]) -> tuple[ParameterSpec | None, str | None]:
    """The parameter that a name is, and the camera whose own it is; None for what there is not."""
    if name in _BY_NAME:
        return _BY_NAME[name], None
    camera, _, rest = name.partition(".")
    spec = _BY_NAME.get(rest)
    if camera in cameras and spec is not None and spec.per_camera:
        return spec, camera
    return None, None


@dataclass(frozen=True)
class NodeSettings:
    """The settings of all cameras: `base`, and those of cameras that have parameters of their own.

    `own` are the changed fields by camera.
    """

    base: Settings
    own: Mapping[str, Mapping[str, Any]]

    def of(self, camera: str) -> Settings:
        """The settings of one camera."""
        return self._by_camera.get(camera, self.base)

    def __post_init__(self) -> None:
        by_camera = {}
        for camera, fields in self.own.items():
            try:
                by_camera[camera] = Settings(**{**vars(self.base), **fields})
            except ConfigError as error:
                raise ConfigError(f"camera {camera}: {error}") from error
        object.__setattr__(self, "_by_camera", by_camera)


def settings_from(values: Mapping[str, Any], current: NodeSettings | None = None) -> NodeSettings:
    """`current` (the defaults) with the values of the named parameters; other names are ignored.

    Raises ConfigError where a value has another type, is out of range, or cannot work with the
    other values.
    """
    current = current or NodeSettings(Settings(), {})
    fields = dict(vars(current.base))
    own = {camera: dict(changed) for camera, changed in current.own.items()}
    cameras = current.base.cameras
    if "cameras" in values:
        cameras = fields["cameras"] = _BY_NAME["cameras"].checked(values["cameras"])
    for name, value in values.items():
        spec, camera = find(name, cameras)
        if spec is None:
            continue
        target = fields if camera is None else own.setdefault(camera, {})
        target[spec.field] = spec.checked(value)
    return NodeSettings(Settings(**fields), own)


def refuse_fixed(values: Mapping[str, Any], current: NodeSettings) -> None:
    """Raises ConfigError for a change of what cannot be changed once the node is configured."""
    for name, value in values.items():
        spec, camera = find(name, current.base.cameras)
        if spec is not None and spec.change == "unconfigured":
            if spec.checked(value) != getattr(current.of(camera or ""), spec.field):
                raise ConfigError(
                    f"{name} can be set while the node is unconfigured: deactivate and clean it up "
                    "first (ros2 lifecycle set NODE deactivate; … cleanup)"
                )


def declare(node: Any) -> NodeSettings:
    """Declares the parameters on an rclpy node and returns the settings it was started with.

    Types are checked here and not by rclpy, which would refuse `scale.scale:=2` for want of a
    decimal point. Parameters of one camera exist where the node is started with them. Raises
    ConfigError as `settings_from`.
    """
    for spec in PARAMETERS:
        default = None if spec.default == () else spec.default
        node.declare_parameter(spec.name, default, _descriptor(spec))
    values = {spec.name: node.get_parameter(spec.name).value for spec in PARAMETERS}
    cameras = _BY_NAME["cameras"].checked(values["cameras"])
    for name in getattr(node, "_parameter_overrides", {}):
        spec, camera = find(name, cameras)
        if camera is not None:
            node.declare_parameter(name, spec.default, _descriptor(spec))
            values[name] = node.get_parameter(name).value
    return settings_from(values)


def _descriptor(spec: ParameterSpec) -> Any:
    from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

    descriptor = ParameterDescriptor(
        description=spec.description, read_only=spec.change == "start", dynamic_typing=True
    )
    if type(spec.default) is float:
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=spec.low, to_value=spec.high, step=0.0)
        ]
    elif type(spec.default) is int:
        descriptor.integer_range = [
            IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)
        ]
    notes = []
    if spec.field in CHOICES:
        notes.append(f"one of: {', '.join(CHOICES[spec.field])}")
    if spec.change == "unconfigured":
        notes.append("can be set while the node is unconfigured")
    descriptor.additional_constraints = "; ".join(notes)
    return descriptor


def help_text() -> str:
    """One line a parameter: name, default, description."""
    width = max(len(spec.name) for spec in PARAMETERS)
    return "\n".join(
        f"  {spec.name:<{width}}  {spec.description} (default: {_shown(spec.default)})"
        for spec in PARAMETERS
    )


def _shown(default: Any) -> str:
    return (
        {True: "true", False: "false"}[default]
        if isinstance(default, bool)
        else ("[]" if default == () else repr(default))
    )
