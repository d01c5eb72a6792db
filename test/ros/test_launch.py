"""The launch file and the views: arguments, defaults, and topics that exist."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from depth_distill_ros.ros.pipeline import METRIC, RELATIVE

REPOSITORY = Path(__file__).resolve().parents[2]
LAUNCH_FILE = REPOSITORY / "launch" / "d3epth.launch.py"


def load_launch_file():
    spec = importlib.util.spec_from_file_location("d3epth_launch", LAUNCH_FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nodes(monkeypatch, tmp_path):
    """The node actions that the launch file makes for arguments."""
    pytest.importorskip("launch_ros")
    from launch import LaunchContext

    monkeypatch.chdir(tmp_path)
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        monkeypatch.delenv(name, raising=False)

    def make(environment=(), **arguments):
        module = load_launch_file()
        for name, value in environment:
            monkeypatch.setenv(name, value)
        context = LaunchContext()
        defaults = {name: default for name, default, _ in module.ARGUMENTS}
        context.launch_configurations.update({**defaults, **arguments})
        return module, context, module.make_node(context)

    return make


def test_the_description_declares_every_argument():
    pytest.importorskip("launch_ros")
    from launch.actions import DeclareLaunchArgument

    entities = load_launch_file().generate_launch_description().entities
    declared = {e.name for e in entities if isinstance(e, DeclareLaunchArgument)}
    assert declared == {"image", "camera_info", "namespace", "model", "device", "params_file"}


def test_the_profile_is_set_unless_the_user_has_one(nodes):
    _, context, (node,) = nodes()
    names = {"".join(s.perform(context) for s in name) for name, _ in node.additional_env}
    assert names == {"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"}
    _, _, (node,) = nodes(environment=[("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")])
    assert not node.additional_env


def test_the_default_parameters_file_is_shipped(nodes):
    module, _, _ = nodes()
    assert module.PARAMETERS_FILE.is_file()


def test_rviz_shows_topics_of_the_node():
    content = yaml.safe_load((REPOSITORY / "config" / "d3epth.rviz").read_text(encoding="utf-8"))
    displays = content["Visualization Manager"]["Displays"]
    shown = {d["Topic"]["Value"] for d in displays if "Topic" in d}
    assert shown == {"image", RELATIVE.image, RELATIVE.points, METRIC.points}
