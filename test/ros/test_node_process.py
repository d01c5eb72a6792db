"""The process: arguments, exit status, signals; one clear line for a mistake, never a traceback."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys

import pytest

pytest.importorskip("rclpy")

MODULE = [sys.executable, "-m", "depth_distill_ros.ros.node"]


def refused(process) -> str:
    """The one line of a process that ended with status 2."""
    assert process.wait() == 2, process.log
    (line,) = (line for line in process.log.splitlines() if line.startswith("error: "))
    assert "Traceback" not in process.log
    return line


def test_help_needs_neither_ros_nor_torch():
    code = "import sys; from depth_distill_ros.ros.node import main; status = main(['--help']); "
    code += "sys.exit(status or 'torch' in sys.modules or 'rclpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "relative.near" in done.stdout and "default: 10.0" in done.stdout


@pytest.mark.parametrize(
    ("parameters", "what"),
    [
        (("relative.near:=20.0",), "relative.near must be less than relative.far"),
        (("scale.mode:=fixed",), "scale.scale is 0"),
        (("scale.mode:=sometimes",), "none, fixed"),
        (("relative.far:=wide",), "relative.far must be a number"),
        (("x:=:y:",), "cannot be used"),
    ],
)
def test_a_refused_parameter_ends_it_with_status_2(parameters, what, start_node):
    assert what in refused(start_node(*parameters, "model:=/nowhere"))


def test_a_refused_parameter_does_not_wait_for_torch(tmp_path):
    code = "import sys; from depth_distill_ros.ros.node import main; "
    code += "main(['--ros-args', '-p', 'relative.near:=20.0']); sys.exit('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr.startswith("error: relative.near")


def test_arguments_outside_ros_args_are_refused():
    done = subprocess.run([*MODULE, "cpu"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: unknown argument 'cpu'")


def broken(folder, what: str):
    """Breaks a model folder in one way."""
    if what == "no folder":
        shutil.rmtree(folder)
    elif what == "no weights":
        for weights in (folder / "unet").glob("*.safetensors"):
            weights.unlink()
    else:
        path = folder / "unet" / "config.json"
        config = json.loads(path.read_text())
        config["block_out_channels"] = [2 * c for c in config["block_out_channels"]]
        path.write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("no folder", "there is no model"),
        ("no weights", "unet/diffusion_pytorch_model.safetensors"),
        ("other config", "unet"),
    ],
)
def test_a_model_that_cannot_be_used_ends_it_with_status_2(
    what, message, small_model, tmp_path, start_node
):
    folder = tmp_path / "broken"
    shutil.copytree(small_model, folder)
    broken(folder, what)
    assert message in refused(start_node(f"model:={folder}"))


def test_sigterm_while_loading_ends_it_cleanly(small_model, start_node):
    from ros_graph import until

    process = start_node(f"model:={small_model}")
    until(lambda: "loading model" in process.log, 60, "the node was not made")
    process.signal(signal.SIGTERM)
    assert process.wait() == 0, process.log
    assert "Traceback" not in process.log
