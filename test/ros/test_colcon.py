"""`colcon build`, then `ros2 launch` of the built package, as on a ROS 2 machine.

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

from depth_distill_ros.ros.dds import PROFILE_VARIABLES

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
pytest.importorskip("launch_ros", reason="launch_ros is not installed: it is not in the wheels")

from ros_graph import START_SECONDS, Peer, ros_image, until  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
# This interpreter first: the installed commands start `python3`, wherever that is.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])

for _tool in ("colcon", "ros2"):
    if shutil.which(_tool, path=PATH) is None:
        pytest.skip(f"the command {_tool} is not installed", allow_module_level=True)


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
    """What a command prints, which must succeed."""
    result = subprocess.run(
        command(*words), cwd=workspace, env=environment(), capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


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
    """Starts `ros2 launch` of the node with arguments; what still runs is killed at the end."""
    started = []
    log = tmp_path / "launch.log"

    def start(*arguments: str) -> tuple[subprocess.Popen, Callable[[], str]]:
        words = ["ros2", "launch", "depth_distill_ros", "d3epth.launch.py", *arguments]
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
    for argument in ("image", "camera_info", "namespace", "model", "device", "params_file"):
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
