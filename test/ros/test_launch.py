"""The launch files and the views: arguments, parameters, and topics that exist."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
import yaml

from depth_distill_ros.ros.parameters import PARAMETERS
from depth_distill_ros.ros.topics import COLOR, METRIC, RELATIVE, SCALE, SCALE_TEXT

REPOSITORY = Path(__file__).resolve().parents[2]
PROFILES = {"FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"}


def load(name: str):
    """A launch file as a module."""
    path = REPOSITORY / "launch" / f"{name}.launch.py"
    spec = importlib.util.spec_from_file_location(f"{name}_launch", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def context(monkeypatch, tmp_path):
    """A launch context in which no DDS profile has been chosen."""
    pytest.importorskip("launch_ros", reason="launch_ros is not in the wheels")
    from launch import LaunchContext

    monkeypatch.chdir(tmp_path)
    for name in PROFILES:
        monkeypatch.delenv(name, raising=False)
    return LaunchContext()


@pytest.fixture
def launch_file(context):
    """d3epth.launch.py, and the context that has the defaults of its arguments."""
    module = load("d3epth")
    context.launch_configurations.update({name: value for name, value, _ in module.ARGUMENTS})
    return module


def remappings(launch_file, cameras=(), **arguments: str) -> dict[str, str]:
    defaults = {name: value for name, value, _ in launch_file.ARGUMENTS}
    return dict(launch_file.remappings({**defaults, **arguments}, list(cameras)))


def parameters(launch_file, context, cameras=(), **arguments: str) -> dict:
    """The values of the parameters that the node gets beside the file."""
    context.launch_configurations.update(arguments)
    named = launch_file.parameters(dict(context.launch_configurations), list(cameras))
    return {name: value.evaluate(context) for each in named for name, value in each.items()}


@pytest.mark.parametrize("name", ["d3epth", "replay"])
def test_the_description_declares_and_describes_every_argument(context, name):
    module = load(name)
    declared = {
        action.name: action
        for action in module.generate_launch_description().get_launch_arguments()
    }
    own = {argument for argument, _, _ in module.ARGUMENTS}
    assert own <= set(declared)
    assert all(action.description for action in declared.values())
    of_the_node = {argument for argument, _, _ in load("d3epth").ARGUMENTS}
    assert set(declared) == own | of_the_node


def test_the_profile_is_set_unless_the_user_has_one(launch_file, context, monkeypatch):
    (node,) = launch_file.make_nodes(context)
    names = {"".join(s.perform(context) for s in name) for name, _ in node.additional_env}
    assert names == PROFILES
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "mine.xml")
    (node,) = launch_file.make_nodes(context)
    assert not node.additional_env


def test_the_default_parameters_file_is_shipped(launch_file, context):
    assert Path(context.launch_configurations["params_file"]).is_file()


def test_empty_arguments_leave_the_parameters_files_word(launch_file, context):
    assert parameters(launch_file, context) == {}


def test_arguments_are_parameters_of_the_node(launch_file, context):
    arguments = {
        "model": "2024",  # a folder's name, and not a number
        "device": "cuda:0",
        "transport": "compressed",
        "scale": "reference",
        "reference_type": "scan",
        "temporal": "false",
        "autostart": "false",
    }
    values = parameters(launch_file, context, cameras=["front", "on"], **arguments)
    assert values == {
        "model": "2024",
        "device": "cuda:0",
        "input.transport": "compressed",
        "scale.mode": "reference",
        "reference.type": "scan",
        "temporal.enabled": False,
        "autostart": False,
        "cameras": ["front", "on"],
    }
    assert set(values) <= {spec.name for spec in PARAMETERS}


def test_the_inputs_are_remapped_for_one_camera_only(launch_file):
    topics = {"image": "/camera/image_raw", "camera_info": "/camera/camera_info"}
    assert remappings(launch_file, **topics) == topics
    assert remappings(launch_file, cameras=["front"], **topics) == {}


@pytest.mark.parametrize(
    ("reference", "beside"),
    [("/lidar/depth/image", "/lidar/depth/camera_info"), ("depth", "camera_info")],
)
def test_the_reference_serves_every_camera_with_its_camera_info(launch_file, reference, beside):
    for cameras in ([], ["front", "rear"]):
        mapped = remappings(launch_file, cameras=cameras, reference=reference)
        for prefix in [f"{name}/reference" for name in cameras] or ["reference"]:
            for kind in ("points", "scan", "image"):
                assert mapped[f"{prefix}/{kind}"] == reference
            assert mapped[f"{prefix}/camera_info"] == beside


def test_rviz_shows_topics_of_the_node():
    content = yaml.safe_load((REPOSITORY / "config" / "d3epth.rviz").read_text(encoding="utf-8"))
    displays = content["Visualization Manager"]["Displays"]
    shown = {display["Topic"]["Value"] for display in displays if "Topic" in display}
    assert shown <= {"image", *RELATIVE, *METRIC, COLOR, SCALE, SCALE_TEXT}
    assert {"image", RELATIVE.points, METRIC.points} <= shown
