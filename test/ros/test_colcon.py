"""`colcon build`, then `ros2 launch`, `lifecycle` and `param`, as on a ROS 2 machine.

Needs colcon and ros2, which come with a ROS 2 installation and are not in the wheels: skipped
without them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.evaluation.recorded_frames import frames_to_bag
from depth_distill_ros.ros.dds import PROFILE_VARIABLES
from depth_distill_ros.ros.parameters import PARAMETERS

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("launch_ros", reason="launch_ros is not installed: it is not in the wheels")

from ros_graph import SENSOR_QOS, START_SECONDS, Peer, ros_image, until  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# This interpreter first: the installed commands start `python3`, wherever that is.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

for _tool in ("colcon", "ros2"):
    if shutil.which(_tool, path=PATH) is None:
        pytest.skip(f"the command {_tool} is not installed", allow_module_level=True)


# The way of building does not matter to what the node does.
plain_build = pytest.mark.parametrize("workspace", ["plain"], indirect=True)


def environment() -> dict[str, str]:
    """This process's environment without a choice of a DDS profile."""
    kept = {name: value for name, value in os.environ.items() if name not in PROFILE_VARIABLES}
    return {**kept, "PATH": PATH, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}


@pytest.fixture(scope="module", params=["plain", "symlinks"])
def workspace(request, tmp_path_factory) -> Path:
    """A colcon workspace in which a copy of the package is built, in both ways of colcon."""
    folder = tmp_path_factory.mktemp(f"workspace_{request.param}")
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "out", "runs", "build", "install", "log")
    shutil.copytree(ROOT, folder / "src" / "depth_distill_ros", ignore=ignored)
    options = ["--symlink-install"] if request.param == "symlinks" else []
    build = subprocess.run(
        ["colcon", "build", *options],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    return folder


def command(*words: str) -> list[str]:
    """A command in a shell that has sourced the workspace it runs in."""
    return ["bash", "-c", f". install/local_setup.bash && exec {shlex.join(words)}"]


def answer(workspace: Path, *words: str) -> str:
    """What a command prints on both streams, which must succeed."""
    result = subprocess.run(
        command(*words), cwd=workspace, env=environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


class Commands:
    """`ros2 lifecycle` and `ros2 param` for the node /d3epth; both streams of what they print."""

    def __init__(self, workspace: Path):
        self._workspace = workspace

    def state(self) -> str:
        return self._answer("lifecycle", "get").split()[0]

    def change_state(self, transition: str) -> str:
        return self._answer("lifecycle", "set", transition)

    def parameters(self) -> list[str]:
        return self._answer("param", "list").split()

    def describe(self, name: str) -> str:
        return self._answer("param", "describe", name)

    def get(self, name: str) -> str:
        return self._answer("param", "get", name)

    def set(self, name: str, value: str) -> str:
        return self._answer("param", "set", name, value)

    def _answer(self, group: str, verb: str, *words: str) -> str:
        return answer(self._workspace, "ros2", group, verb, "/d3epth", *words).strip()


def nodes_of(workspace: Path) -> list[int]:
    """Process ids of the workspace's nodes."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace").split("\0")
        except OSError:  # ended in the meantime
            continue
        if any(w.startswith(str(workspace)) and w.endswith("/d3epth_node") for w in words):
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def launch(workspace, tmp_path) -> Iterator[Callable]:
    """Starts `ros2 launch` with arguments; what still runs is killed at the end."""
    started = []
    log = tmp_path / "launch.log"

    def start(
        *arguments: str, file: str = "d3epth.launch.py"
    ) -> tuple[subprocess.Popen, Callable[[], str]]:
        words = ["ros2", "launch", "depth_distill_ros", file, *arguments]
        with open(log, "wb") as output:
            process = subprocess.Popen(
                command(*words),
                cwd=workspace,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        started.append(process)
        return process, lambda: log.read_text(encoding="utf-8", errors="replace")

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()
    for number in nodes_of(workspace):
        os.kill(number, signal.SIGKILL)


def test_ros2_finds_the_executables_and_the_launch_arguments(workspace):
    executables = answer(workspace, "ros2", "pkg", "executables", "depth_distill_ros").split("\n")
    assert "depth_distill_ros d3epth_node" in executables
    assert "depth_distill_ros d3epth" in executables
    shown = answer(workspace, "ros2", "launch", "-s", "depth_distill_ros", "d3epth.launch.py")
    for argument in ("image", "camera_info", "cameras", "namespace", "model", "params_file"):
        assert f"'{argument}':" in shown
    shown = answer(workspace, "ros2", "launch", "-s", "depth_distill_ros", "replay.launch.py")
    for argument in ("bag", "rate", "loop", "depth", "rviz", "image", "model", "scale"):
        assert f"'{argument}':" in shown


def test_the_launched_node_answers_an_image_and_ends_with_ctrl_c(
    workspace, launch, small_model, peer: Peer
):
    process, log = launch(
        "image:=/image", "camera_info:=/camera_info", "namespace:=front",
        f"model:={small_model}", "device:=cpu",
    )  # fmt: skip
    peer.listen("front/relative/image")

    def ready() -> bool:
        assert process.poll() is None, log()
        return peer.node.count_subscribers("/image") and peer.node.count_publishers(
            "/front/relative/image"
        )

    until(ready, START_SECONDS, "the launched node does not take images")
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    depth = peer.ask(ros_image(pixels, "rgb8"))["front/relative/image"]
    assert (depth.width, depth.height, depth.encoding) == (64, 48, "32FC1")

    (node,) = nodes_of(workspace)
    variables = Path("/proc", str(node), "environ").read_text(encoding="utf-8").split("\0")
    for name in PROFILE_VARIABLES:
        profile = next(line for line in variables if line.startswith(f"{name}="))
        assert profile.startswith(f"{name}={workspace}")
        assert profile.endswith("/config/fastdds_shm.xml")

    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, log()
    assert "process has finished cleanly" in log()
    assert not nodes_of(workspace)


def test_a_wrong_model_is_one_line_in_the_launch_output(launch):
    process, log = launch("model:=no-such-model", "device:=cpu")
    process.wait(START_SECONDS)
    errors = [line for line in log().splitlines() if "error: " in line]
    assert len(errors) == 1, log()
    assert "no-such-model" in errors[0]
    assert "Traceback" not in log()


@pytest.fixture
def manual(workspace, launch, small_model) -> Iterator[Callable]:
    """Starts the node unconfigured; returns its commands and its log."""
    answer(workspace, "ros2", "daemon", "start")  # knows the graph; without it each command waits

    def start(model: str | Path = small_model) -> tuple[Commands, Callable[[], str]]:
        process, log = launch("autostart:=false", f"model:={model}", "device:=cpu")

        def is_there() -> bool:
            assert process.poll() is None, log()
            return "/d3epth" in answer(workspace, "ros2", "lifecycle", "nodes").split()

        until(is_there, START_SECONDS, "the launched node does not come up")
        return Commands(workspace), log

    yield start
    answer(workspace, "ros2", "daemon", "stop")


@pytest.mark.slow
@plain_build
def test_ros2_lifecycle_walks_the_node_through_its_states(manual, peer: Peer):
    commands, log = manual()
    assert commands.state() == "unconfigured"
    assert not peer.node.count_publishers("/relative/image")

    assert commands.change_state("configure") == "Transitioning successful", log()
    assert commands.state() == "inactive"
    assert peer.node.count_publishers("/relative/image") == 1
    assert not peer.node.count_subscribers("/image")

    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    peer.listen("relative/image")
    for stamp in (1, 2):  # a second time as well as the first
        assert commands.change_state("activate") == "Transitioning successful", log()
        assert commands.state() == "active"
        assert peer.ask(ros_image(pixels, "rgb8", stamp))["relative/image"].width == 64

        assert commands.change_state("deactivate") == "Transitioning successful", log()
        assert commands.state() == "inactive"
        assert not peer.node.count_subscribers("/image")

    assert commands.change_state("cleanup") == "Transitioning successful", log()
    assert commands.state() == "unconfigured"
    assert not peer.node.count_publishers("/relative/image")


@pytest.mark.slow
@plain_build
def test_a_wrong_model_fails_configure_and_the_node_takes_another(manual, small_model):
    commands, log = manual(model="no-such-model")
    assert "Transitioning failed" in commands.change_state("configure")
    assert commands.state() == "unconfigured"
    reasons = [line for line in log().splitlines() if "[ERROR]" in line]
    assert len(reasons) == 1 and "no-such-model" in reasons[0], log()
    assert "Traceback" not in log()

    assert commands.set("model", str(small_model)) == "Set parameter successful"
    assert commands.change_state("configure") == "Transitioning successful", log()
    assert commands.state() == "inactive"


@pytest.mark.slow
@plain_build
def test_ros2_param_explains_the_parameters_and_refuses_with_the_reason(manual):
    commands, log = manual()
    assert {spec.name for spec in PARAMETERS} <= set(commands.parameters())

    described = commands.describe("relative.far")
    (spec,) = (spec for spec in PARAMETERS if spec.name == "relative.far")
    assert " ".join(spec.description.split()) in " ".join(described.split())
    assert f"Min value: {spec.low}" in described and f"Max value: {spec.high}" in described
    assert "camera_height, reference" in commands.describe("scale.mode")

    assert commands.get("relative.far") == "Double value is: 10.0"
    assert commands.set("relative.far", "20.0") == "Set parameter successful"
    assert commands.get("relative.far") == "Double value is: 20.0"

    for name, value, reason in (
        ("relative.far", "0.1", "relative.near must be less than relative.far"),
        ("cloud.decimation", "0", "out of range"),
        ("scale.mode", "guess", "must be one of none, fixed, camera_height, reference"),
        ("autostart", "true", "read-only"),
    ):
        refusal = commands.set(name, value)
        assert refusal.startswith("Setting parameter failed") and reason in refusal, refusal

    assert commands.change_state("configure") == "Transitioning successful", log()
    refusal = commands.set("model", "another")
    assert "while the node is unconfigured" in refusal, refusal
    assert commands.set("relative.far", "30.0") == "Set parameter successful"


@pytest.mark.slow
@plain_build
def test_several_cameras_are_launched_with_one_node(workspace, launch, small_model, peer: Peer):
    _, log = launch("cameras:=front,rear", f"model:={small_model}", "device:=cpu")
    cameras = ("front", "rear")
    peer.listen(*(f"{name}/relative/image" for name in cameras))
    publishers = [peer.node.create_publisher(Image, f"{n}/image", SENSOR_QOS) for n in cameras]
    image = ros_image(np.zeros((48, 64, 3), np.uint8), "rgb8")

    def all_answered() -> bool:
        for publisher in publishers:
            publisher.publish(image)
        return all(peer.answer(f"{name}/relative/image", image) for name in cameras)

    until(all_answered, START_SECONDS, f"no answer of both cameras: {log()}")
    assert len(nodes_of(workspace)) == 1


@pytest.mark.slow
@plain_build
def test_a_replay_ends_with_its_bag(launch, small_model, make_sequence, tmp_path):
    count = frames_to_bag(make_sequence(tmp_path / "frames", 30, poses=True), tmp_path / "bag")
    process, log = launch(
        f"bag:={tmp_path / 'bag'}", "depth:=/depth", "rate:=0.9",
        f"model:={small_model}", "device:=cpu", file="replay.launch.py",
    )  # fmt: skip
    assert process.wait(START_SECONDS) == 0, log()
    assert "there is no RViz" in log() or "[rviz2" in log()
    assert "d3epth_metrics]: " in log()
    assert log().count("process has finished cleanly") == 3, log()  # player, node and metrics
    received = int(log().split("images: ")[1].split()[0])
    assert count / 2 < received <= count, log()


@pytest.mark.slow
@plain_build
def test_a_looping_replay_goes_on_until_ctrl_c(launch, small_model, make_sequence, tmp_path):
    frames_to_bag(make_sequence(tmp_path / "frames", 5, poses=True), tmp_path / "bag")
    process, log = launch(
        f"bag:={tmp_path / 'bag'}", "loop:=true", "rviz:=false",
        f"model:={small_model}", "device:=cpu", file="replay.launch.py",
    )  # fmt: skip

    def played_twice() -> bool:
        assert process.poll() is None, log()
        return log().count("played ") > 1

    until(played_twice, START_SECONDS, "the bag does not begin again")
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0, log()
    assert log().count("process has finished cleanly") == 2, log()


@pytest.mark.slow
@plain_build
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["bag:=nowhere"], "there is no bag 'nowhere'"),
        (["bag:=.", "model:=no-such-model"], "error: there is no model 'no-such-model'"),
    ],
)
def test_a_replay_that_cannot_begin_ends_with_the_reason(launch, arguments, reason):
    process, log = launch(*arguments, "device:=cpu", file="replay.launch.py")
    process.wait(START_SECONDS)
    assert reason in log()
    assert "Traceback" not in log()
