"""The state of the scale as messages, of the classes of a bag reader."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from ros_messages import TYPES, header

from depth_distill_ros.geometry.scale_tracker import ScaleState
from depth_distill_ros.ros.scale_messages import (
    scale_level,
    scale_message,
    scale_text,
    scale_values,
)

DIAGNOSTICS = SimpleNamespace(
    diagnostic_array=TYPES["diagnostic_msgs/msg/DiagnosticArray"],
    diagnostic_status=TYPES["diagnostic_msgs/msg/DiagnosticStatus"],
    key_value=TYPES["diagnostic_msgs/msg/KeyValue"],
)
STATUS = DIAGNOSTICS.diagnostic_status
OK = ScaleState("reference", "ok", 1 / 3, -0.1, None, 120, 200, 0.0125, 0.04)
HELD = ScaleState("reference", "held", 2.0, 0.5, None, 120, 200, 0.01, 2.5, "too few points")
LOST = ScaleState("reference", "lost", 2.0, 0.5, age=7.0, reason="nothing was measured for 7.0 s")
NONE = ScaleState("reference", "none", age=float("inf"))
FIXED = ScaleState("fixed", "ok", 1.5, 0.25)


@pytest.mark.parametrize(
    ("state", "level"),
    [
        (OK, STATUS.OK),
        (FIXED, STATUS.OK),
        (NONE, STATUS.OK),
        (HELD, STATUS.WARN),
        (LOST, STATUS.ERROR),
    ],
)
def test_levels_are_those_of_diagnostics(state, level):
    assert scale_level(state) == bytes([level])


@pytest.mark.parametrize("state", [OK, HELD, LOST, NONE, FIXED])
def test_values_parse_back_to_the_same_numbers(state):
    values = scale_values(state)
    assert values.pop("status") == state.status
    for name, text in values.items():
        assert float(text) == getattr(state, name), name
    assert set(values) == {"scale", "shift", "inliers", "points", "residual", "age"}


def test_values_of_numpy_are_numbers_as_well():
    import numpy as np

    values = scale_values(ScaleState("fixed", "ok", np.float64(1.5), np.float32(0.25)))
    assert (values["scale"], values["shift"]) == ("1.5", "0.25")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (OK, "scale 0.333, shift -0.100 1/m (reference, 0.0 s old)"),
        (HELD, "scale 2.000, shift +0.500 1/m (reference, 2.5 s old)"),
        (FIXED, "scale 1.500, shift +0.250 1/m (fixed)"),
        (LOST, "scale lost: nothing was measured for 7.0 s"),
        (NONE, "scale none"),
    ],
)
def test_the_text_is_one_line(state, text):
    assert scale_text(state) == text


def test_the_message_has_one_status_and_the_images_header():
    stamp = header(7, 8, "optical")
    message = scale_message(HELD, stamp, "front: scale", DIAGNOSTICS)
    (status,) = message.status
    assert message.header == stamp
    assert (status.name, status.message) == ("front: scale", "too few points")
    assert status.level == bytes([STATUS.WARN])
    assert {pair.key: pair.value for pair in status.values} == scale_values(HELD)


def test_without_a_reason_the_message_is_the_text():
    (status,) = scale_message(OK, header(), "scale", DIAGNOSTICS).status
    assert status.message == scale_text(OK)


def test_the_marker_is_readable_before_the_camera():
    marker_type = pytest.importorskip("visualization_msgs.msg").Marker
    std_header = pytest.importorskip("std_msgs.msg").Header(frame_id="optical")
    from depth_distill_ros.ros.scale_messages import scale_marker

    good = scale_marker(OK, std_header, marker_type)
    bad = scale_marker(LOST, std_header, marker_type)
    assert good.type == marker_type.TEXT_VIEW_FACING and good.header.frame_id == "optical"
    assert good.text == scale_text(OK) and bad.text == scale_text(LOST)
    assert good.pose.position.z > 0 and good.scale.z > 0 and good.color.a == 1
    assert good.color.g == 1 > bad.color.g
