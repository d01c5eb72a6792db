"""Which parameters there are, which values are refused and why; the shipped file is one of them."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import pytest
import yaml

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.ros.parameter_table import PARAMETERS
from depth_distill_ros.ros.parameters import help_text, refuse_fixed, settings_from
from depth_distill_ros.ros.settings import Settings

CONFIG = Path(__file__).resolve().parents[2] / "config"


def test_defaults_are_usable_and_relative():
    assert settings_from({}).base == Settings()
    assert not Settings().is_metric


def test_values_replace_those_of_the_base():
    base = settings_from({"relative.near": 1, "model": "folder"})
    changed = settings_from({"relative.far": 5.5, "use_sim_time": True}, base).base
    assert changed == Settings(model="folder", relative_near=1.0, relative_far=5.5)
    assert isinstance(changed.relative_near, float)


def test_fixed_scale_makes_it_metric():
    values = {"scale.mode": "fixed", "scale.scale": 2, "scale.shift": -0.1}
    settings = settings_from(values).base
    assert settings == Settings(scale_mode="fixed", scale_scale=2.0, scale_shift=-0.1)
    assert settings.is_metric


def test_what_the_tracker_gets_has_the_parameters_values():
    values = {"scale.mode": "reference", "scale.timeout": 3, "camera_height.height": 1.5}
    scale = settings_from(values).base.scale_settings()
    assert (scale.mode, scale.timeout, scale.height) == ("reference", 3.0, 1.5)


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"scale.mode": "auto"}, "scale.mode must be one of none, fixed.*not 'auto'"),
        ({"scale.mode": "fixed"}, "scale.scale is 0"),
        ({"scale.mode": "fixed", "scale.shift": 1.0}, "scale.scale is 0"),
        ({"scale.scale": -1.0}, "scale.scale must be from 0"),
        ({"scale.scale": math.nan}, "scale.scale must be from 0"),
        ({"scale.shift": math.inf}, "scale.shift must be from"),
        ({"scale.min_inliers": 10.5}, "scale.min_inliers must be a whole number, got 10.5"),
        ({"scale.min_inliers": 1}, "scale.min_inliers must be from 3"),
        ({"relative.near": 0.0}, "relative.near must be from 0.001"),
        ({"relative.near": 10.0}, "less than relative.far"),
        ({"relative.far": 0.4}, "less than relative.far"),
        ({"relative.near": "close"}, "relative.near must be a number, got 'close'"),
        ({"relative.near": True}, "must be a number"),
        ({"relative.near": None}, "must be a number"),
        ({"depth.min_range": 200.0}, "depth.min_range must be less than depth.max_range"),
        ({"depth.encoding": "16SC1"}, "depth.encoding must be one of 32FC1, 16UC1"),
        ({"model": 2024}, "model must be a text, got 2024: put it in quotes"),
        ({"device": None}, "device must be a text"),
        ({"rectify": 1}, "rectify must be true or false, got 1"),
        ({"cameras": "front"}, "cameras must be a list, got 'front'"),
        ({"cameras": ["front/left"]}, "letters, digits and _, got 'front/left'"),
        ({"cameras": ["front", "front"]}, "cameras names one twice"),
        ({"reference.transform": [1.0, 2.0]}, "must be 7 numbers.*it has 2"),
        ({"reference.transform": [math.nan] * 7}, "must be a list of numbers"),
    ],
)
def test_bad_values_are_refused_with_a_reason(values, what):
    with pytest.raises(ConfigError, match=what):
        settings_from(values)


@pytest.mark.parametrize("nothing", [None, [], [""], ""])
def test_empty_lists_are_what_ros_makes_of_them(nothing):
    values = {"cameras": nothing, "reference.transform": nothing}
    assert settings_from(values).base == Settings()


def test_a_camera_may_have_parameters_of_its_own():
    values = {
        "cameras": ["front", "rear"],
        "scale.mode": "fixed",
        "scale.scale": 2.0,
        "rear.scale.scale": 3,
        "left.scale.scale": 4.0,
    }
    settings = settings_from(values)
    assert settings.of("front") == settings.base
    assert settings.of("rear") == dataclasses.replace(settings.base, scale_scale=3.0)
    later = settings_from({"relative.far": 20.0}, settings)
    assert later.of("rear").relative_far == 20.0 and later.of("rear").scale_scale == 3.0


def test_a_cameras_own_values_are_checked_together_with_the_others():
    values = {"cameras": ["rear"], "rear.scale.mode": "fixed"}
    with pytest.raises(ConfigError, match="camera rear: scale.mode is fixed, but scale.scale"):
        settings_from(values)


def test_what_belongs_to_the_node_is_no_cameras_own():
    assert settings_from({"cameras": ["rear"], "rear.model": "other"}).of("rear").model == ""


def test_what_is_fixed_once_configured_may_only_be_set_to_what_it_is():
    current = settings_from({"model": "here"})
    refuse_fixed({"model": "here", "relative.far": 20.0}, current)
    with pytest.raises(ConfigError, match="model can be set while the node is unconfigured"):
        refuse_fixed({"model": "there"}, current)


def test_every_setting_is_a_parameter_with_a_description():
    assert {spec.field for spec in PARAMETERS} == {f.name for f in dataclasses.fields(Settings)}
    assert all(spec.name in help_text() and len(spec.description) > 25 for spec in PARAMETERS)


def test_what_cannot_change_while_it_runs():
    fixed = {spec.name: spec.change for spec in PARAMETERS if spec.change != "live"}
    assert fixed.pop("autostart") == fixed.pop("cameras") == "start"
    assert set(fixed.values()) == {"unconfigured"}
    assert {"model", "device", "input.transport", "reference.type"} <= set(fixed)


def flat(parameters: dict, prefix: str = "") -> dict:
    found = {}
    for name, value in parameters.items():
        if isinstance(value, dict):
            found.update(flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def test_the_shipped_file_states_every_parameter_with_its_default():
    content = yaml.safe_load((CONFIG / "d3epth.yaml").read_text(encoding="utf-8"))
    (parameters,) = (part["ros__parameters"] for part in content.values())
    stated = flat(parameters)
    assert stated == {
        spec.name: list(spec.default) if spec.default == () else spec.default for spec in PARAMETERS
    }
    assert settings_from(stated).base == Settings()
