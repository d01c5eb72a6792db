"""Cameras of one batch, some in streams, some by themselves: as each would be alone."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from ros_messages import Time, image

pytest.importorskip("rclpy")  # of a camera's topics; no graph is made

from pipeline_harness import OPTICAL, Harness  # noqa: E402

from depth_distill_ros.errors import MessageError  # noqa: E402
from depth_distill_ros.inference.estimator import DepthEstimator  # noqa: E402
from depth_distill_ros.inference.stream import BACK, SIZE  # noqa: E402
from depth_distill_ros.ros.camera import Camera  # noqa: E402
from depth_distill_ros.ros.inference import BatchInference  # noqa: E402
from depth_distill_ros.ros.settings import Settings  # noqa: E402

START = 1_700_000_000


@pytest.fixture(scope="module")
def estimator(stream_model) -> DepthEstimator:
    return DepthEstimator.from_pretrained(stream_model, device="cpu")


class UnconnectedCamera:
    """A camera without topics: it keeps what would be made into messages."""

    active_stream = Camera.active_stream
    open_stream = Camera.open_stream
    forget_stream = Camera.forget_stream

    def __init__(self, name: str, estimator: DepthEstimator, settings: Settings):
        harness = Harness(settings)
        self.name, self.settings = name, settings
        self.pipeline, self.times = harness.pipeline, harness.times
        self.problems = SimpleNamespace(report=harness.problems.append)
        self.stream = None
        self.topics = {"relative/image"}
        self.disparities: list[np.ndarray] = []
        self.published: list[str] = []
        self.refusals: list[str] = []
        self.open_stream(estimator)

    def wanted(self) -> set[str]:
        return self.topics

    def outputs(self, frame, disparity, topics):
        self.disparities.append(disparity)
        return self.pipeline.outputs_in_parts(frame, disparity, topics, self.settings)

    def publish(self, outputs) -> None:
        self.published += [topic for topic, _ in outputs]

    def refuse(self, reason: str) -> None:
        self.refusals.append(reason)


class Batch:
    def __init__(self, estimator: DepthEstimator, **settings: Settings):
        self.cameras = {
            name: UnconnectedCamera(name, estimator, chosen) for name, chosen in settings.items()
        }
        self.problems: list[str] = []
        self.inference = BatchInference(estimator, self.cameras, self.problems.append)

    def send(self, stamp: float, **pictures: np.ndarray) -> dict[str, np.ndarray]:
        """The disparities of images of one moment, in seconds after START; -START is no stamp."""
        unfinished = self.inference.answer(images(stamp, pictures))
        assert self.inference.finish(unfinished) == set() and self.problems == []
        return {name: self.cameras[name].disparities[-1] for name in pictures}


def images(stamp: float, pictures: dict[str, np.ndarray]) -> dict[str, Any]:
    nanoseconds = round((START + stamp) * 1e9)
    time = Time(*divmod(nanoseconds, 1_000_000_000))
    return {
        name: image(picture, "rgb8", header=replace(OPTICAL, stamp=time))
        for name, picture in pictures.items()
    }


def scene(number: int, seed: int = 0) -> np.ndarray:
    """Blobs that move a pixel a frame and become brighter."""
    rough = np.random.default_rng(seed).integers(0, 128, (7, 7, 3)).astype(np.uint8)
    rows, columns = (np.arange(side) * 7 // side for side in (64, 96))
    return np.roll(rough[rows][:, columns], number, axis=1) + np.uint8(5 * number)


def test_depth_is_published_at_once_and_clouds_at_the_end(estimator):
    batch = Batch(estimator, front=Settings(), rear=Settings())
    cameras = batch.cameras
    for camera in cameras.values():
        camera.topics = {"depth/color", "relative/points", "relative/image", "relative/camera_info"}
    picture = scene(0)[:48, :64]  # what their camera_info belongs to
    unfinished = batch.inference.answer(images(0.0, {name: picture for name in cameras}))
    for camera in cameras.values():
        assert camera.published == ["relative/image", "relative/camera_info"]
        assert "besides inference" not in camera.times.percentiles()
    assert batch.inference.finish(unfinished) == set()
    for camera in cameras.values():
        assert camera.published[2:] == ["depth/color", "relative/points"]
        times = {stage: median for stage, (median, _) in camera.times.percentiles().items()}
        assert 0 < times["cloud"] < times["overlapped"] < times["besides inference"]


def test_what_fails_at_the_end_concerns_its_camera_alone(estimator):
    batch = Batch(estimator, front=Settings(), rear=Settings(), left=Settings())
    unfinished = batch.inference.answer(images(0.0, {name: scene(0) for name in batch.cameras}))

    def defect():
        yield "relative/points", None
        raise KeyError("no such thing")

    def mistake():
        raise MessageError("no cloud of this")
        yield

    unfinished.outputs |= {"front": defect(), "rear": mistake()}
    assert batch.inference.finish(unfinished) == {"front"}
    front, rear, left = batch.cameras.values()
    assert front.published == ["relative/image"] and front.refusals == []
    assert rear.refusals == ["no cloud of this"] and left.refusals == []


def test_without_listeners_nothing_is_inferred(estimator):
    batch = Batch(estimator, front=Settings())
    batch.cameras["front"].topics = set()
    unfinished = batch.inference.answer(images(0.0, {"front": scene(0)}))
    assert unfinished.outputs == {} and batch.inference.finish(unfinished) == set()
    assert batch.cameras["front"].times.percentiles() == {}


def test_cameras_with_and_without_streams_do_not_touch_each_other(estimator):
    batch = Batch(
        estimator,
        front=Settings(),
        left=Settings(temporal_enabled=False),
        rear=Settings(temporal_window=2),
    )
    alone = {"front": estimator.stream(), "rear": estimator.stream(2)}
    for number in range(4):
        pictures = {name: scene(number, seed) for seed, name in enumerate(batch.cameras)}
        found = batch.send(0.1 * number, **pictures)
        for name, stream in alone.items():
            expected = stream.infer(pictures[name], START + 0.1 * number)
            np.testing.assert_allclose(found[name], expected, atol=1e-5)
        by_itself = estimator.infer([pictures["left"]])[0]
        np.testing.assert_allclose(found["left"], by_itself, atol=1e-5)
    assert [stream.frames for stream in alone.values()] == [3, 1]


def test_a_bag_in_a_loop_begins_anew(estimator):
    batch = Batch(estimator, front=Settings())
    rounds = [
        [batch.send(0.05 * number, front=scene(number))["front"] for number in range(5)]
        for _ in range(2)
    ]
    for first, second in zip(*rounds, strict=True):
        np.testing.assert_array_equal(first, second)
    assert batch.cameras["front"].stream.resets == {BACK: 1}


def test_a_refused_image_does_not_touch_the_stream(estimator):
    batch = Batch(estimator, front=Settings(), rear=Settings())
    for number in range(3):
        batch.send(0.1 * number, front=scene(number), rear=scene(number, 1))
    tiny = np.zeros((8, 8, 3), np.uint8)
    expected = estimator.stream()
    for number in range(4):
        kept = expected.infer(scene(number), START + 0.1 * number)
    batch.send(0.3, front=scene(3), rear=tiny)
    front, rear = batch.cameras.values()
    np.testing.assert_allclose(front.disparities[-1], kept, atol=1e-5)
    assert "8x8 pixels" in rear.refusals[0] and rear.stream.frames == 3
    batch.send(0.4, rear=scene(0, 1)[:, :80])
    assert rear.stream.resets == {SIZE: 1}


def test_images_without_stamps_are_remembered_by_the_time_they_come(estimator):
    batch = Batch(estimator, front=Settings())
    found = [batch.send(-START, front=scene(number))["front"] for number in range(3)]
    stream = batch.cameras["front"].stream
    assert stream.frames == 3 and stream.resets == {}
    assert not np.allclose(found[2], estimator.infer([scene(2)])[0], atol=1e-4)


def test_a_model_without_temporal_head_takes_each_image_by_itself(small_model):
    plain = DepthEstimator.from_pretrained(small_model, device="cpu")
    batch = Batch(plain, front=Settings(temporal_window=4))
    for number in range(2):
        found = batch.send(0.1 * number, front=scene(number))["front"]
        np.testing.assert_array_equal(found, plain.infer([scene(number)])[0])
    assert batch.cameras["front"].stream is None
