"""/diagnostics of a running node: rates, ages, times, counts by cause, and when it is a warning."""

from __future__ import annotations

import time

import pytest

pytest.importorskip("rclpy")

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402 - they import rclpy
from node_graph import SIZE, NodeGraph, noise, set_stamp  # noqa: E402
from ros_graph import ros_camera_info, ros_image, until  # noqa: E402

TOPICS = ("relative/image", "relative/points")
RATE = 10.0


@pytest.fixture(scope="module")
def graph(open_graph, small_model) -> NodeGraph:
    return open_graph(f"model:={small_model}", listen=TOPICS).wait()


def values_of(status: DiagnosticStatus) -> dict[str, str]:
    return {pair.key: pair.value for pair in status.values}


@pytest.fixture(scope="module")
def playing(graph) -> DiagnosticStatus:
    """The camera's status after seconds of images that are stamped with the clock."""
    image, info = ros_image(noise(*SIZE), "rgb8"), ros_camera_info(*SIZE)
    started, seconds, status = time.monotonic(), 4.0, None
    for number in range(1, round(seconds * RATE) + 1):
        graph.send(set_stamp(image, time.time()), info)
        time.sleep(max(0.0, started + number / RATE - time.monotonic()))
        if number == round((seconds - 1.5) * RATE):
            status = graph.status()  # waits a second at most, while nothing is sent
    assert status is not None
    return status


def test_without_images_it_warns_and_names_the_topic(graph):
    status = graph.status()
    assert status.level == DiagnosticStatus.WARN
    assert status.message == f"no images on {graph.namespace}/image"
    assert status.name == f"{graph.namespace}/d3epth: camera"


def test_the_model_is_named_with_its_engine(graph):
    status = graph.status("model")
    values = values_of(status)
    assert status.level == DiagnosticStatus.OK and status.message == "active"
    assert values["model"] == "tiny" and values["device"] == "cpu"
    assert values["engine"].startswith("torch ")
    assert not any("GPU" in key for key in values)


def test_a_model_that_takes_each_image_by_itself_says_so(graph):
    assert graph.values()["temporal"] == "off: the model has no temporal head"
    line = "the model tiny has no temporal head: temporal.enabled has no effect"
    assert graph.process.log.count(line) == 1


def test_rates_are_those_of_the_images(playing):
    values = values_of(playing)
    assert playing.level == DiagnosticStatus.OK and playing.message == "running"
    assert 0.2 * RATE < float(values["input Hz"]) < 1.5 * RATE
    assert 0.0 < float(values["output Hz"]) <= float(values["input Hz"]) + 2


def test_each_stage_has_its_median_and_its_99th_percentile(playing):
    values = values_of(playing)
    stages = ("decode", "infer", "cloud", "overlapped", "besides inference")
    stages += tuple(f"publish {topic}" for topic in TOPICS)
    for stage in stages:
        median, high = (float(values[f"time: {stage} {p} ms"]) for p in ("p50", "p99"))
        assert 0 < median <= high < 10_000


def test_ages_are_those_of_the_stamps(playing):
    values = values_of(playing)
    median, high = (float(values[f"age at publish: relative/image {p} ms"]) for p in ("p50", "p99"))
    assert float(values["time: infer p50 ms"]) < median <= high < 10_000
    assert abs(float(values["camera_info age s"])) < 0.5


def test_what_is_refused_is_a_warning_and_counted_by_its_cause(graph, playing):
    before = graph.counts()
    bad = ros_image(noise(*SIZE), "no_such")

    def is_told() -> bool:
        graph.send(set_stamp(bad, graph.next_stamp()))
        status = graph.status()
        return status.level == DiagnosticStatus.WARN and "refused" in status.message

    until(is_told, 20, "a refused image is no warning")
    after, values = graph.counts(), graph.values()
    assert after["refused"] > before["refused"] and after["processed"] == before["processed"]
    (cause,) = (key for key in values if "encoding 'no_such'" in key)
    assert cause.startswith("problem: ")
    assert int(values[cause]) == after["refused"] - before["refused"]


def test_a_camera_that_falls_silent_is_a_warning_again(graph, playing):
    graph.good_frames(1)
    until(lambda: graph.status().message.startswith("no images on"), 10, "silence is no warning")
    assert float(graph.values()["output Hz"]) == 0.0


def test_the_scale_is_told(graph):
    assert graph.values()["scale mode"] == "none"
    values = {"scale.mode": "fixed", "scale.scale": 1.5, "scale.shift": 0.25}
    (result,) = graph.peer.set_parameters(values, atomically=True)
    assert result.successful, result.reason
    graph.listen("depth/image")
    graph.good_frames(1)
    values = graph.values()
    assert values["scale mode"] == "fixed" and values["scale status"] == "ok"
    assert (float(values["scale scale"]), float(values["scale shift"])) == (1.5, 0.25)
