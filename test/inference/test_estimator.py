"""One path for inference: any size and aspect, clear errors, the stated ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError, ImageError, ModelError
from depth_distill_ros.inference.estimator import (
    DepthEstimator,
    check_image,
    resize_image,
    working_size,
)
from depth_distill_ros.inference.torch_engine import choose_device
from depth_distill_ros.models.depth_model import DepthModel


@pytest.fixture(scope="module", params=["tiny", "tiny-prior"])
def estimator(request, tmp_path_factory) -> DepthEstimator:
    folder = tmp_path_factory.mktemp("model") / request.param
    DepthModel.from_preset(request.param, seed=0, resolution=(64, 96)).save_pretrained(folder)
    return DepthEstimator.from_pretrained(folder, device="cpu")


@pytest.mark.parametrize("size", [(32, 32), (33, 479), (480, 640), (2160, 3840), (4096, 32)])
def test_disparity_has_the_size_of_the_input(estimator, size):
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    result = estimator(rgb)
    assert result.disparity.shape == result.valid.shape == size
    assert result.disparity.dtype == np.float32 and result.valid.dtype == bool
    assert result.valid.all()
    assert 0 <= result.disparity.min() <= result.disparity.max() <= 1


def test_non_contiguous_images_are_read_right(estimator):
    rgb = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    mirrored = rgb[:, ::-1]
    expected = estimator(np.ascontiguousarray(mirrored)).disparity
    assert np.array_equal(estimator(mirrored).disparity, expected)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((64, 64, 3), np.float32), "uint8"),
        (np.zeros((64, 64), np.uint8), "shape"),
        (np.zeros((64, 64, 4), np.uint8), "shape"),
        (np.zeros((16, 64, 3), np.uint8), "64x16"),
        (np.zeros((64, 5000, 3), np.uint8), "4096"),
        ([[1]], "list"),
    ],
)
def test_wrong_images_are_refused_with_a_reason(image, message):
    with pytest.raises(ImageError, match=message):
        check_image(image)


@given(
    height=st.integers(32, 4096), width=st.integers(32, 4096), multiple=st.sampled_from([32, 64])
)
@settings(max_examples=200)
def test_working_size_is_a_multiple_and_bounded(height, width, multiple):
    size = working_size(height, width, (192, 256), multiple)
    assert all(side >= multiple and side % multiple == 0 for side in size)
    assert size[0] * size[1] <= 3 * 192 * 256 + 64 * max(size)


@pytest.mark.parametrize(
    ("size", "expected"),
    [((480, 640), (192, 256)), ((192, 256), (192, 256)), ((375, 1242), (128, 416))],
)
def test_working_size_by_hand(size, expected):
    assert working_size(*size, (192, 256), 32) == expected


def test_shrinking_averages_areas():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[:2, :2] = 100
    assert resize_image(rgb, (2, 2))[..., 0].tolist() == [[100, 0], [0, 0]]


def test_devices():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda")
    with pytest.raises(ConfigError, match="there is no device 'tpu'"):
        choose_device("tpu")


def test_a_missing_model_is_named():
    with pytest.raises(ModelError, match="there is no model 'no-such-model'"):
        DepthEstimator.from_pretrained("no-such-model")
