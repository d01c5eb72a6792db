"""Starts the node d3epth, with the shared-memory profile of Fast DDS unless the user has another.

    ros2 launch depth_distill_ros d3epth.launch.py image:=/camera/image_raw \\
        camera_info:=/camera/camera_info namespace:=front model:=d3epth-tiny device:=cpu
"""

import os
from pathlib import Path

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue

from depth_distill_ros.ros.dds import with_shared_memory_profile

# Beside launch/ in the source tree as in share/depth_distill_ros of an installation.
PARAMETERS_FILE = Path(__file__).resolve().parents[1] / "config" / "d3epth.yaml"

ARGUMENTS = (
    ("image", "image", "Topic of the images (sensor_msgs/Image)."),
    ("camera_info", "camera_info", "Topic of their camera_info."),
    ("namespace", "", "Namespace of the node and of its output topics."),
    ("model", "", "Model name, folder or Hugging Face id; empty: as in the parameters file."),
    ("device", "", "auto, cpu, cuda or cuda:N; empty: as in the parameters file."),
    ("params_file", str(PARAMETERS_FILE), "YAML file with the node's parameters."),
)


def make_node(context: LaunchContext) -> list[Node]:
    """The node with the arguments' values; empty ones leave the parameters file's word."""
    values = {name: LaunchConfiguration(name).perform(context) for name, _, _ in ARGUMENTS}
    named = {
        name: ParameterValue(values[name], value_type=str)  # a folder may be called 2024
        for name in ("model", "device")
        if values[name]
    }
    with_profile = with_shared_memory_profile(context.environment)
    added = {name: value for name, value in with_profile.items() if os.environ.get(name) != value}
    return [
        Node(
            package="depth_distill_ros",
            executable="d3epth_node",
            name="d3epth",
            namespace=values["namespace"],
            parameters=[values["params_file"], *([named] if named else [])],
            remappings=[(topic, values[topic]) for topic in ("image", "camera_info")],
            additional_env=added,
            output="screen",
        )
    ]


def generate_launch_description() -> LaunchDescription:
    """Arguments first, then the node made of them."""
    arguments = [
        DeclareLaunchArgument(name, default_value=default, description=description)
        for name, default, description in ARGUMENTS
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=make_node)])
