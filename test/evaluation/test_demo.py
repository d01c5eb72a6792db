"""The demo on a real graph: three processes, real messages, real DDS."""

from __future__ import annotations

import importlib.util
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from video_files import level, write_video

from depth_distill_ros.errors import BagError, ConfigError, DataError, ModelError, UserError
from depth_distill_ros.evaluation import source
from depth_distill_ros.evaluation.bag import find_images, open_bag, typestore
from depth_distill_ros.evaluation.demo import DemoOptions, node_choice, run_demo
from depth_distill_ros.evaluation.images import read_rgb
from depth_distill_ros.ros.cdr import header_stamp
from depth_distill_ros.ros.images import image_to_rgb

needs_ros = pytest.mark.skipif(
    importlib.util.find_spec("rclpy") is None, reason="ROS 2 (rclpy) is not installed"
)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """A tiny model with random weights."""
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("models") / "random"
    DepthModel.from_preset("tiny", seed=0, name="random-tiny").save_pretrained(folder)
    return folder


def processes_that_mention(text: str) -> list[str]:
    """Command lines of running processes with `text` in them, this one apart."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it has just ended
        if text in line and "pytest" not in line:
            found.append(line)
    return found


@needs_ros
def test_frames_through_the_graph(tmp_path, make_sequence, model):
    frames = make_sequence(tmp_path / "in_plane", poses=True)
    said = []
    output = tmp_path / "demo"
    options = DemoOptions(
        output=output, frames=frames, seconds=2.0, rate=10, model=str(model), device="cpu"
    )
    report = run_demo(options, said.append)

    assert json.loads((output / "report.json").read_text()) == report
    assert report["frames_in"] == 20
    assert 0 < report["frames_out"] == report["frames_in"] - report["dropped"]
    assert report["out_of_order"] == 0
    assert report["hz"] > 0
    assert 0 < report["latency_ms"]["p50"] <= report["latency_ms"]["p95"]
    assert (report["model"], report["device"]) == ("random-tiny", "cpu")
    assert re.fullmatch(r"torch \S+, float32", report["engine"])
    assert report["frames_scored"] == report["frames_out"]
    assert 0 < report["abs_rel"] < 2 and 0 <= report["delta1"] <= 1
    # The cloud is the depth image of its stamp: rays through pixel centres, 1/z affine in it.
    assert report["cloud_error"]["pixels"] < 1e-2
    assert report["cloud_error"]["disparity"] < 1e-4
    assert "frames_out" in said[1]
    assert "mean times" in said[2] and "infer" in said[2]

    assert read_rgb(output / "depth.png").shape[1] > 1000
    header = (output / "cloud.ply").read_bytes().split(b"end_header")[0]
    vertices = int(re.search(rb"element vertex (\d+)\n", header)[1])
    assert 0.5 * 64 * 48 < vertices <= 64 * 48, "points on jumps of depth are left out"
    with open_bag(output / "output.mcap") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert counts["/image"] == counts["/relative/image"] == report["frames_out"]
    assert counts["/relative/points"] >= 1
    assert find_images(output / "output.mcap").image == "/image"

    assert sorted(path.name for path in output.iterdir()) == [
        "cloud.ply", "depth.png", "logs", "output.mcap", "report.json"
    ]  # fmt: skip
    assert not processes_that_mention(str(output)) and not processes_that_mention(str(model))


@pytest.mark.parametrize(
    "line, device, engine",
    [
        (
            "model d3epth-tiny on cpu, onnxruntime 1.32.0, fp32 (exported, and within 1.2e-06 of "
            "PyTorch when it was compared)",
            "cpu",
            "onnxruntime 1.32.0, fp32",
        ),
        (
            "model a on cuda:1, torch 2.13.0, float16 (the engine on cpu, old (1.2), is no good)",
            "cuda:1",
            "torch 2.13.0, float16",
        ),
        ("ready: images from /image", "unknown", "unknown"),
    ],
)
def test_device_and_engine_are_those_that_the_node_names(tmp_path, line, device, engine):
    head = "[INFO] [1700000000.123456789] [d3epth]: "
    log = tmp_path / "node.log"
    log.write_text(f"{head}loading model 'default'\n{head}{line}\n{head}images: 1 received\n")
    assert node_choice(log) == {"device": device, "engine": engine}


@needs_ros
@pytest.mark.slow
def test_its_own_output_can_be_played_again_as_a_bag(tmp_path, make_sequence, model):
    frames = make_sequence(tmp_path / "in_plane")
    (frames / "intrinsics.json").write_text('{"fx": 0, "depth_format": "png_mm"}')
    first = {"frames": frames, "output": tmp_path / "first", "seconds": 1.0, "rate": 10}
    run_demo(DemoOptions(**first, model=str(model), device="cpu"), lambda text: None)
    assert not (tmp_path / "first" / "cloud.ply").exists(), "no camera, no cloud"
    bag = tmp_path / "first" / "output.mcap"
    second = DemoOptions(bag=bag, output=tmp_path / "second", model=str(model), device="cpu")
    report = run_demo(second, lambda text: None)
    assert report["frames_out"] > 0
    assert report["abs_rel"] is None and report["cloud_error"] is None
    assert np.isfinite(report["hz"])


@needs_ros
def test_a_video_through_the_graph(tmp_path, model):
    """Its images are published and kept; with a field of view there are clouds."""
    video = write_video(tmp_path / "street.avi", frames=60, rate=15)
    output = tmp_path / "demo"
    options = DemoOptions(
        output=output, video=video, fov=70, seconds=2.0, model=str(model), device="cpu"
    )
    report = run_demo(options, lambda text: None)
    assert (report["source"], report["frames_in"]) == ("street.avi", 30)
    assert 0 < report["frames_out"] and report["out_of_order"] == 0
    assert report["clouds_kept"] >= 1 and report["cloud_error"]["pixels"] < 1e-2
    assert report["notes"] == [] and report["abs_rel"] is None
    assert read_rgb(output / "depth.png").shape[1] > 1000
    assert b"element vertex" in (output / "cloud.ply").read_bytes()[:400]

    images, depths, focal = {}, set(), []
    with open_bag(output / "output.mcap") as reader:
        for connection, _, raw in reader.messages():
            message = typestore().deserialize_cdr(raw, connection.msgtype)
            if connection.topic == "/image":
                frame = image_to_rgb(message)
                images[header_stamp(raw)] = level(frame)
            elif connection.topic == "/relative/image":
                depths.add(header_stamp(raw))
            elif connection.topic == "/camera_info":
                focal.append(message.k[0])
    assert images.keys() == depths and len(images) == report["frames_out"]
    np.testing.assert_allclose(focal, 32 / np.tan(np.radians(35)))
    first = min(images)
    for stamp, number in images.items():
        expected = images[first] + round((stamp - first) * 15e-9)
        assert number == expected or expected > 18, "its own frame at 15 Hz, while levels differ"


@needs_ros
@pytest.mark.slow
def test_a_video_without_a_field_of_view_has_no_clouds_and_the_report_says_so(
    tmp_path, model, monkeypatch
):
    """And of a video larger than what is kept, the first part is to be seen."""
    size = 640 * 480 * 3
    monkeypatch.setattr(source, "KEPT_BYTES", 7.5 * size)
    video = write_video(tmp_path / "street.avi", frames=60, rate=10, size=(640, 480))
    output = tmp_path / "demo"
    options = DemoOptions(
        output=output, video=video, rate=15, seconds=2.0, model=str(model), device="cpu"
    )
    report = run_demo(options, lambda text: None)
    assert report["frames_in"] == 30 and report["clouds_kept"] == 0
    assert report["notes"][0].startswith("no clouds: there is no camera_info")
    assert re.match(r"depth.png and output.mcap are made of the first \d of", report["notes"][1])
    assert not (output / "cloud.ply").exists()
    with open_bag(output / "output.mcap") as reader:
        counts = {c.topic: c.msgcount for c in reader.connections}
    assert 1 <= counts["/image"] == counts["/relative/image"] <= 7


@needs_ros
@pytest.mark.slow
def test_a_video_that_breaks_off_ends_the_demo_with_the_reason(tmp_path, model):
    whole = write_video(tmp_path / "whole.avi", frames=30, rate=15, size=(320, 240)).read_bytes()
    (tmp_path / "half.avi").write_bytes(whole[: len(whole) // 2])
    options = DemoOptions(
        output=tmp_path / "demo", video=tmp_path / "half.avi", model=str(model), device="cpu"
    )
    with pytest.raises(UserError, match=r"(?s)the player ended with status 2:.*of 30 frames"):
        run_demo(options, lambda text: None)
    assert not processes_that_mention(str(tmp_path))


@needs_ros
def test_a_node_that_dies_ends_the_demo_with_its_last_lines(tmp_path, make_sequence, model):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text((model / "config.json").read_text())
    frames = make_sequence(tmp_path / "in_plane")
    options = DemoOptions(output=tmp_path / "demo", frames=frames, model=str(broken))
    with pytest.raises(UserError, match="(?s)the node ended with status 2:.*unet"):
        run_demo(options)
    assert not processes_that_mention(str(tmp_path))
    assert "unet" in (tmp_path / "demo" / "logs" / "node.log").read_text()


@needs_ros
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_every_process(tmp_path, make_sequence, model, number, status):
    frames, output = make_sequence(tmp_path / "in_plane"), tmp_path / "demo"
    command = [sys.executable, "-m", "depth_distill_ros.cli", "demo", "--seconds", "60"]
    command += ["--frames", str(frames), "--output", str(output), "--model", str(model)]
    demo = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (output / "logs" / "player.log").exists():
        assert demo.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    demo.send_signal(number)
    _, errors = demo.communicate(timeout=40)
    assert demo.returncode == status
    assert "Traceback" not in errors
    assert not processes_that_mention(str(tmp_path))


def test_wrong_options_are_refused_before_anything_starts(tmp_path, make_sequence, model):
    frames = make_sequence(tmp_path / "data" / "in_plane")
    make_sequence(tmp_path / "data" / "out_plane")
    output = tmp_path / "demo"
    with pytest.raises(ConfigError, match="one of --frames FOLDER, --bag BAG, --video FILE"):
        DemoOptions(output=output)
    for second in ({"bag": frames}, {"video": frames}, {"camera": "0"}):
        with pytest.raises(ConfigError, match="one of"):
            DemoOptions(output=output, frames=frames, **second)
    for changes in ({"seconds": 0}, {"seconds": float("nan")}, {"rate": -1}):
        with pytest.raises(ConfigError, match="must be"):
            DemoOptions(output=output, frames=frames, **changes)
    for fov in (0, 180, float("nan")):
        with pytest.raises(ConfigError, match="--fov must be between 0 and 180"):
            DemoOptions(output=output, camera="0", fov=fov)
    with pytest.raises(ConfigError, match="--fov is for --video and --camera"):
        DemoOptions(output=output, frames=frames, fov=60)
    for changes in ({"camera": "0"}, {"bag": frames}):
        with pytest.raises(ConfigError, match="--rate is for --frames and --video"):
            DemoOptions(output=output, rate=10, **changes)
    with pytest.raises(ModelError):
        run_demo(DemoOptions(output=output, frames=frames, model=str(tmp_path / "absent")))
    assert not output.exists()


@needs_ros
def test_sources_that_cannot_be_played_are_refused(tmp_path, make_sequence, model):
    make_sequence(tmp_path / "data" / "in_plane")
    make_sequence(tmp_path / "data" / "out_plane")
    options = {"output": tmp_path / "demo", "model": str(model)}
    with pytest.raises(ConfigError, match="holds 2 sequences"):
        run_demo(DemoOptions(frames=tmp_path / "data", **options))
    with pytest.raises(DataError):
        run_demo(DemoOptions(frames=tmp_path / "absent", **options))
    with pytest.raises(BagError):
        run_demo(DemoOptions(bag=tmp_path / "absent", **options))
    with pytest.raises(DataError, match="there is no video file"):
        run_demo(DemoOptions(video=tmp_path / "absent", **options))
    with pytest.raises(DataError, match="there is no camera /dev/video97"):
        run_demo(DemoOptions(camera="97", **options))
    assert not list(tmp_path.glob("demo/work*"))
