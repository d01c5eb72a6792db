"""Starts the node d3epth, with the shared-memory profile of Fast DDS unless the user has another.

    ros2 launch depth_distill_ros d3epth.launch.py image:=/camera/image_raw \\
        camera_info:=/camera/camera_info namespace:=front model:=d3epth-tiny device:=cpu
    ros2 launch depth_distill_ros d3epth.launch.py cameras:=front,rear \\
        scale:=reference reference:=/lidar/points rviz:=true

Topics of several cameras have other names than front/image, …: include this file in a group with
`SetRemap("front/image", "/front_camera/image_raw")`.
"""

import os
from pathlib import Path, PurePosixPath

from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.conditions import IfCondition
from launch.logging import get_logger
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node
from launch_ros.parameter_descriptions import ParameterValue

from depth_distill_ros.ros.dds import with_shared_memory_profile

# Beside launch/ in the source tree as in share/depth_distill_ros of an installation.
CONFIG = Path(__file__).resolve().parents[1] / "config"

ARGUMENTS = (
    ("image", "image", "Topic of the images; compressed ones are on TOPIC/compressed."),
    ("camera_info", "camera_info", "Topic of their camera_info."),
    (
        "cameras",
        "",
        "Several cameras by name, as in front,rear: topics are front/image, front/camera_info, …; "
        "image and camera_info do not apply.",
    ),
    ("namespace", "", "Namespace of the node and of its topics."),
    ("model", "", "Model name, folder or Hugging Face id; empty: as in the parameters file."),
    ("device", "", "auto, cpu, cuda or cuda:N; empty: as in the parameters file."),
    ("engine", "", "auto, torch or onnxruntime; empty: as in the parameters file."),
    ("transport", "", "raw or compressed; empty: as in the parameters file."),
    (
        "scale",
        "",
        "Where metres come from: none, fixed, camera_height or reference; empty: as in the "
        "parameters file.",
    ),
    (
        "reference",
        "",
        "Topic of metric depth for scale:=reference, for all cameras; of a depth image, the "
        "camera_info beside it.",
    ),
    (
        "reference_type",
        "",
        "points (PointCloud2), scan (LaserScan) or image (depth); empty: as in the parameters "
        "file.",
    ),
    (
        "temporal",
        "",
        "true: depth of an image from those before it as well, where the model can; false: each "
        "image by itself; empty: as in the parameters file.",
    ),
    (
        "autostart",
        "",
        "false: wait for `ros2 lifecycle set`; empty: as in the parameters file.",
    ),
    ("params_file", str(CONFIG / "d3epth.yaml"), "YAML file with the node's parameters."),
    ("rviz", "false", "true: show it in RViz; of several cameras the first."),
)

PARAMETERS = {
    "model": ("model", str),  # a text also where a folder is called 2024
    "device": ("device", str),
    "engine": ("engine", str),
    "transport": ("input.transport", str),
    "scale": ("scale.mode", str),
    "reference_type": ("reference.type", str),
    "temporal": ("temporal.enabled", bool),
    "autostart": ("autostart", bool),
}
"""Parameter and its type by argument."""


def make_nodes(context: LaunchContext) -> list[Node]:
    """The node with the arguments' values, and RViz where it is wanted."""
    values = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    cameras = [name.strip() for name in values["cameras"].split(",") if name.strip()]
    with_profile = with_shared_memory_profile(context.environment)
    added = {name: value for name, value in with_profile.items() if os.environ.get(name) != value}
    node = LifecycleNode(
        package="depth_distill_ros",
        executable="d3epth_node",
        name="d3epth",
        namespace=values["namespace"],
        parameters=[values["params_file"], *parameters(values, cameras)],
        remappings=remappings(values, cameras),
        additional_env=added,
        output="screen",
    )
    if not IfCondition(values["rviz"]).evaluate(context):
        return [node]
    if "rviz2" not in get_packages_with_prefixes():
        get_logger("d3epth").warning("there is no RViz: the package rviz2 is not installed")
        return [node]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace="/".join(filter(None, [values["namespace"], *cameras[:1]])),
        arguments=["-d", str(CONFIG / "d3epth.rviz")],
        remappings=[] if cameras else [("image", values["image"])],
        additional_env=added,
    )
    return [node, rviz]


def parameters(values: dict[str, str], cameras: list[str]) -> list[dict[str, ParameterValue]]:
    """Those that are given; empty arguments leave the parameters file's word."""
    named = {
        parameter: ParameterValue(LaunchConfiguration(argument), value_type=kind)
        for argument, (parameter, kind) in PARAMETERS.items()
        if values[argument]
    }
    if cameras:
        named["cameras"] = ParameterValue(cameras, value_type=list[str])
    return [named] if named else []


def remappings(values: dict[str, str], cameras: list[str]) -> list[tuple[str, str]]:
    """From the node's topics to the arguments' ones."""
    inputs = () if cameras else ("image", "camera_info")
    pairs = [(topic, values[topic]) for topic in inputs]
    if reference := values["reference"]:
        beside = str(PurePosixPath(reference).with_name("camera_info"))
        for prefix in [f"{name}/reference" for name in cameras] or ["reference"]:
            # All kinds to one topic: the node subscribes to that of reference.type only.
            pairs += [(f"{prefix}/{kind}", reference) for kind in ("points", "scan", "image")]
            pairs += [(f"{prefix}/camera_info", beside)]
    return pairs


def generate_launch_description() -> LaunchDescription:
    """Arguments first, then the nodes made of them."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_nodes)])
