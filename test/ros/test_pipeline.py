"""From image to output messages: what is made, in which order, and what is left undone."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from ros_messages import Image, PointCloud2, PointField, camera_info, header, image

from depth_distill_ros.errors import ImageError, MessageError
from depth_distill_ros.ros.messages import read_cloud
from depth_distill_ros.ros.parameters import Settings
from depth_distill_ros.ros.pipeline import METRIC, RELATIVE, MessageTypes, Pipeline
from depth_distill_ros.ros.reports import StageTimes

HEIGHT, WIDTH = 48, 64
RGB = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
DEFAULTS = Settings()
FIXED = Settings(scale_mode="fixed", scale=2.0, shift=0.5)
ALL = {*RELATIVE, *METRIC}


def brightness(rgb: np.ndarray) -> SimpleNamespace:
    """The green channel as disparity; pixel (0, 0) is invalid, (0, 1) is 0 and (0, 2) is 1."""
    disparity = rgb[..., 1].astype(np.float32) / 255
    disparity[0, 1:3] = 0, 1
    valid = np.ones(disparity.shape, bool)
    valid[0, 0] = False
    return SimpleNamespace(disparity=disparity, valid=valid)


class Harness:
    """A pipeline with its camera_info, which tests change, and what it reported."""

    def __init__(self, estimate=brightness):
        self.info = camera_info(WIDTH, HEIGHT)
        self.problems: list[str] = []
        self.estimated = 0
        self.estimate = estimate
        types = MessageTypes(Image, PointCloud2, PointField)
        self.times = StageTimes()
        self.pipeline = Pipeline(
            self._count, lambda: self.info, types, self.problems.append, self.times
        )

    def _count(self, rgb):
        self.estimated += 1
        return self.estimate(rgb)

    def __call__(self, wanted, settings=DEFAULTS, message=None) -> dict:
        message = image(RGB, "rgb8") if message is None else message
        return dict(self.pipeline.outputs(message, wanted, settings))


@pytest.fixture
def run() -> Harness:
    return Harness()


def floats(message) -> np.ndarray:
    return np.frombuffer(message.data, np.float32).reshape(message.height, message.width)


def test_relative_image_is_the_disparity_with_nan_where_invalid(run):
    (message,) = run({RELATIVE.image}).values()
    expected = brightness(RGB).disparity
    expected[0, 0] = np.nan
    assert np.array_equal(floats(message), expected, equal_nan=True)


def test_metric_image_is_the_inverse_of_the_scaled_disparity(run):
    values = floats(run({METRIC.image}, FIXED)[METRIC.image])
    assert np.isnan(values[0, 0])
    assert values[0, 1] == pytest.approx(1 / 0.5) and values[0, 2] == pytest.approx(1 / 2.5)


def test_metric_image_is_infinite_beyond_range(run):
    settings = Settings(scale_mode="fixed", scale=2.0, shift=-0.5)
    values = floats(run({METRIC.image}, settings)[METRIC.image])
    assert values[0, 1] == np.inf and np.isnan(values[0, 0])


@pytest.mark.parametrize(
    ("topic", "settings", "far", "near"),
    [
        (RELATIVE.points, Settings(near=1.0, far=4.0), 4.0, 1.0),
        (METRIC.points, FIXED, 2.0, 0.4),
    ],
)
def test_clouds_by_hand(run, topic, settings, far, near):
    message = run({topic}, settings)[topic]
    cloud = read_cloud(message)
    assert cloud.shape == (HEIGHT, WIDTH) and not message.is_dense
    assert all(np.isnan(cloud[0, 0][axis]) for axis in "xyz")
    for column, z in ((1, far), (2, near)):
        x, y = (column - 320.5) / 500 * z, (0 - 240.5) / 510 * z
        assert [cloud[0, column][axis] for axis in "xyz"] == pytest.approx([x, y, z], rel=1e-5)
    packed = cloud["rgb"].view("<u4")
    assert np.array_equal(packed >> 16, RGB[..., 0]) and np.array_equal(packed & 255, RGB[..., 2])


def test_every_header_is_that_of_the_image(run):
    outputs = run(ALL, FIXED)
    assert set(outputs) == ALL
    assert all(message.header == header() for message in outputs.values())


def test_images_come_before_clouds(run):
    topics = [topic for topic, _ in run.pipeline.outputs(image(RGB, "rgb8"), ALL, FIXED)]
    assert set(topics[:2]) == {RELATIVE.image, METRIC.image}
    assert set(topics[-2:]) == {RELATIVE.points, METRIC.points}


def test_without_a_scale_nothing_metric_is_made(run):
    assert set(run(ALL)) == set(RELATIVE)
    assert run(set(METRIC)) == {}
    assert run.estimated == 1


def test_unwanted_work_is_not_done(run):
    assert run(set()) == {}
    assert set(run({RELATIVE.camera_info})) == {RELATIVE.camera_info}
    assert run.estimated == 0 and run.times.summary() == ""
    assert set(run({RELATIVE.image})) == {RELATIVE.image}
    assert run.estimated == 1 and "cloud" not in run.times.summary()


def test_both_kinds_share_one_inference(run):
    run(ALL, FIXED)
    assert run.estimated == 1


def test_camera_info_is_scaled_to_the_image(run):
    run.info = camera_info(2 * WIDTH, 2 * HEIGHT)
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
        (camera_info(WIDTH, HEIGHT, k=np.zeros(9), p=np.zeros(12)), "never calibrated"),
        (camera_info(WIDTH, HEIGHT, k=np.full(9, np.nan)), "not finite"),
        (camera_info(WIDTH, 4 * HEIGHT), "64x192"),
    ],
)
def test_images_come_without_a_usable_camera_info_but_no_clouds(run, info, what):
    run.info = info
    assert set(run(ALL, FIXED)) == {RELATIVE.image, METRIC.image}
    assert len(run.problems) == 1 and what in run.problems[0]
    run.problems.clear()
    assert set(run({RELATIVE.image})) == {RELATIVE.image}
    assert run.problems == []  # nobody asked for what needs it


def test_nothing_comes_of_a_bad_image(run):
    outputs = run.pipeline.outputs(image(RGB, "rgb8", data=b""), ALL, FIXED)
    with pytest.raises(MessageError, match="no data"):
        next(outputs)
    assert run.estimated == 0


def test_nothing_comes_of_an_image_that_the_estimator_refuses():
    def refuse(rgb):
        raise ImageError("too small")

    with pytest.raises(ImageError, match="too small"):
        next(Harness(refuse).pipeline.outputs(image(RGB, "rgb8"), ALL, FIXED))
