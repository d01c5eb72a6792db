"""Streams: what is remembered, when it is forgotten, and that grouping does not change results."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError, ImageError, ModelError, OutOfMemoryError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.memory import FrugalEstimator
from depth_distill_ros.inference.stream import ASKED, BACK, CUT, GAP, SIZE
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.temporal import Past, clip_ages

WINDOW = 4
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def model(stream_model) -> DepthModel:
    return DepthModel.from_pretrained(stream_model)


@pytest.fixture(scope="module")
def estimator(stream_model) -> DepthEstimator:
    return DepthEstimator.from_pretrained(stream_model, device="cpu")


def scene(seed: int, size: tuple[int, int] = (64, 96)) -> np.ndarray:
    """Large blobs of a texture that another seed's do not resemble."""
    rough = np.random.default_rng(seed).integers(0, 256, (7, 7, 3)).astype(np.uint8)
    rows, columns = (np.arange(side) * 7 // side for side in size)
    return rough[rows][:, columns]


def frames(count: int, seed: int = 0, size: tuple[int, int] = (64, 96)) -> list[np.ndarray]:
    """One scene, each frame a pixel on and a little brighter."""
    base = scene(seed, size) // 2
    return [np.roll(base, number, axis=1) + np.uint8(5 * number) for number in range(count)]


def close(first: np.ndarray, second: np.ndarray) -> bool:
    return bool(np.abs(first - second).max() < TOLERANCE)


def stamps_of(count: int) -> list[float]:
    """About 30 Hz from an absolute time, a frame lost in between."""
    return [1.7e9 + 0.033 * number + 0.033 * (number > 2) for number in range(count)]


def at_once(model: DepthModel, images: list, stamps: list[float], window: int) -> np.ndarray:
    """Disparities (T, h, w) of a clip in one pass, each frame with that many in sight."""
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 127.5 - 1
    with torch.inference_mode():
        latents, guide = model.encode(pixels)
        ages = clip_ages(torch.tensor([stamps], dtype=torch.float64), window)
        features = model.features_from(latents)
        maps, _ = model.head.forward_frames(features, guide, Past.of_ages(ages))
        if window == model.temporal_window:
            clip = model.forward_clip(pixels[None], torch.tensor([stamps], dtype=torch.float64))
            assert torch.equal(clip[0], maps)
    return (maps[:, 0].numpy() / 2 + 0.5).clip(0, 1)


@pytest.mark.parametrize("window", [1, 2, 3, WINDOW])
def test_frame_by_frame_equals_the_clip_at_once(model, estimator, window):
    images, stamps = frames(9), stamps_of(9)
    expected = at_once(model, images, stamps, window)
    stream = estimator.stream(window)
    for number, (image, stamp) in enumerate(zip(images, stamps, strict=True)):
        disparity = stream.infer(image, stamp)
        assert np.abs(disparity - expected[number]).max() < 1e-4
        assert stream.frames == min(number + 1, window - 1)
    past_matters = not close(disparity, estimator.infer(images[-1:])[0])
    assert past_matters == (window > 1)
    assert stream.resets == {} and stream.last_reset is None


def test_nothing_before_the_reach_matters(estimator):
    """Every layer sees its window of the one below: `reach` frames, and none more, change it."""
    images = [*frames(13, seed=1), *frames(10)]
    long, short, shorter = (estimator.stream(2) for _ in range(3))
    assert long.reach == 8 and estimator.stream().reach == 24
    for number, image in enumerate(images):
        expected = long.infer(image, 0.1 * number)
        if number >= len(images) - 1 - long.reach:
            found = short.infer(image, 0.1 * number)
        if number >= len(images) - 2:
            other = shorter.infer(image, 0.1 * number)
    assert close(found, expected) and not close(other, expected)


def test_the_answer_has_the_size_of_the_image(estimator):
    stream = estimator.stream()
    image = frames(1, size=(100, 150))[0]
    result = stream(image, stamp=0.0)
    assert result.disparity.shape == result.valid.shape == (100, 150)
    assert np.array_equal(result.disparity, estimator(image).disparity)


def test_cameras_do_not_see_each_other(estimator):
    """Three histories, of 5, 2 and 0 frames: together as each alone."""
    cameras = [frames(6, seed) for seed in range(3)]
    stamps = stamps_of(6)
    begins = (0, 3, 5)
    alone, together = ([estimator.stream() for _ in cameras] for _ in range(2))
    for number in range(6):
        present = [camera for camera in range(3) if number >= begins[camera]]
        images = [cameras[camera][number] for camera in present]
        moments = [stamps[number] + 0.01 * camera for camera in present]
        found = estimator.infer_streams(images, [together[c] for c in present], moments)
        for camera, image, moment, disparity in zip(present, images, moments, found, strict=True):
            (expected,) = estimator.infer_streams([image], [alone[camera]], [moment])
            assert close(disparity, expected)
    assert [stream.frames for stream in together] == [3, 3, 1]


def test_sizes_and_windows_may_be_mixed(estimator):
    sizes, windows = ((64, 96), (64, 96), (96, 64)), (4, 2, 4)
    alone, together = ([estimator.stream(window) for window in windows] for _ in range(2))
    for number in range(3):
        images = [frames(3, seed, size)[number] for seed, size in enumerate(sizes)]
        found = estimator.infer_streams(images, together, [0.1 * number] * 3)
        assert [one.shape for one in found] == [(32, 48), (32, 48), (48, 32)]
        for image, stream, disparity in zip(images, alone, found, strict=True):
            expected = estimator.infer_streams([image], [stream], [0.1 * number])[0]
            assert close(disparity, expected)


@pytest.mark.parametrize(
    ("reason", "stamp", "size", "seed"),
    [
        (BACK, 9.0, (64, 96), 0),
        (BACK, 10.299, (64, 96), 0),
        (GAP, 11.31, (64, 96), 0),
        (SIZE, 10.4, (96, 64), 0),
        (SIZE, 10.4, (128, 192), 0),  # of the same working size
        (CUT, 10.4, (64, 96), 5),
    ],
)
def test_it_forgets_by_itself_and_says_why(estimator, reason, stamp, size, seed):
    stream = estimator.stream()
    for number, image in enumerate(frames(4)):
        stream(image, 10 + 0.1 * number)
    image = frames(5, seed, size)[4]
    found = stream(image, stamp)
    assert stream.resets == {reason: 1} and stream.last_reset == reason
    assert np.array_equal(found.disparity, estimator.stream()(image, stamp).disparity)
    assert stream.frames == 1


def test_what_is_no_reason_to_forget(estimator):
    stream = estimator.stream()
    for number, image in enumerate(frames(3)):
        stream(image, 0.99 * number)
    assert stream.resets == {} and stream.frames == 3
    patient = estimator.stream(max_gap=5.0)
    for number, image in enumerate(frames(3)):
        patient(image, 4.9 * number)
    assert patient.resets == {} and patient.frames == 3


def test_the_same_frame_again_is_remembered_once(estimator):
    images = frames(3)
    stream = estimator.stream()
    stream(images[0], 0.0)
    first = stream(images[1], 0.1).disparity
    again = stream(images[1], 0.1).disparity
    assert close(first, again) and stream.frames == 2
    plain = estimator.stream()
    plain(images[0], 0.0)
    plain(images[1], 0.1)
    assert close(stream(images[2], 0.2).disparity, plain(images[2], 0.2).disparity)


def test_the_same_frame_again_is_remembered_once_also_where_memory_is_full(estimator):
    """It takes its own place: what comes later sees as many frames as ever."""
    images = frames(7)
    stream, other = estimator.stream(), estimator.stream()
    for number, image in enumerate(images[:5]):
        stream(image, 0.1 * number)
        other(image, 0.1 * number)
    stream(images[4], 0.4)
    assert stream.frames == 3
    assert sorted(stream._stamps) == sorted(other._stamps)


def test_another_size_after_a_reset(estimator):
    stream = estimator.stream()
    stream(frames(1)[0], 0.0)
    stream.reset()
    portrait = frames(1, size=(96, 64))[0]
    assert np.array_equal(stream(portrait, 0.1).disparity, estimator(portrait).disparity)
    assert stream.resets == {ASKED: 1}


def test_reset_is_a_fresh_start(estimator):
    images = frames(4)
    stream = estimator.stream()
    stream.reset()
    assert stream.resets == {}, "nothing was there to forget"
    for number, image in enumerate(images):
        stream(image, 0.1 * number)
    stream.reset()
    stream.reset()
    assert stream.frames == 0 and stream.resets == {ASKED: 1} and stream.last_reset == ASKED
    fresh = estimator.stream()
    for number, image in enumerate(images):  # stamps begin anew without a further reset
        assert close(stream(image, 0.1 * number).disparity, fresh(image, 0.1 * number).disparity)
    assert stream.resets == {ASKED: 1}


def test_a_reset_during_an_inference_forgets_its_frame_too(estimator):
    image = frames(1)[0]
    stream = estimator.stream()
    stream(image, 0.0)
    step = stream.begin(image, image.shape[:2], 0.1)
    stream.reset()
    stream.finish(step, step.memory, None)
    assert stream.frames == 0 and stream.resets == {ASKED: 1}


def test_a_frame_that_does_not_fit_changes_nothing(stream_model):
    short = DepthEstimator.of_model(DepthModel.from_pretrained(stream_model), "cpu")
    streams = [short.stream() for _ in range(2)]
    images = frames(4), frames(4, size=(96, 64))
    for number in range(3):
        short.infer_streams([images[0][number], images[1][number]], streams, [0.1 * number] * 2)
    step = short.engine._model.step

    def full(pixels, ages, memory):
        """Has no room for portrait images: the first group of a call succeeds."""
        if pixels.shape[-2] > pixels.shape[-1]:
            raise MemoryError
        return step(pixels, ages, memory)

    short.engine._model.step = full
    cut = scene(7)
    with pytest.raises(OutOfMemoryError):
        short.infer_streams([cut, images[1][3]], streams, [0.3, 0.3])
    assert [stream.resets for stream in streams] == [{}, {}]
    short.engine._model.step = step
    found = short.infer_streams([images[0][3], images[1][3]], streams, [0.3, 0.3])
    for stream_images, disparity in zip(images, found, strict=True):
        other = short.stream()
        for number, image in enumerate(stream_images):
            (expected,) = short.infer_streams([image], [other], [0.1 * number])
        assert close(disparity, expected)


def test_what_is_not_finite_is_not_remembered(stream_model):
    broken = DepthEstimator.of_model(DepthModel.from_pretrained(stream_model), "cpu")
    images = frames(3)
    stream, other = broken.stream(), broken.stream()
    stream(images[0], 0.0)
    step = broken.engine._model.step

    def overflowing(*arguments):
        disparity, entries = step(*arguments)
        return disparity * torch.nan, [entry * torch.nan for entry in entries]

    broken.engine._model.step = overflowing
    assert not stream(images[1], 0.1).valid.any()
    broken.engine._model.step = step
    assert stream.frames == 1
    other(images[0], 0.0)
    assert close(stream(images[2], 0.2).disparity, other(images[2], 0.2).disparity)


def test_memory_is_bounded(estimator):
    stream = estimator.stream()
    for number, image in enumerate(frames(2) * 20):
        stream(image, 0.1 * number)
        if number == 5:
            room = [tensor.data_ptr() for tensor in stream._memory]
    assert [tensor.data_ptr() for tensor in stream._memory] == room
    assert all(tensor.shape[4] == WINDOW - 1 for tensor in stream._memory)


@pytest.mark.parametrize("stamp", [float("nan"), float("inf"), -float("inf")])
def test_a_stamp_that_is_no_time_is_refused(estimator, stamp):
    stream = estimator.stream()
    with pytest.raises(ImageError, match="finite number of seconds"):
        stream(frames(1)[0], stamp)
    assert stream.frames == 0


@pytest.mark.parametrize("window", [0, -1, 5])
def test_a_window_that_the_model_does_not_have_is_refused(estimator, window):
    with pytest.raises(ConfigError, match="from 1 to 4"):
        estimator.stream(window)


def test_a_model_without_temporal_head_says_what_to_do(small_model):
    plain = DepthEstimator.from_pretrained(small_model, device="cpu")
    assert plain.temporal_window == 0
    with pytest.raises(ModelError, match=r"d3epth-tiny-stream.*training\.stream"):
        plain.stream()


def test_too_little_memory_for_all_cameras_at_once(stream_model):
    """One camera at a time then, and each frame once."""
    short = DepthEstimator.of_model(DepthModel.from_pretrained(stream_model), "cpu")
    step = short.engine._model.step

    def one_fits(pixels, ages, memory):
        if len(pixels) > 1:
            raise MemoryError
        return step(pixels, ages, memory)

    short.engine._model.step = one_fits
    frugal = FrugalEstimator(short, lambda text: None)
    together, alone = ([short.stream() for _ in range(3)] for _ in range(2))
    for number in range(5):
        images = [frames(5, seed)[number] for seed in range(3)]
        found = frugal.infer_streams(images, together, [0.1 * number] * 3)
        for image, stream, disparity in zip(images, alone, found, strict=True):
            expected = short.infer_streams([image], [stream], [0.1 * number])[0]
            assert np.array_equal(disparity, expected)
    assert frugal.reduction == "batches of 1"


def test_a_smaller_resolution_is_a_new_size(estimator):
    stream = estimator.stream()
    for number, image in enumerate(frames(3)):
        stream(image, 0.1 * number)
    (disparity,) = estimator.infer_streams([frames(4)[3]], [stream], [0.3], (32, 48))
    assert disparity.shape == (16, 32)
    assert stream.resets == {SIZE: 1}
