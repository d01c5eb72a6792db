"""Two processes on a real graph: what goes in, what comes out, over the middleware."""

from __future__ import annotations

import re
import signal
import time

import numpy as np
import pytest

pytest.importorskip("rclpy")

from ros_graph import ros_camera_info, ros_image, until  # noqa: E402 - they import rclpy

from depth_distill_ros.ros.messages import read_cloud  # noqa: E402
from depth_distill_ros.ros.topics import METRIC, RELATIVE  # noqa: E402

HEIGHT, WIDTH = 480, 640  # large enough that clouds arrive only by the shared-memory profile
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def floats(message) -> np.ndarray:
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def check_relative(answers, image) -> None:
    for message in answers.values():
        assert message.header == image.header
    depth, cloud = answers[RELATIVE.image], answers[RELATIVE.points]
    disparity = floats(depth)
    assert disparity.shape == (HEIGHT, WIDTH) and depth.encoding == "32FC1"
    assert 0 <= disparity.min() <= disparity.max() <= 1
    points = read_cloud(cloud)
    assert points.shape == (HEIGHT, WIDTH) and cloud.point_step == 16 and not cloud.is_dense
    # 1/z is linear in the disparity: 0.1 at 0 and 2 at 1, by the default range of 0.5 to 10 m.
    np.testing.assert_allclose(1 / points["z"], 0.1 + 1.9 * disparity, rtol=1e-4)
    columns = np.arange(WIDTH)[None, :]
    u = 100 * points["x"] / points["z"] + (WIDTH - 1) / 2
    np.testing.assert_allclose(u, np.broadcast_to(columns, u.shape), atol=1e-3)
    packed = points["rgb"].view("<u4")
    assert np.array_equal(packed >> 8 & 255, RGB[..., 1])


def check_metric_follows_its_parameters(peer, image, info) -> None:
    (fixed,) = peer.set_parameters({"scale.mode": "fixed"})
    assert not fixed.successful and "scale.scale is 0" in fixed.reason
    values = {"scale.mode": "fixed", "scale.scale": 1.5, "scale.shift": 0.25}
    (result,) = peer.set_parameters(values, atomically=True)
    assert result.successful, result.reason
    answers = peer.ask(image, info, tuple(METRIC) + tuple(RELATIVE))
    assert all(message.header == image.header for message in answers.values())
    metric, disparity = floats(answers[METRIC.image]), floats(answers[RELATIVE.image])
    np.testing.assert_allclose(1 / metric, 0.25 + 1.5 * disparity, rtol=1e-4)
    assert np.array_equal(read_cloud(answers[METRIC.points])["z"], metric)
    nearer, model = peer.set_parameters({"relative.near": 50.0, "model": "another"})
    assert not nearer.successful and "less than relative.far" in nearer.reason
    assert not model.successful


def test_images_in_depth_and_clouds_out(small_model, start_node, peer):
    # Noise is all edges, across which the cloud is not interpolated as the disparity is.
    process = start_node(f"model:={small_model}", "depth.edge_threshold:=10.0")
    peer.listen(*RELATIVE, *METRIC)
    peer.wait_for(process)
    info = ros_camera_info(WIDTH, HEIGHT)
    image = ros_image(RGB, "rgb8", stamp=1700000001, frame_id="front_optical")
    check_relative(peer.ask(image, info, tuple(RELATIVE)), image)
    assert not any(peer.received[topic] for topic in METRIC)

    bgr = ros_image(RGB[..., ::-1], "bgr8", stamp=1700000002, frame_id="rear_optical")
    check_relative(peer.ask(bgr, info, tuple(RELATIVE)), bgr)

    metric = ros_image(RGB, "rgb8", stamp=1700000003)
    check_metric_follows_its_parameters(peer, metric, info)

    process.signal(signal.SIGTERM)
    assert process.wait() == 0, process.log
    assert "Traceback" not in process.log
    assert process.log.count("there is no depth in metres without a scale") == 1 + 1  # and counted


def bad_images() -> dict[str, object]:
    """The cause that the log must name, and an image that has it."""
    too_short = ros_image(RGB, "rgb8")
    too_short.data = too_short.data[:-1]
    empty = ros_image(RGB, "rgb8")
    empty.data = empty.data[:0]
    small_step = ros_image(RGB, "rgb8")
    small_step.step = 3 * WIDTH - 1
    wide_step = ros_image(RGB, "rgb8")
    wide_step.step = 3 * WIDTH + 1
    no_size = ros_image(RGB, "rgb8")
    no_size.width = 0
    return {
        "it was truncated": too_short,
        "the image has no data": empty,
        f"step is {3 * WIDTH - 1} bytes": small_step,
        f"step x height is {3 * WIDTH + 1}": wide_step,
        f"has a size of 0x{HEIGHT}": no_size,
        "encoding 'no_such'": ros_image(RGB, "no_such"),
        "sides from 32": ros_image(RGB[:16, :16], "rgb8"),
    }


def test_bad_images_are_logged_once_and_the_next_good_one_is_answered(
    small_model, start_node, peer
):
    process = start_node(f"model:={small_model}")
    peer.listen(RELATIVE.image)
    peer.wait_for(process)
    peer.ask(ros_image(RGB, "rgb8", stamp=1))
    for number, (cause, bad) in enumerate(bad_images().items()):
        seen = cause in process.log  # numbers do not make another cause: both steps are one
        for _ in range(20):
            peer.send(bad)
            time.sleep(0.1)
            if seen or cause in process.log:
                break
        good = ros_image(RGB, "rgb8", stamp=10 + number)
        assert peer.ask(good)[RELATIVE.image].header == good.header
        peer.send(bad)
        peer.ask(ros_image(RGB, "rgb8", stamp=100 + number))
    log = process.stop()
    warnings = [line for line in log.splitlines() if "[WARN]" in line]
    assert all(line.endswith("(logged once)") for line in warnings), log
    assert len(warnings) == len({re.sub(r"\d+", "#", w.split("]: ")[1]) for w in warnings})
    assert len(warnings) == len(bad_images()) - 1, log  # too short and wide step are one cause
    assert int(re.search(r"(\d+) refused", log)[1]) >= len(bad_images())
    assert "0 failed" in log and "Traceback" not in log


def test_unusable_camera_info_stops_the_clouds_but_not_the_images(small_model, start_node, peer):
    process = start_node(f"model:={small_model}")
    peer.listen(*RELATIVE)
    peer.wait_for(process)
    zero, nan = ros_camera_info(WIDTH, HEIGHT), ros_camera_info(WIDTH, HEIGHT)
    zero.k, zero.p = [0.0] * 9, [0.0] * 12
    nan.k = [float("nan")] * 9
    causes = {"no camera_info has come": None, "never calibrated": zero, "not finite": nan}
    for number, (cause, info) in enumerate(causes.items()):
        for repeat in range(3):
            image = ros_image(RGB, "rgb8", stamp=10 * number + repeat + 1)
            peer.ask(image, info, (RELATIVE.image,))
        until(lambda cause=cause: cause in process.log, 20, f"the log does not say '{cause}'")
        assert process.log.count(cause) == 1
    assert peer.received[RELATIVE.points] == [] and peer.received[RELATIVE.camera_info] == []
    peer.ask(ros_image(RGB, "rgb8", stamp=99), ros_camera_info(WIDTH, HEIGHT))


def test_images_that_nobody_looks_at_cost_nothing(small_model, start_node, peer):
    process = start_node(f"model:={small_model}", "modle:=misspelt")
    peer.wait_for(process)
    for stamp in range(1, 11):
        peer.send(ros_image(RGB, "rgb8", stamp=stamp))
        time.sleep(0.05)
    log = process.stop()
    assert int(re.search(r"images: (\d+) received", log)[1]) > 0
    assert "infer" not in log and "decode" not in log and "publish" not in log
    assert "there is no parameter 'modle'" in log


def test_only_the_newest_images_are_answered_in_order(small_model, start_node, peer):
    process = start_node(f"model:={small_model}")
    peer.listen(RELATIVE.image)
    peer.wait_for(process)
    peer.ask(ros_image(RGB, "rgb8", stamp=1))
    for stamp in range(1000, 1060):  # twice as fast as any camera, far faster than the model
        peer.send(ros_image(RGB, "rgb8", stamp=stamp))
        time.sleep(1 / 120)
    last = ros_image(RGB, "rgb8", stamp=2000)
    peer.ask(last)
    stamps = [m.header.stamp.sec for m in peer.received[RELATIVE.image]]
    stamps = stamps[: stamps.index(2000) + 1]
    assert stamps == sorted(stamps) and len(set(stamps[1:])) == len(stamps[1:])
    log = process.stop()
    counts = re.search(r"(\d+) received, (\d+) processed, (\d+) dropped", log)
    received, processed, dropped = map(int, counts.groups())
    assert received == processed + dropped and dropped > 0, log
