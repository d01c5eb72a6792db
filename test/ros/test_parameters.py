"""Which parameters there are, which values are refused and why; the shipped file is one of them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import yaml

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.parameters import PARAMETERS, Settings, help_text, settings_from

CONFIG = Path(__file__).resolve().parents[2] / "config"


def test_defaults_are_usable_and_relative():
    assert settings_from({}) == Settings()
    assert not Settings().is_metric


def test_values_replace_those_of_the_base():
    base = settings_from({"relative.near": 1, "model": "folder"})
    changed = settings_from({"relative.far": 5.5, "use_sim_time": True}, base)
    assert changed == Settings(model="folder", near=1.0, far=5.5)
    assert isinstance(changed.near, float)


def test_fixed_scale_makes_it_metric():
    values = {"scale.mode": "fixed", "scale.scale": 2, "scale.shift": -0.1}
    assert settings_from(values) == Settings(scale_mode="fixed", scale=2.0, shift=-0.1)
    assert settings_from(values).is_metric


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"scale.mode": "auto"}, "none, fixed, not 'auto'"),
        ({"scale.mode": "fixed"}, "scale.scale is 0"),
        ({"scale.mode": "fixed", "scale.shift": 1.0}, "scale.scale is 0"),
        ({"scale.scale": -1.0}, "scale.scale must be from 0"),
        ({"scale.scale": math.nan}, "scale.scale must be from 0"),
        ({"scale.shift": math.inf}, "scale.shift must be from"),
        ({"relative.near": 0.0}, "relative.near must be from 0.001"),
        ({"relative.near": 10.0}, "less than relative.far"),
        ({"relative.far": 0.4}, "less than relative.far"),
        ({"relative.near": "close"}, "relative.near must be a number, got 'close'"),
        ({"relative.near": True}, "must be a number"),
        ({"relative.near": None}, "must be a number"),
        ({"model": 2024}, "model must be a text, got 2024: put it in quotes"),
        ({"device": None}, "device must be a text"),
    ],
)
def test_bad_values_are_refused_with_a_reason(values, what):
    with pytest.raises(ConfigError, match=what):
        settings_from(values)


def test_every_setting_is_a_parameter_with_a_description():
    assert {spec.field for spec in PARAMETERS} == {f.name for f in dataclasses.fields(Settings)}
    assert all(spec.name in help_text() and len(spec.description) > 30 for spec in PARAMETERS)


def test_what_cannot_change_is_not_live():
    assert {spec.name for spec in PARAMETERS if not spec.live} == {"model", "device"}


def test_the_shipped_file_states_every_parameter_with_its_default():
    content = yaml.safe_load((CONFIG / "d3epth.yaml").read_text(encoding="utf-8"))
    (parameters,) = (part["ros__parameters"] for part in content.values())
    flat = {}
    for name, value in parameters.items():
        entries = value.items() if isinstance(value, dict) else [(None, value)]
        flat.update({f"{name}.{key}" if key else name: entry for key, entry in entries})
    assert flat == {spec.name: spec.default for spec in PARAMETERS}
