"""What is stored comes back: images exactly, depth to the stated precision."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import DataError
from training.data.samples import (
    bottom_centre,
    decode,
    decode_depth,
    decode_rgb,
    encode_depth,
    encode_rgb,
)


@given(st.lists(st.floats(0.01, 1000.0), min_size=1, max_size=50))
def test_depth_keeps_its_precision(values):
    depth = np.array([values], np.float32)
    assert decode_depth(encode_depth(depth), "log16", "x") == pytest.approx(depth, rel=8.9e-5)


def test_sky_and_unknown_come_back():
    depth = np.array([[0.0, np.nan, 1e-4, 1e5, 3.0]], np.float32)
    back = decode_depth(encode_depth(depth), "log16", "x")[0]
    assert back[0] == 0 and np.isnan(back[1])
    assert back[[2, 3]] == pytest.approx([0.01, 1000.0])


def test_centimetres():
    code = np.array([[0, 1, 7999, 8000, 65535]], np.uint16)
    depth = decode_depth(cv2.imencode(".png", code)[1].tobytes(), "cm16", "x")[0]
    assert np.isnan(depth[0]) and depth[1:] == pytest.approx([0.01, 79.99, 0, 0])


def test_images_come_back():
    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    data, suffix = encode_rgb(rgb)
    assert suffix == "png" and np.array_equal(decode_rgb(data, "x"), rgb)
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    data, suffix = encode_rgb(flat, jpeg=95)
    assert suffix == "jpg" and np.abs(decode_rgb(data, "x").astype(int) - flat).max() <= 2


def test_the_crop_touches_the_lower_edge():
    image = np.arange(12).reshape(3, 4)
    assert bottom_centre(image, (2, 2)).tolist() == [[5, 6], [9, 10]]
    with pytest.raises(DataError, match="smaller than its crop"):
        bottom_centre(image, (4, 2))


def test_what_cannot_be_decoded_is_named():
    rgb, _ = encode_rgb(np.zeros((4, 4, 3), np.uint8))
    depth = encode_depth(np.ones((4, 5), np.float32))
    with pytest.raises(DataError, match="a/b"):
        decode(rgb, depth, "log16", None, "a/b")
    with pytest.raises(DataError, match="the image of a/b cannot be read"):
        decode(b"", depth, "log16", None, "a/b")
    with pytest.raises(DataError, match="16 bits"):
        decode(rgb, rgb, "log16", None, "a/b")
    with pytest.raises(DataError, match="expected one of log16, cm16"):
        decode(rgb, depth, "mm", None, "a/b")
