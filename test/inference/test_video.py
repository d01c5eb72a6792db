"""Depth of long videos: how windows are cut, fitted and blended, and what is held of a video."""

from __future__ import annotations

import weakref
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ImageError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.video import blend, join, predict_video, way, window_fit, windows

SIZE = (32, 40)
NAN = np.float32(np.nan)


class Windowed:
    """A video model that knows the truth: frame n, whose pixels are n, has disparity `truth[n]`.

    Each window has a scale and a shift of its own, those of the list in turn.
    """

    temporal_window = 0

    def __init__(self, truth: np.ndarray, frames: int, overlap: int, affine=((1.0, 0.0),)):
        self.truth, self.frames, self.overlap = truth, frames, overlap
        self._affine, self.seen = affine, []

    def infer_clip(self, images, stamps, resolution=None) -> list[np.ndarray]:
        scale, shift = self._affine[len(self.seen) % len(self._affine)]
        numbers = [int(image[0, 0, 0]) for image in images]
        assert list(stamps) == [number / 10 for number in numbers]
        self.seen.append(numbers)
        return [np.float32(scale * self.truth[number] + shift) for number in numbers]


def film(count: int, size=SIZE) -> Iterator[tuple[np.ndarray, float]]:
    """Frames whose number is their grey level, at 10 Hz."""
    return ((np.full((*size, 3), number, np.uint8), number / 10) for number in range(count))


def seen(length: int, overlap: int, count: int) -> list[tuple[list[int], int]]:
    """The windows of a video whose frames are numbers."""
    return [(list(window), new) for window, new in windows(range(count), length, overlap)]


def test_windows_share_frames_and_the_last_ends_with_the_video():
    assert seen(5, 2, 11) == [
        ([0, 1, 2, 3, 4], 5), ([3, 4, 5, 6, 7], 3), ([6, 7, 8, 9, 10], 3)
    ]  # fmt: skip
    assert seen(5, 2, 9) == [([0, 1, 2, 3, 4], 5), ([3, 4, 5, 6, 7], 3), ([4, 5, 6, 7, 8], 1)]
    assert seen(5, 2, 5) == [([0, 1, 2, 3, 4], 5)]
    assert seen(5, 2, 3) == [([0, 1, 2], 3)]
    assert seen(3, 0, 6) == [([0, 1, 2], 3), ([3, 4, 5], 3)]
    assert seen(5, 2, 0) == []


def test_a_fit_by_hand():
    values = [np.float32([[0, 1], [2, NAN]]), np.float32([[3, 4], [5, 6]])]
    target = [np.float32([[5, 7], [9, 9]]), np.float32([[11, 13], [NAN, 17]])]
    assert window_fit(values, target) == pytest.approx((2, 5))
    # (0, 1), (1, 2), (2, 6): slopes 5/2 and 5/14, and the root of their quotient is that of 7
    fit = window_fit([np.float32([0, 1, 2])], [np.float32([1, 2, 6])])
    assert fit == pytest.approx((7**0.5, 3 - 7**0.5))


def test_what_cannot_be_fitted_keeps_its_scale():
    rising = np.float32([0, 1, 2])
    assert window_fit([], []) == (1, 0)
    assert window_fit([rising], [np.full(3, NAN)]) == (1, 0)
    assert window_fit([np.ones(3, np.float32)], [rising + 4]) == (1, 4)  # constant: 5 - 1
    assert window_fit([rising], [6 - rising]) == (1, 4)  # upside down: 5 - 1


def test_a_blend_by_hand():
    first, second = np.float32([0, 4, NAN, 2, NAN]), np.float32([4, 0, 3, NAN, NAN])
    np.testing.assert_allclose(blend(first, second, 0.25), [1, 3, 3, 2, NAN])
    assert blend(first, second, 0.25).dtype == np.float32


def test_windows_fade_into_each_other():
    # Twice the later window, and 1, is the one before: nothing is left to blend.
    before = [np.float32([1, 3, 5]), np.float32([3, 5, 7])]
    after = [np.float32([0, 1, 2]), np.float32([1, 2, 3]), np.float32([0, 0, 10])]
    joined = join(before, after)
    np.testing.assert_allclose(joined, [[1, 3, 5], [3, 5, 7], [1, 1, 21]], atol=1e-5)
    # Means 3 and 3, variances 9 / 2 and 9: the scale is the root of 2. A third of the later window
    # is blended into the first frame, two thirds into the second.
    before = [np.float32([0, 0, 6, 6]), np.float32([0, 0, 6, 6])]
    after = [np.float32([0, 3, 3, 6]), np.float32([0, 3, 3, 6])]
    later = 3 + 3 * 2**0.5 * np.array([-1, 0, 0, 1])
    for share, found in zip((1 / 3, 2 / 3), join(before, after), strict=True):
        expected = (1 - share) * before[0] + share * later
        np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_array_equal(join([], after), after)


@given(
    seed=st.integers(0, 2**32 - 1),
    frames=st.integers(2, 7),
    count=st.integers(1, 30),
    data=st.data(),
)
def test_windows_that_are_affine_maps_of_the_truth_give_it_up_to_one(seed, frames, count, data):
    overlap = data.draw(st.integers(1, frames - 1))
    rng = np.random.default_rng(seed)
    truth = rng.random((count, *SIZE), np.float32)
    truth[rng.random(truth.shape) < 0.1] = NAN
    affine = [(rng.uniform(0.5, 2), rng.uniform(-1, 1)) for _ in range(29)]
    estimator = Windowed(truth, frames, overlap, affine)
    result = np.stack(list(predict_video(estimator, film(count))))
    assert result.dtype == np.float32 and result.shape == truth.shape
    scale, shift = affine[0]
    np.testing.assert_allclose(result, scale * truth + shift, atol=1e-3)
    whole = min(frames, count)
    assert {len(numbers) for numbers in estimator.seen} == {whole}
    assert estimator.seen[-1][-1] == count - 1


def test_the_range_does_not_shrink_where_windows_differ():
    rng = np.random.default_rng(0)
    truth = rng.random((62, *SIZE), np.float32)

    class Noisy(Windowed):
        def infer_clip(self, images, stamps, resolution=None):
            exact = super().infer_clip(images, stamps)
            return [np.float32(each + rng.normal(0, 0.05, SIZE)) for each in exact]

    estimator = Noisy(truth, 4, 2)
    result = list(predict_video(estimator, film(62)))
    assert len(estimator.seen) == 30
    slope = np.polyfit(truth[-1].ravel(), result[-1].ravel(), 1)[0]
    assert slope == pytest.approx(1, abs=0.1)  # least squares one way would leave 0.4


def test_windows_that_share_nothing_stay_as_they_are():
    truth = np.random.default_rng(0).random((5, *SIZE), np.float32)
    result = list(predict_video(Windowed(truth, 2, 0, [(1, 0), (2, 0), (3, 0)]), film(5)))
    np.testing.assert_allclose(result, truth * np.float32([1, 1, 2, 2, 3])[:, None, None])


@pytest.mark.parametrize(("frames", "overlap"), [(6, 2), (6, 5), (6, 0)])
def test_a_window_of_frames_is_held_at_most(frames, overlap):
    truth = np.random.default_rng(0).random((40, *SIZE), np.float32)
    alive = weakref.WeakSet()
    read, most = 0, 0

    class Frame(np.ndarray):
        __hash__ = object.__hash__

    def counted() -> Iterator[tuple[np.ndarray, float]]:
        nonlocal read, most
        for number in range(40):
            frame = np.full((*SIZE, 3), number, np.uint8).view(Frame)
            alive.add(frame)
            most = max(most, len(alive))
            read += 1
            stamped = (frame, number / 10)
            del frame
            yield stamped
            del stamped

    ahead = []
    for given_out, _ in enumerate(predict_video(Windowed(truth, frames, overlap), counted())):
        ahead.append(read - given_out)
    assert len(ahead) == 40
    assert max(ahead) <= frames + 1  # the one that is given out is among them
    assert most <= frames + 2  # one comes in, and one is on its way


def test_an_image_of_another_size_begins_a_video_of_its_own():
    truth = np.ones((4, *SIZE), np.float32)
    video = [*film(3), *film(4, (40, 32))]
    estimator = Windowed(truth, 2, 1)
    shapes = [disparity.shape for disparity in predict_video(estimator, video)]
    assert shapes == [SIZE] * 3 + [(40, 32)] * 4
    assert estimator.seen == [[0, 1], [1, 2], [0, 1], [1, 2], [2, 3]]


def noise(count: int, size=(48, 72)) -> list[tuple[np.ndarray, float]]:
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for _ in range(count)]
    return [(frame, 0.1 * number) for number, frame in enumerate(frames)]


def test_a_video_model_sees_windows(video_model):
    estimator = DepthEstimator.from_pretrained(video_model, "cpu")
    assert way(estimator) == "windows of 5 frames, 2 of them shared"
    video = noise(7)
    result = list(predict_video(estimator, iter(video)))
    assert len(result) == 7 and {each.shape for each in result} == {(48, 72)}
    # the first window, whose last two frames are blended
    images, stamps = zip(*video[:5])
    first = estimator.infer_clip(images, stamps)
    (short,) = predict_video(estimator, video[:1])
    assert not np.allclose(short, result[0])
    whole = list(predict_video(estimator, video[:5]))
    for number in range(3):
        np.testing.assert_array_equal(result[number], whole[number])
        assert first[number].shape == (64, 96)
    assert not np.array_equal(result[4], whole[4])


def test_a_streaming_model_streams_and_another_takes_each_image(stream_model, small_model):
    video = noise(3)
    estimator = DepthEstimator.from_pretrained(stream_model, "cpu")
    stream = estimator.stream()
    expected = [stream(rgb, stamp).disparity for rgb, stamp in video]
    np.testing.assert_array_equal(list(predict_video(estimator, video)), expected)
    assert way(estimator) == "a stream of 4 frames in sight"
    estimator = DepthEstimator.from_pretrained(small_model, "cpu")
    expected = [estimator(rgb).disparity for rgb, _ in video]
    np.testing.assert_array_equal(list(predict_video(estimator, video)), expected)
    assert way(estimator) == "each image by itself"


@pytest.mark.parametrize("fixture", ["video_model", "stream_model", "small_model"])
def test_frames_that_no_model_takes_are_refused(fixture, request):
    estimator = DepthEstimator.from_pretrained(request.getfixturevalue(fixture), "cpu")
    with pytest.raises(ImageError):
        next(predict_video(estimator, [(np.zeros((8, 8, 3), np.uint8), 0.0)]))
    assert list(predict_video(estimator, [])) == []
