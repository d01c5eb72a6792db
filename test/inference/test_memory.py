"""Inference with too little memory: what is tried, in which order, and when all is tried again."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.errors import OutOfMemoryError
from depth_distill_ros.inference.memory import FrugalEstimator

FULL = (200, 400)
IMAGE = np.zeros((20, 40, 3), np.uint8)


class LimitedEstimator:
    """Has room for `room` pixels a pass; answers the image's first value, at the size asked for."""

    resolution = FULL

    def __init__(self, room: int):
        self.room = room
        self.passes: list[tuple[int, tuple[int, int]]] = []

    def infer(self, images, resolution=None):
        height, width = resolution or self.resolution
        self.passes.append((len(images), (height, width)))
        if len(images) * height * width > self.room:
            raise OutOfMemoryError(f"no room for {len(images)} image(s)")
        return [np.full((height, width), image[0, 0, 0], np.float32) for image in images]


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def make():
    def build(images_of_room: float):
        estimator = LimitedEstimator(int(images_of_room * FULL[0] * FULL[1]))
        reports, clock = [], Clock()
        return FrugalEstimator(estimator, reports.append, clock), estimator, reports, clock

    return build


def images(count: int) -> list[np.ndarray]:
    return [np.full_like(IMAGE, number) for number in range(count)]


def first_values(disparities) -> list[float]:
    return [float(disparity[0, 0]) for disparity in disparities]


def test_what_fits_is_one_pass_at_the_models_own_size(make):
    frugal, estimator, reports, _ = make(4)
    assert first_values(frugal.infer(images(4))) == [0, 1, 2, 3]
    assert estimator.passes == [(4, FULL)] and reports == [] and frugal.reduction == ""


def test_batches_are_halved_until_they_fit_and_keep_the_order(make):
    frugal, estimator, reports, _ = make(1.5)
    assert first_values(frugal.infer(images(5))) == [0, 1, 2, 3, 4]
    assert [count for count, _ in estimator.passes] == [5, 3, 2, 1, 1, 1, 1, 1]
    assert frugal.reduction == "batches of 1"
    assert reports[-1] == "no room for 2 image(s); going on with batches of 1"
    estimator.passes.clear()
    frugal.infer(images(2))
    assert estimator.passes == [(1, FULL), (1, FULL)], "what is known to fail is not tried again"


@pytest.mark.parametrize(
    ("room", "size", "words"),
    [(0.6, (141, 283), "50%"), (0.3, (100, 200), "25%")],  # 200 * sqrt(1/2), 200 * sqrt(1/4)
)
def test_one_image_is_made_smaller_by_area(make, room, size, words):
    frugal, estimator, reports, _ = make(room)
    (disparity,) = frugal.infer(images(1))
    assert disparity.shape == size
    assert frugal.reduction == f"{words} of the model's resolution, one image at a time"
    assert len(reports) == len(estimator.passes) - 1
    assert first_values(frugal.infer(images(3))) == [0, 1, 2]


def test_at_the_smallest_it_is_an_error_and_the_next_call_tries_again(make):
    frugal, estimator, _, _ = make(0.2)
    with pytest.raises(OutOfMemoryError, match="no room for 1 image"):
        frugal.infer(images(2))
    assert [size for _, size in estimator.passes][-1] == (100, 200)
    with pytest.raises(OutOfMemoryError):
        frugal.infer(images(1))
    estimator.room = FULL[0] * FULL[1]
    assert frugal.infer(images(1))[0].shape == (100, 200)


def test_after_a_minute_without_trouble_the_full_size_is_tried_again(make):
    frugal, estimator, reports, clock = make(0.6)
    frugal.infer(images(1))
    clock.now += 59
    assert frugal.infer(images(1))[0].shape == (141, 283)
    clock.now += 2
    estimator.passes.clear()
    assert frugal.infer(images(1))[0].shape == (141, 283)  # memory is still short
    assert [size for _, size in estimator.passes] == [FULL, (141, 283)]
    estimator.room = 2 * FULL[0] * FULL[1]
    clock.now += 61
    assert frugal.infer(images(2))[1].shape == FULL
    assert frugal.reduction == "" and len(reports) == 2


def test_other_errors_pass_through(make):
    frugal, estimator, reports, _ = make(1)
    estimator.infer = lambda *_: 1 / 0
    with pytest.raises(ZeroDivisionError):
        frugal.infer(images(1))
    assert reports == []
