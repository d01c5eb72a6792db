"""Plays a bag through the node d3epth: what it makes of a recording, to look at and in numbers.

    ros2 launch depth_distill_ros replay.launch.py bag:=recording \\
        image:=/camera/image_raw camera_info:=/camera/camera_info depth:=/camera/depth/image_raw

Takes the arguments of d3epth.launch.py too. The bag begins when the node is active, and with its
end all ends, unless it loops. `ros2 bag play` plays it, or where that is not installed
`depth_distill_ros.ros.bag_player`; either way the nodes live in the time of the recording.
"""

import os
from pathlib import Path, PurePosixPath

from ament_index_python.packages import get_packages_with_prefixes
from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    SetEnvironmentVariable,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events.process import ProcessExited
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node, SetParameter
from launch_ros.event_handlers import OnStateTransition

from depth_distill_ros.ros.dds import PROFILE_VARIABLES, with_shared_memory_profile

NODE_LAUNCH_FILE = Path(__file__).resolve().with_name("d3epth.launch.py")

ARGUMENTS = (
    ("bag", None, "Folder or file of the bag (rosbag2; MCAP or sqlite3)."),
    ("rate", "1.0", "Speed, of the recording's."),
    ("loop", "false", "true: again when the bag ends."),
    ("depth", "", "Topic of true depth images in the bag: the accuracy is logged."),
    ("lidar", "", "Topic of true points (PointCloud2) in the bag, likewise."),
    ("rviz", "true", "false: without RViz."),
)

DISCOVERY_SECONDS = 4
"""Between the player's start and its first message. Subscribers find it at once, but where the first
announcements are lost with those of 3 seconds later (Fast DDS)."""


def make_player(context: LaunchContext) -> list[RegisterEventHandler]:
    """The bag, played from the moment that the node is active.

    Raises FileNotFoundError where there is none.
    """
    bag = LaunchConfiguration("bag").perform(context)
    if not Path(bag).exists():
        raise FileNotFoundError(f"there is no bag '{bag}'")
    if "ros2bag" in get_packages_with_prefixes():
        player = ["ros2", "bag", "play"]
    else:
        player = ["python3", "-m", "depth_distill_ros.ros.bag_player"]
    options = ["--clock=100", f"--delay={DISCOVERY_SECONDS}", "--rate", LaunchConfiguration("rate")]
    if IfCondition(LaunchConfiguration("loop")).evaluate(context):
        options.append("--loop")
    process = ExecuteProcess(
        cmd=[*player, bag, *options],
        name="player",
        output="screen",
        on_exit=end_all,
    )
    is_active = OnStateTransition(goal_state="active", entities=[process], handle_once=True)
    return [RegisterEventHandler(is_active)]


def make_metrics(context: LaunchContext) -> list[Node]:
    """The node that compares with the truth, where that is given."""
    topics = {kind: LaunchConfiguration(kind).perform(context) for kind in ("depth", "lidar")}
    return [
        Node(
            package="depth_distill_ros",
            executable="d3epth_metrics",
            namespace=LaunchConfiguration("namespace"),
            parameters=[{"truth_type": kind}],
            remappings=[
                ("truth", topic),
                ("truth/camera_info", str(PurePosixPath(topic).with_name("camera_info"))),
            ],
            output="screen",
        )
        for kind, topic in topics.items()
        if topic
    ]


def end_all(event: ProcessExited, context: LaunchContext) -> Shutdown | None:
    """Ends the launch with the bag or with the node, unless it is ending already."""
    return None if context.is_shutdown else Shutdown(reason=f"{event.process_name} has ended")


def generate_launch_description() -> LaunchDescription:
    """The node of d3epth.launch.py in the recording's time, the metrics and the player."""
    profile = with_shared_memory_profile(os.environ)
    return LaunchDescription(
        [
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, default, description in ARGUMENTS
            ),
            *(SetEnvironmentVariable(v, profile[v]) for v in PROFILE_VARIABLES if v in profile),
            SetParameter("use_sim_time", True),
            OpaqueFunction(function=make_player),
            IncludeLaunchDescription(PythonLaunchDescriptionSource(str(NODE_LAUNCH_FILE))),
            OpaqueFunction(function=make_metrics),
            RegisterEventHandler(
                OnProcessExit(
                    target_action=lambda action: isinstance(action, LifecycleNode), on_exit=end_all
                )
            ),
        ]
    )
