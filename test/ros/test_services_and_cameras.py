"""The scale's services, and two cameras that differ by their own parameters, on a real graph."""

from __future__ import annotations

import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from node_graph import SIZE, NodeGraph, noise, set_stamp  # noqa: E402 - they import rclpy
from ros_graph import ros_camera_info, ros_image, until  # noqa: E402
from std_srvs.srv import Trigger  # noqa: E402

from depth_distill_ros.geometry.scale_filter import RunningLine  # noqa: E402
from depth_distill_ros.ros.scale_file import load_scales  # noqa: E402

CAMERAS = ("front", "rear")
KINDS = ("relative/image", "depth/image")
SCALE, SHIFT = 1.5, 0.25
REAR_SCALE = 2.0
SMOOTH = ("depth.edge_mask:=false", "depth.edge_threshold:=10.0")
"""Noise is all edges; without any, metric depth is made of the very disparity that goes out."""
REFERENCE = ("scale.mode:=reference", "reference.type:=image", *SMOOTH)


def floats(message) -> np.ndarray:
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def trigger(graph: NodeGraph, name: str) -> tuple[bool, str]:
    answer = graph.peer.call(Trigger, name, Trigger.Request())
    return answer.success, answer.message


def frame(graph: NodeGraph) -> tuple:
    """The same picture each time, with a new stamp, and its camera_info."""
    image = set_stamp(ros_image(noise(*SIZE), "rgb8"), graph.next_stamp())
    return image, ros_camera_info(*SIZE)


# --- two cameras with a fixed scale --------------------------------------------------------------


@pytest.fixture(scope="module")
def two(open_graph, small_model, measured) -> NodeGraph:
    fixed = ("scale.mode:=fixed", f"scale.scale:={SCALE}", f"scale.shift:={SHIFT}")
    return open_graph(
        f"model:={small_model}",
        *SMOOTH,
        *fixed,
        f"rear.scale.scale:={REAR_SCALE}",
        cameras=CAMERAS,
        listen=tuple(f"{camera}/{kind}" for camera in CAMERAS for kind in KINDS),
    ).wait()


def disparity_and_depth(graph: NodeGraph, camera: str) -> tuple[np.ndarray, np.ndarray]:
    topics = tuple(f"{camera}/{kind}" for kind in KINDS)
    graph.answered(*frame(graph), topics, camera)
    return tuple(floats(graph.seen[topic].last) for topic in topics)


def test_each_camera_has_its_own_scale_and_the_others_by_the_node(two):
    front, front_depth = disparity_and_depth(two, "front")
    rear, rear_depth = disparity_and_depth(two, "rear")
    np.testing.assert_array_equal(front, rear)  # one picture, one model
    np.testing.assert_allclose(1 / front_depth, SCALE * front + SHIFT, rtol=1e-4)
    np.testing.assert_allclose(1 / rear_depth, REAR_SCALE * rear + SHIFT, rtol=1e-4)


def test_a_camera_answers_on_its_own_topics_only(two):
    before = {topic: len(seen.stamps) for topic, seen in two.seen.items()}
    two.good_frames(2, "front", tuple(f"front/{kind}" for kind in KINDS))
    for kind in KINDS:
        assert len(two.seen[f"front/{kind}"].stamps) > before[f"front/{kind}"]
        assert len(two.seen[f"rear/{kind}"].stamps) == before[f"rear/{kind}"]


def test_each_camera_has_a_status(two):
    for camera in CAMERAS:
        two.good_frames(1, camera, (f"{camera}/depth/image",))
    statuses = {name: two.status(name) for name in (*CAMERAS, "model")}
    assert all(len(s.name.split(": ")) == 2 for s in statuses.values())
    for camera in CAMERAS:
        values = {pair.key: pair.value for pair in statuses[camera].values}
        assert values["scale mode"] == "fixed" and values["scale status"] == "ok"
        assert float(values["scale scale"]) == {"front": SCALE, "rear": REAR_SCALE}[camera]
        counts = two.counts(camera)
        assert counts["processed"] >= 2 and counts["refused"] == counts["failed"] == 0
    values = {pair.key: pair.value for pair in statuses["model"].values}
    assert values["state"] == "active"


def test_a_parameter_of_the_node_changes_those_without_their_own(two):
    (result,) = two.peer.set_parameters({"scale.scale": 1.0})
    assert result.successful, result.reason
    front, front_depth = disparity_and_depth(two, "front")
    rear, rear_depth = disparity_and_depth(two, "rear")
    np.testing.assert_allclose(1 / front_depth, 1.0 * front + SHIFT, rtol=1e-4)
    np.testing.assert_allclose(1 / rear_depth, REAR_SCALE * rear + SHIFT, rtol=1e-4)
    (result,) = two.peer.set_parameters({"rear.scale.scale": 0.0})
    assert not result.successful and "camera rear: scale.mode is fixed" in result.reason


def test_frames_of_both_within_the_deadline_are_inferred_together(open_graph, small_model):
    topics = tuple(f"{camera}/relative/image" for camera in CAMERAS)
    graph = open_graph(
        f"model:={small_model}", "batch.deadline:=0.8", cameras=CAMERAS, listen=topics
    ).wait()
    for camera, topic in zip(CAMERAS, topics, strict=True):
        graph.good_frames(1, camera, (topic,))

    def waits_for_the_other() -> bool:
        for camera in CAMERAS:  # front is expected while rear waits only if it is not silent
            graph.send(frame(graph)[0], camera=camera)
        time.sleep(1.0)
        front, rear = frame(graph)[0], frame(graph)[0]
        graph.send(rear, camera="rear")
        graph.send(front, camera="front")
        time.sleep(0.5)
        before = len(graph.seen[topics[0]].stamps)
        graph.send(frame(graph)[0], camera="front")
        time.sleep(0.4)
        is_waiting = len(graph.seen[topics[0]].stamps) == before
        graph.send(frame(graph)[0], camera="rear")
        time.sleep(0.5)
        return is_waiting and len(graph.seen[topics[0]].stamps) == before + 1

    until(waits_for_the_other, 30, "front is answered before rear has come")


def test_without_a_file_the_scale_is_not_saved_and_the_reason_is_told(two, tmp_path):
    success, message = trigger(two, "save_scale")
    assert not success and "set the parameter scale.file" in message
    (result,) = two.peer.set_parameters({"scale.file": str(tmp_path / "scales.yaml")})
    assert not result.successful and "while the node is unconfigured" in result.reason


def test_reset_concerns_all_cameras_and_a_fixed_scale_stays(two):
    assert trigger(two, "reset_scale") == (True, "scale of 2 camera(s) forgotten")
    rear, rear_depth = disparity_and_depth(two, "rear")
    np.testing.assert_allclose(1 / rear_depth, REAR_SCALE * rear + SHIFT, rtol=1e-4)


# --- a scale that was measured and saved ---------------------------------------------------------


@pytest.fixture(scope="module")
def scale_file(tmp_path_factory):
    return tmp_path_factory.mktemp("scale") / "folder" / "scales.yaml"


@pytest.fixture(scope="module")
def measured(open_graph, small_model, scale_file) -> NodeGraph:
    """Starts beside `two`: both load at once."""
    return open_graph(
        f"model:={small_model}", f"scale.file:={scale_file}", *REFERENCE, listen=KINDS
    )


def measure(graph: NodeGraph) -> None:
    """Sends a perfect reference of the node's own disparity, and the image it belongs to."""
    image, info = frame(graph)
    graph.answered(image, info, ("relative/image",))
    depth = 1 / (SCALE * floats(graph.seen["relative/image"].last) + SHIFT)
    stamp = graph.next_stamp()
    references = {"reference/image": set_stamp(ros_image(depth, "32FC1"), stamp)}
    graph.answered(set_stamp(image, stamp), info, references=references)
    error = np.abs(floats(graph.seen["depth/image"].last) - depth) / depth
    assert error.mean() < 0.05  # the reference is sampled at the pixels of a smaller map


def saved_line(path) -> tuple[float, float]:
    """Scale and shift in the file."""
    (saved,) = load_scales(path).values()
    assert saved["mode"] == "reference"
    line = RunningLine(**saved["line"])
    return line.scale, line.shift


def test_a_scale_is_saved_once_there_is_one(measured, scale_file):
    measured.wait()
    assert trigger(measured, "save_scale") == (False, "no camera has a scale yet")
    assert not scale_file.exists()
    measure(measured)
    assert trigger(measured, "save_scale") == (True, f"saved to {scale_file}")
    assert saved_line(scale_file) == pytest.approx((SCALE, SHIFT), rel=0.1, abs=0.05)


def test_a_file_that_cannot_be_written_is_told(measured, scale_file):
    content = scale_file.read_bytes()
    scale_file.unlink()
    scale_file.mkdir()
    try:
        success, message = trigger(measured, "save_scale")
        assert not success and f"{scale_file} cannot be written" in message
    finally:
        scale_file.rmdir()
        scale_file.write_bytes(content)


def test_reset_forgets_the_scale_until_the_next_reference(measured):
    assert trigger(measured, "reset_scale") == (True, "scale of 1 camera(s) forgotten")
    before = len(measured.seen["depth/image"].stamps)
    measured.good_frames(2, topics=("relative/image",))
    assert len(measured.seen["depth/image"].stamps) == before
    assert trigger(measured, "save_scale") == (False, "no camera has a scale yet")
    measure(measured)


def test_a_new_node_begins_with_the_saved_scale(measured, scale_file, open_graph, small_model):
    log = measured.process.stop()
    assert "Traceback" not in log and "was lost by" not in log
    graph = open_graph(
        f"model:={small_model}", f"scale.file:={scale_file}", *REFERENCE, listen=KINDS
    ).wait()
    graph.answered(*frame(graph))  # no reference has come, nor will one
    disparity, depth = (floats(graph.seen[topic].last) for topic in KINDS)
    scale, shift = saved_line(scale_file)
    np.testing.assert_allclose(1 / depth, scale * disparity + shift, rtol=1e-4)
    stamps = graph.seen["depth/image"].stamps
    for _ in range(8):  # stamps are a second apart: held for scale.timeout of 5 s, then lost
        graph.good_frames(1, topics=("relative/image",))
    until(lambda: "no depth in metres: nothing was measured" in graph.process.log, 5, "not lost")
    assert 5 <= len(stamps) <= 7 and "Traceback" not in graph.process.stop()
