"""The state of the scale as messages: values for programs, a line of text for RViz."""

from __future__ import annotations

import math
from typing import Any

from depth_distill_ros.geometry.scale_tracker import ScaleState

TEXT_DISTANCE = 1.0
"""Metres in front of the camera at which RViz shows the text."""

_OK, _WARN, _ERROR = 0, 1, 2  # diagnostic_msgs/DiagnosticStatus
_LEVELS = {"none": _OK, "ok": _OK, "held": _WARN, "lost": _ERROR}


def scale_level(state: ScaleState) -> bytes:
    """The level of a diagnostic_msgs/DiagnosticStatus: held is a warning, lost an error."""
    return bytes([_LEVELS[state.status]])


def scale_values(state: ScaleState) -> dict[str, str]:
    """What is known about the scale, by name; numbers in full, for plots."""
    return {
        "status": state.status,
        "scale": repr(float(state.scale)),
        "shift": repr(float(state.shift)),
        "inliers": str(state.inliers),
        "points": str(state.points),
        "residual": repr(float(state.residual)),
        "age": repr(float(state.age)),
    }


def scale_text(state: ScaleState) -> str:
    """One line for people."""
    if not state.is_metric:
        return f"scale {state.status}" + (f": {state.reason}" if state.reason else "")
    age = f", {state.age:.1f} s old" if state.age > 0 and math.isfinite(state.age) else ""
    return f"scale {state.scale:.3f}, shift {state.shift:+.3f} 1/m ({state.mode}{age})"


def scale_message(state: ScaleState, header: Any, name: str, types: Any) -> Any:
    """A diagnostic_msgs/DiagnosticArray with one status, stamped as the image."""
    values = [types.key_value(key=key, value=value) for key, value in scale_values(state).items()]
    status = types.diagnostic_status(
        level=scale_level(state),
        name=name,
        message=state.reason or scale_text(state),
        hardware_id="",
        values=values,
    )
    return types.diagnostic_array(header=header, status=[status])


def scale_marker(state: ScaleState, header: Any, marker_type: type) -> Any:
    """A visualization_msgs/Marker with `scale_text`, in front of the camera, facing the viewer."""
    marker = marker_type(
        header=header,
        ns="scale",
        type=marker_type.TEXT_VIEW_FACING,
        action=marker_type.ADD,
        text=scale_text(state),
    )
    marker.pose.position.z = TEXT_DISTANCE
    marker.pose.position.y = -0.5 * TEXT_DISTANCE  # above the middle: y is down
    marker.pose.orientation.w = 1.0
    marker.scale.z = 0.06 * TEXT_DISTANCE
    shade = 1.0 if state.is_metric else 0.3
    marker.color.r, marker.color.g, marker.color.b, marker.color.a = 1.0, shade, shade, 1.0
    return marker
