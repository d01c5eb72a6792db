"""Compressed images: JPEG and PNG as cameras send them, whole and broken."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ros_messages import TYPES, header

from depth_distill_ros.errors import MessageError
from depth_distill_ros.ros.images import compressed_to_rgb, depth_from_image, picture

CompressedImage = TYPES["sensor_msgs/msg/CompressedImage"]


def scene() -> np.ndarray:
    """A colourful picture with detail everywhere, uint8 (96, 128, 3), RGB."""
    v, u = np.mgrid[:96, :128]
    planes = [2 * u, 255 - 2 * v, 128 + 100 * np.sin(u / 7) * np.cos(v / 5)]
    noise = np.random.default_rng(0).normal(0, 8, (96, 128, 1))
    return np.clip(np.stack(planes, axis=-1) + noise, 0, 255).astype(np.uint8)


SCENE = scene()


def encoded(extension: str, rgb: np.ndarray = SCENE, *options: int) -> bytes:
    pixels = rgb if rgb.ndim == 2 else rgb[..., ::-1]
    return cv2.imencode(extension, pixels, options)[1].tobytes()


JPEG = encoded(".jpg")
PROGRESSIVE = encoded(".jpg", SCENE, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
PNG = encoded(".png")


def compressed(data: bytes, format: str = "jpeg") -> object:
    return CompressedImage(header=header(), format=format, data=np.frombuffer(data, np.uint8))


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


@pytest.mark.parametrize("format", ["jpeg", "jpg", "rgb8; jpeg compressed bgr8", ""])
@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE], ids=["baseline", "progressive"])
def test_jpeg_as_ros_writes_it(format, data):
    decoded = compressed_to_rgb(compressed(data, format))
    assert decoded.dtype == np.uint8 and decoded.flags.c_contiguous
    assert decoded.shape == SCENE.shape
    assert np.abs(decoded.astype(int) - SCENE).mean() < 6


@pytest.mark.parametrize("format", ["png", "rgb8; png compressed bgr8"])
def test_png_is_lossless(format):
    assert np.array_equal(compressed_to_rgb(compressed(PNG, format)), SCENE)


def test_the_data_tells_the_kind_whatever_the_format_says():
    assert np.array_equal(compressed_to_rgb(compressed(PNG, "jpeg")), SCENE)


@pytest.mark.parametrize("extension", [".png", ".jpg"])
def test_grey_pictures_get_three_channels(extension):
    grey = np.full((24, 32), 77, np.uint8)
    decoded = compressed_to_rgb(compressed(encoded(extension, grey)))
    assert decoded.shape == (24, 32, 3) and (decoded == 77).all()


def test_sixteen_bits_become_eight():
    # As in a raw mono16 or rgb16 image: 128 is the last value that rounds to 0.
    grey = np.array([[0, 128, 129, 257 * 77, 65535]], np.uint16)
    decoded = compressed_to_rgb(compressed(encoded(".png", grey), "mono16; png compressed mono16"))
    assert decoded[0].tolist() == [[v, v, v] for v in (0, 0, 1, 77, 255)]
    colours = np.array([[[257, 257 * 2, 257 * 3]]], np.uint16)
    assert compressed_to_rgb(compressed(encoded(".png", colours))).tolist() == [[[1, 2, 3]]]


def test_alpha_is_left_out():
    rgba = np.dstack([SCENE[..., ::-1], np.zeros(SCENE.shape[:2], np.uint8)])
    data = cv2.imencode(".png", rgba)[1].tobytes()
    assert np.array_equal(compressed_to_rgb(compressed(data, "png")), SCENE)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_exif_orientation_turns_nothing(orientation):
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    tiff = b"MM\x00\x2a" + struct.pack(">IH", 8, 1) + entry + bytes(4)
    data = JPEG[:2] + segment(0xE1, b"Exif\0\0" + tiff) + JPEG[2:]
    turned = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    plain = compressed_to_rgb(compressed(JPEG))
    assert not np.array_equal(turned, plain)  # OpenCV would have turned it
    assert np.array_equal(compressed_to_rgb(compressed(data)), plain)


def test_jpeg_agrees_with_rosbags_image():
    rosbags_image = pytest.importorskip("rosbags.image")
    theirs = rosbags_image.message_to_cvimage(compressed(JPEG), "rgb8")
    assert np.array_equal(picture(compressed(JPEG)), theirs)


@pytest.mark.parametrize("data", [JPEG, PROGRESSIVE, PNG], ids=["baseline", "progressive", "png"])
@given(fraction=st.floats(0, 1, exclude_max=True))
def test_truncated_files_are_refused(data, fraction):
    # OpenCV 4 answers such a JPEG with whatever the memory held, often the picture before.
    compressed_to_rgb(compressed(data))
    with pytest.raises(MessageError):
        compressed_to_rgb(compressed(data[: int(fraction * len(data))]))


@pytest.mark.parametrize("missing", [1, 2, 3, 100])
def test_a_missing_end_is_named(missing):
    with pytest.raises(MessageError, match="truncated JPEG.*no end marker"):
        compressed_to_rgb(compressed(JPEG[:-missing]))


def test_the_end_of_a_thumbnail_is_not_the_end():
    thumbnail = encoded(".jpg", SCENE[::8, ::8])
    data = JPEG[:2] + segment(0xE1, b"Exif\0\0" + thumbnail) + JPEG[2:]
    assert np.array_equal(picture(compressed(data)), picture(compressed(JPEG)))
    with pytest.raises(MessageError, match="no end marker"):
        compressed_to_rgb(compressed(data[:-2]))


@pytest.mark.parametrize("start", [0.3, 0.6, 0.8])
def test_blocks_missing_at_the_end_are_noticed(start):
    # As when packets of a USB camera get lost: the end marker is there, OpenCV fills up with grey.
    at = int(start * len(JPEG))
    with pytest.raises(MessageError, match="lost a part of its data"):
        compressed_to_rgb(compressed(JPEG[:at] + JPEG[at + 1000 :]))
    with pytest.raises(MessageError, match="lost a part of its data"):
        compressed_to_rgb(compressed(JPEG[:at] + JPEG[-2:]))


@pytest.mark.parametrize("value", [127, 128, 129])
@pytest.mark.parametrize("progressive", [0, 1])
def test_grey_is_no_sign_of_loss(value, progressive):
    flat = np.full((40, 56, 3), value, np.uint8)
    corner = SCENE.copy()
    corner[-32:, -32:] = value
    for rgb in (flat, corner):
        data = encoded(".jpg", rgb, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
        assert abs(int(compressed_to_rgb(compressed(data))[-1, -1, 0]) - value) <= 1


@pytest.mark.parametrize("padding", [b"\0", bytes(500), b"\xff" * 9])
def test_bytes_after_the_end_do_not_matter(padding):
    assert np.array_equal(picture(compressed(JPEG + padding)), picture(compressed(JPEG)))


@given(
    data=st.sampled_from([JPEG, PROGRESSIVE, PNG]),
    changes=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=20),
)
def test_corrupt_files_are_decoded_or_refused(data, changes):
    broken = bytearray(data)
    for where, value in changes:
        broken[int(where * (len(data) - 1))] = value
    try:
        decoded = compressed_to_rgb(compressed(bytes(broken)))
    except MessageError:
        return
    assert decoded.dtype == np.uint8 and decoded.ndim == 3 and decoded.shape[2] == 3


@pytest.mark.parametrize("position", [0.2, 0.5, 0.9])
def test_a_corrupt_png_is_refused(position):
    broken = bytearray(PNG)
    broken[int(position * len(PNG))] ^= 0x55
    with pytest.raises(MessageError, match="cannot be decoded"):
        compressed_to_rgb(compressed(bytes(broken), "png"))


@pytest.mark.parametrize(
    ("data", "format", "what"),
    [
        (b"", "jpeg", "no data"),
        (b"\0" * 100, "jpeg", "100 bytes cannot be decoded"),
        (b"\xff\xd8\xff\xd9", "jpeg", "cannot be decoded"),
        (PNG, "16UC1; compressedDepth", "depth.*not a picture"),
        (PNG, "32FC1; compressedDepth png", "depth.*not a picture"),
    ],
)
def test_others_are_refused_with_a_reason(data, format, what):
    with pytest.raises(MessageError, match=what):
        picture(compressed(data, format))


def test_depth_is_not_read_from_compressed_images():
    with pytest.raises(MessageError, match="compressedDepth.*raw topic"):
        depth_from_image(compressed(PNG, "16UC1; compressedDepth"))
