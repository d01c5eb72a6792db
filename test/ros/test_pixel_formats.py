"""Pixel formats by hand-computed bytes and known colours."""

from __future__ import annotations

import struct
from array import array

import numpy as np
import pytest
from ros_messages import image, image_of_lines

from depth_distill_ros.ros.images import image_to_rgb


@pytest.mark.parametrize(
    ("encoding", "pixel", "rgb"),
    [
        ("rgb8", [10, 20, 30], [10, 20, 30]),
        ("bgr8", [10, 20, 30], [30, 20, 10]),
        ("8UC3", [10, 20, 30], [30, 20, 10]),
        ("rgba8", [10, 20, 30, 99], [10, 20, 30]),
        ("bgra8", [10, 20, 30, 99], [30, 20, 10]),
        ("8UC4", [10, 20, 30, 99], [30, 20, 10]),
        ("mono8", [10], [10, 10, 10]),
        ("8UC1", [10], [10, 10, 10]),
    ],
)
@pytest.mark.parametrize("padding", [0, 1, 5])
def test_eight_bit_encodings_by_hand(encoding, pixel, rgb, padding):
    row = bytes(pixel) + bytes(len(pixel)) + b"\xee" * padding  # a pixel, a black one, padding
    message = image(np.zeros((2, 2), np.uint8), encoding, step=len(row), data=array("B", row + row))
    decoded = image_to_rgb(message)
    assert decoded.tolist() == [[rgb, [0, 0, 0]]] * 2
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous


@pytest.mark.parametrize(
    ("encoding", "channels", "rgb"),
    [
        ("rgb16", 3, [1, 77, 255]),
        ("bgr16", 3, [255, 77, 1]),
        ("rgba16", 4, [1, 77, 255]),
        ("bgra16", 4, [255, 77, 1]),
    ],
)
@pytest.mark.parametrize(("is_bigendian", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize("padding", [0, 3])
def test_sixteen_bit_colours_by_hand(encoding, channels, rgb, is_bigendian, order, padding):
    pixel = [257, 257 * 77, 65535, 4321][:channels]
    row = struct.pack(f"{order}{2 * channels}H", *pixel, *[128] * channels)  # 128 rounds down to 0
    lines = np.frombuffer(row * 2, np.uint8).reshape(2, -1)
    decoded = image_to_rgb(
        image_of_lines(lines, encoding, 2, 2, padding, is_bigendian=is_bigendian)
    )
    assert decoded.tolist() == [[rgb, [0, 0, 0]]] * 2


@pytest.mark.parametrize(("is_bigendian", "order"), [(0, "<"), (1, ">")])
@pytest.mark.parametrize("padding", [0, 3])
def test_mono16_by_hand(is_bigendian, order, padding):
    # Full scale is 255; 128 is the last value that rounds down to 0, 129 the first of 1.
    values, expected = [0, 128, 129, 257 * 77, 65535], [0, 0, 1, 77, 255]
    row = struct.pack(f"{order}5H", *values) + b"\xee" * padding
    message = image(
        np.zeros((1, 5), np.uint8), "mono16", is_bigendian=is_bigendian, step=len(row), data=row
    )
    assert image_to_rgb(message)[0].tolist() == [[v, v, v] for v in expected]


def test_sixteen_bits_are_the_nearest_of_255_steps():
    values = np.arange(65536).reshape(256, 256)
    decoded = image_to_rgb(image(values.astype("<u2"), "mono16"))
    assert np.array_equal(decoded[..., 0], np.round(values * 255 / 65535))


@pytest.mark.parametrize("name", ["bayer_rggb", "bayer_bggr", "bayer_gbrg", "bayer_grbg"])
@pytest.mark.parametrize("wide", [False, True])
@pytest.mark.parametrize("size", [(8, 6), (3, 3), (7, 5)])
def test_mosaics_of_one_colour(name, wide, size):
    width, height = size
    colour = {"r": 200, "g": 100, "b": 50}
    tile = np.array([colour[letter] for letter in name.split("_")[1]]).reshape(2, 2)
    mosaic = np.tile(tile, (4, 4))[:height, :width]
    pixels = (mosaic * 257).astype("<u2") if wide else mosaic.astype(np.uint8)
    decoded = image_to_rgb(image(pixels, f"{name}{16 if wide else 8}"))
    assert decoded.shape == (height, width, 3)
    assert (decoded == [200, 100, 50]).all()


# Limited range BT.601: Y of 16 is black, of 235 white; U and V of 128 are no colour.
YUV = {
    (16, 128, 128): (0, 0, 0),
    (235, 128, 128): (255, 255, 255),
    (126, 128, 128): (128, 128, 128),
    (81, 90, 240): (255, 0, 0),
    (145, 54, 34): (0, 255, 0),
    (41, 240, 110): (0, 0, 255),
}


def yuv_lines(encoding: str, colours: list[tuple[int, int, int]]) -> np.ndarray:
    """Lines of two rows, with two pixels of each colour in each row."""
    y, u, v = (np.array(plane, np.uint8) for plane in zip(*colours))
    pair = {
        "yuv422": (u, y, v, y),
        "uyvy": (u, y, v, y),
        "yuyv": (y, u, y, v),
        "yuv422_yuy2": (y, u, y, v),
    }
    if encoding in pair:
        return np.stack([np.stack(pair[encoding], axis=-1).ravel()] * 2)
    luma = np.stack([np.repeat(y, 2)] * 2)
    if encoding == "nv24":
        chroma = np.stack([u, v] * 2, axis=-1).ravel()
        return np.concatenate([luma, chroma.reshape(2, -1), chroma.reshape(2, -1)])
    chroma = np.stack([v, u] if encoding == "nv21" else [u, v], axis=-1).ravel()
    return np.concatenate([luma, chroma[None]])


@pytest.mark.parametrize(
    "encoding", ["yuv422", "uyvy", "yuyv", "yuv422_yuy2", "nv12", "nv21", "nv24"]
)
@pytest.mark.parametrize("padding", [0, 4])
def test_yuv_by_hand(encoding, padding):
    lines = yuv_lines(encoding, list(YUV))
    if encoding == "nv24" and padding:  # a line of chroma is as long as two, and padded at its end
        luma, chroma = lines[:2], lines[2:].reshape(2, -1)
        luma = np.pad(luma, ((0, 0), (0, padding)))
        chroma = np.pad(chroma, ((0, 0), (0, 2 * padding)))
        lines, padding = np.concatenate([luma, chroma.reshape(4, -1)]), 0
    decoded = image_to_rgb(image_of_lines(lines, encoding, 2 * len(YUV), 2, padding))
    expected = np.repeat(np.array([list(YUV.values())] * 2), 2, axis=1)
    assert decoded.shape == expected.shape and decoded.flags.c_contiguous
    assert np.abs(decoded.astype(int) - expected).max() <= 2


def test_all_chroma_agrees_with_a_quarter_of_it():
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, (8, 10), dtype=np.uint8)
    chroma = rng.integers(0, 256, (4, 5, 2), dtype=np.uint8)
    every = chroma.repeat(2, axis=0).repeat(2, axis=1)
    quarter = image_of_lines(np.concatenate([luma, chroma.reshape(4, 10)]), "nv12", 10, 8)
    full = image_of_lines(np.concatenate([luma, every.reshape(16, 10)]), "nv24", 10, 8)
    difference = image_to_rgb(quarter).astype(int) - image_to_rgb(full)
    assert np.abs(difference).max() <= 1
