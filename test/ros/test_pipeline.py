"""From image to output messages: what is made, in which order, and what is left undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pipeline_harness import (
    ALL,
    CENTRED,
    DEFAULTS,
    FIXED,
    HEIGHT,
    OPTICAL,
    RGB,
    WIDTH,
    Harness,
    brightness,
    floats,
)
from ros_messages import camera_info, header, image

from depth_distill_ros.errors import MessageError
from depth_distill_ros.ros.messages import read_cloud
from depth_distill_ros.ros.pipeline import Frame
from depth_distill_ros.ros.topics import COLOR, METRIC, RELATIVE, SCALE


@pytest.fixture
def run() -> Harness:
    return Harness()


def test_relative_image_is_the_disparity_with_nan_where_invalid(run):
    (message,) = run({RELATIVE.image}).values()
    assert np.array_equal(floats(message), brightness(RGB), equal_nan=True)


def test_metric_image_is_the_inverse_of_the_scaled_disparity(run):
    values = floats(run({METRIC.image}, FIXED)[METRIC.image])
    assert np.isnan(values[0, 0])
    assert values[0, 1] == pytest.approx(1 / 0.5) and values[0, 2] == pytest.approx(1 / 2.5)


def test_metric_image_is_infinite_beyond_range(run):
    settings = replace(FIXED, scale_shift=-0.5)
    values = floats(run({METRIC.image}, settings)[METRIC.image])
    assert values[0, 1] == np.inf and np.isnan(values[0, 0])


@pytest.mark.parametrize(
    ("topic", "settings", "far", "near"),
    [
        (RELATIVE.points, replace(DEFAULTS, relative_near=1.0, relative_far=4.0), 4.0, 1.0),
        (METRIC.points, FIXED, 2.0, 0.4),
    ],
)
def test_clouds_by_hand(run, topic, settings, far, near):
    message = run({topic}, settings)[topic]
    cloud = read_cloud(message)
    assert cloud.shape == (HEIGHT, WIDTH) and not message.is_dense
    assert all(np.isnan(cloud[0, 0][axis]) for axis in "xyz")
    for column, z in ((1, far), (2, near)):
        x, y = (column - 31.5) / 50 * z, (0 - 23.5) / 51 * z
        assert [cloud[0, column][axis] for axis in "xyz"] == pytest.approx([x, y, z], rel=1e-5)
    packed = cloud["rgb"].view("<u4")
    assert np.array_equal(packed >> 16, RGB[..., 0]) and np.array_equal(packed & 255, RGB[..., 2])


def test_every_header_is_that_of_the_image(run):
    outputs = run(ALL, FIXED)
    assert set(outputs) == ALL
    assert all(message.header == OPTICAL for message in outputs.values())


def test_images_come_before_clouds(run):
    topics = [topic for topic, _ in run.answer(ALL, FIXED)]
    assert set(topics[:2]) == {RELATIVE.image, METRIC.image}
    assert set(topics[-2:]) == {RELATIVE.points, METRIC.points}


def test_the_second_part_does_not_depend_on_images_in_between(run):
    wanted, frame = {*ALL, COLOR, SCALE} - {METRIC.image}, Frame(OPTICAL, RGB)
    expected = run(wanted, FIXED)
    first, second = run.pipeline.outputs_in_parts(frame, brightness(RGB), wanted, FIXED)
    made = dict(first)
    assert made.keys() == wanted - {COLOR, RELATIVE.points, METRIC.points}
    next_frame = Frame(header(7, frame_id="camera_optical_frame"), RGB[::-1].copy())
    other = replace(FIXED, scale_scale=9.0, depth_output_size="model")
    parts = run.pipeline.outputs_in_parts(next_frame, brightness(next_frame.rgb), wanted, other)
    assert dict(parts[0]).keys() == made.keys()
    made |= dict(second)
    assert made.keys() == expected.keys()
    for topic in (METRIC.points, RELATIVE.points, COLOR, RELATIVE.image):
        assert bytes(made[topic].data) == bytes(expected[topic].data)
        assert made[topic].header == OPTICAL


def test_without_a_scale_nothing_metric_is_made(run):
    assert set(run(ALL)) == set(RELATIVE)
    assert run(set(METRIC)) == {}


def test_unwanted_work_is_not_done(run):
    assert run(set()) == {}
    assert set(run({RELATIVE.camera_info}, FIXED)) == {RELATIVE.camera_info}
    assert set(run({RELATIVE.image}, FIXED)) == {RELATIVE.image}
    assert run.times.percentiles().keys() == {"decode"}


def test_camera_info_is_scaled_to_the_image(run):
    run.set_info(camera_info(2 * WIDTH, 2 * HEIGHT, d=np.zeros(5)))
    outputs = run({RELATIVE.camera_info, RELATIVE.points})
    info, cloud = outputs[RELATIVE.camera_info], read_cloud(outputs[RELATIVE.points])
    assert (info.width, info.height) == (WIDTH, HEIGHT) and info.k[0] == 250
    point = cloud[30, 40]
    assert info.k[0] * point["x"] / point["z"] + info.k[2] == pytest.approx(40, abs=1e-3)
    assert info.k[4] * point["y"] / point["z"] + info.k[5] == pytest.approx(30, abs=1e-3)


@pytest.mark.parametrize(
    ("info", "what"),
    [
        (None, "no camera_info has come"),
        ({"k": np.zeros(9), "p": np.zeros(12)}, "never calibrated"),
        ({"k": np.full(9, np.nan)}, "not finite"),
        ({**CENTRED, "height": 4 * HEIGHT}, "64x192"),
    ],
)
def test_images_come_without_a_usable_camera_info_but_no_clouds(run, info, what):
    if info is not None:
        info = camera_info(**{"width": WIDTH, "height": HEIGHT, "d": [], "header": OPTICAL, **info})
    run.set_info(info)
    assert set(run(ALL, FIXED)) == {RELATIVE.image, METRIC.image}
    assert {what in problem for problem in run.problems} == {True}
    run.problems.clear()
    assert set(run({RELATIVE.image})) == {RELATIVE.image}
    assert run.problems == []  # nobody asked for what needs it


def test_nothing_comes_of_a_bad_image(run):
    with pytest.raises(MessageError, match="no data"):
        run(ALL, FIXED, image(RGB, "rgb8", data=b""))


def test_a_field_of_view_stands_in_for_camera_info(run):
    run.set_info(None)
    outputs = run(ALL, replace(FIXED, camera_fov=90.0))
    assert set(outputs) == ALL and run.problems == []
    assert outputs[METRIC.camera_info].k[0] == pytest.approx(WIDTH / 2)


def test_the_camera_info_of_the_same_stamp_is_taken_else_the_latest_with_its_age(run):
    run.set_info(None)
    for second, focal in ((12, 50.0), (13, 60.0)):
        k = np.array([focal, 0, 31.5, 0, focal, 23.5, 0, 0, 1])
        p = np.array([focal, 0, 31.5, 0, 0, focal, 23.5, 0, 0, 0, 1, 0])
        stamped = header(second, 345)
        info = camera_info(WIDTH, HEIGHT, header=stamped, k=k, p=p, d=np.zeros(5))
        run.pipeline.camera_infos.add(info)
    for second, focal, age in ((12, 50.0, 0.0), (15, 60.0, 2.0)):
        message = image(RGB, "rgb8", header=header(second, 345, "camera_optical_frame"))
        assert run({RELATIVE.camera_info}, message=message)[RELATIVE.camera_info].k[0] == focal
        assert run.pipeline.camera_info_age == pytest.approx(age)
    assert any("2.0 s older than its image" in problem for problem in run.problems)


def test_a_frame_that_is_not_optical_is_reported(run):
    run({RELATIVE.image}, message=image(RGB, "rgb8", header=header(frame_id="base_link")))
    assert any("'base_link' does not name an optical frame" in p for p in run.problems)


def test_distortion_is_reported_or_rectified(run):
    distorted = camera_info(WIDTH, HEIGHT, d=np.array([-0.3, 0.1, 0, 0, 0]), **CENTRED)
    run.set_info(distorted)
    plain = run({RELATIVE.camera_info, RELATIVE.image})
    assert "rectify" in run.problems[0]
    assert np.array_equal(plain[RELATIVE.camera_info].d, distorted.d)
    run.problems.clear()
    outputs = run({RELATIVE.camera_info, RELATIVE.image}, replace(DEFAULTS, rectify=True))
    assert run.problems == []
    assert not np.any(outputs[RELATIVE.camera_info].d) and np.any(distorted.d)
    assert not np.array_equal(floats(outputs[RELATIVE.image]), floats(plain[RELATIVE.image]))


def test_pixels_without_a_picture_after_rectification_are_invalid(run):
    run.set_info(camera_info(WIDTH, HEIGHT, d=np.array([0.8, 0, 0, 0, 0]), **CENTRED))
    disparity = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    settings = replace(DEFAULTS, rectify=True)
    values = floats(run({RELATIVE.image}, settings, disparity=disparity)[RELATIVE.image])
    assert np.isnan(values[0, 0]) and values[HEIGHT // 2, WIDTH // 2] == 0.5


SMALL = np.linspace(0, 1, 12 * 16, dtype=np.float32).reshape(12, 16)


def test_output_of_the_models_size_has_its_camera(run):
    outputs = run(ALL, replace(FIXED, depth_output_size="model"), disparity=SMALL)
    assert np.allclose(1 / floats(outputs[METRIC.image]), 0.5 + 2 * SMALL)
    info, cloud = outputs[METRIC.camera_info], read_cloud(outputs[METRIC.points])
    assert (info.width, info.height, info.k[0]) == (16, 12, 12.5)
    assert cloud.shape == (12, 16)
    columns = info.k[0] * cloud["x"] / cloud["z"] + info.k[2]
    assert np.allclose(columns, np.arange(16)[None, :], atol=1e-4)


def test_a_small_map_is_enlarged_to_the_image(run):
    outputs = run(ALL, FIXED, disparity=SMALL)
    assert floats(outputs[METRIC.image]).shape == (HEIGHT, WIDTH)
    assert read_cloud(outputs[METRIC.points]).shape == (HEIGHT, WIDTH)
    assert outputs[METRIC.camera_info].width == WIDTH


def test_pixels_on_an_edge_are_invalid_and_nothing_hangs_between(run):
    step = np.zeros((12, 16), np.float32)
    step[:, 8:] = 1.0
    settings = replace(FIXED, depth_edge_mask=True)
    outputs = run({METRIC.image, METRIC.points, RELATIVE.points}, settings, disparity=step)
    depth = floats(outputs[METRIC.image])
    assert np.isnan(depth).any()
    assert set(np.unique(depth[np.isfinite(depth)])) == {np.float32(0.4), np.float32(2)}
    for topic in (METRIC.points, RELATIVE.points):
        z = read_cloud(outputs[topic])["z"]
        assert np.isnan(z).any() and len(np.unique(z[np.isfinite(z)])) == 2


def test_ranges_are_infinite_in_the_image_and_left_out_of_the_cloud(run):
    settings = replace(FIXED, depth_min_range=0.5, depth_max_range=1.5)
    outputs = run({METRIC.image, METRIC.points}, settings)
    depth, exact = floats(outputs[METRIC.image]), 1 / (0.5 + 2 * brightness(RGB))
    assert np.array_equal(depth == np.inf, exact > 1.5)
    assert np.array_equal(depth == -np.inf, exact < 0.5)
    z = read_cloud(outputs[METRIC.points])["z"]
    assert np.array_equal(np.isfinite(z), np.isfinite(depth))


def test_depth_in_millimetres(run):
    message = run({METRIC.image}, replace(FIXED, depth_encoding="16UC1"))[METRIC.image]
    values = np.frombuffer(message.data, np.uint16).reshape(HEIGHT, WIDTH)
    assert message.encoding == "16UC1" and list(values[0, :3]) == [0, 2000, 400]


def test_clouds_are_thinned_cut_and_rationed(run):
    settings = replace(FIXED, cloud_decimation=4, cloud_max_range=1.0, cloud_rate=2.0)
    cloud = read_cloud(run({METRIC.points}, settings)[METRIC.points])
    assert cloud.shape == (HEIGHT // 4, WIDTH // 4)
    seen = np.isfinite(cloud["z"])
    assert np.array_equal(seen, 1 / (0.5 + 2 * brightness(RGB))[2::4, 2::4] <= 1.0)
    u = 50 * cloud["x"] / cloud["z"] + 31.5
    assert np.allclose(u[seen], np.broadcast_to(np.arange(2, WIDTH, 4), u.shape)[seen], atol=1e-3)
    packed = cloud["rgb"].view("<u4")
    assert np.array_equal(packed >> 16, RGB[2::4, 2::4, 0])
    for milliseconds, comes in ((300, False), (500, True), (700, False), (960, True), (0, True)):
        later = header(12, 345 + milliseconds * 1_000_000, "camera_optical_frame")
        outputs = run({METRIC.points}, settings, image(RGB, "rgb8", header=later))
        assert (METRIC.points in outputs) == comes, milliseconds


@pytest.mark.parametrize(
    "depth, cloud", [((0, 100), (0.6, 1)), ((0, 100), (0.6, 100)), ((0.7, 0.9), (0.6, 1))]
)
def test_a_cloud_has_what_is_within_both_ranges(run, depth, cloud):
    limits = {"depth_min_range": depth[0], "depth_max_range": depth[1]}
    limits |= {"cloud_min_range": cloud[0], "cloud_max_range": cloud[1]}
    message = run({METRIC.points}, replace(FIXED, **limits))[METRIC.points]
    metres = 1 / (0.5 + 2 * brightness(RGB))
    nearest, farthest = max(depth[0], cloud[0]), min(depth[1], cloud[1])
    expected = (metres >= nearest) & (metres <= farthest)
    assert np.array_equal(np.isfinite(read_cloud(message)["z"]), expected)


def test_colour_is_the_disparity_for_people(run):
    message = run({COLOR})[COLOR]
    pixels = np.frombuffer(message.data, np.uint8).reshape(HEIGHT, WIDTH, 3)
    assert message.encoding == "rgb8" and message.header == OPTICAL
    assert list(pixels[0, 0]) == [128] * 3  # invalid is grey
    assert pixels[0, 2].sum() > pixels[0, 1].sum()  # near is bright
