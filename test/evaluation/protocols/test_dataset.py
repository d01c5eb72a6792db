"""Decoding, crops and masks, by hand-computed values."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.protocols.dataset import (
    crop_window,
    open_benchmark,
    resize_to_edge,
    valid_pixels,
)
from depth_distill_ros.evaluation.protocols.decoding import decode_depth
from depth_distill_ros.evaluation.protocols.definition import (
    Crop,
    DepthFormat,
    Region,
    Valid,
    load_definition,
)

MILLIMETRES = DepthFormat("png", 1000.0)


def png(values, dtype=np.uint16) -> bytes:
    return cv2.imencode(".png", np.array(values, dtype))[1].tobytes()


def npy(values, dtype=np.float32) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype))
    return file.getvalue()


def test_depth_is_decoded_to_metres():
    depth = decode_depth(png([[1500, 0]]), MILLIMETRES, (1, 2), "a")
    assert depth.dtype == np.float32 and depth.tolist() == [[1.5, 0.0]]
    assert decode_depth(png([[640]]), DepthFormat("png", 256.0), (1, 1), "a").tolist() == [[2.5]]
    raw = np.array([2.0, np.inf, np.nan, 4.0], "<f4").tobytes()
    depth = decode_depth(raw, DepthFormat("float32"), (2, 2), "a")
    assert depth.tolist() == [[2.0, 0.0], [0.0, 4.0]]
    for shape in ((1, 2), (1, 2, 1)):
        depth = decode_depth(npy(np.full(shape, 3.0)), DepthFormat("npy"), (9, 9), "a")
        assert depth.tolist() == [[3.0, 3.0]]


@pytest.mark.parametrize(
    ("data", "how", "message"),
    [
        (png([[1]], np.uint8), MILLIMETRES, "16 bits"),
        (png([[[1, 2, 3]]]), MILLIMETRES, "16 bits"),
        (b"no image", MILLIMETRES, "not an image"),
        (b"1234", DepthFormat("float32"), "4 bytes; .* 2x1 pixels, would have 8"),
        (b"no array", DepthFormat("npy"), "not a .npy file"),
        (npy(np.zeros((2, 2, 2))), DepthFormat("npy"), "one number a pixel"),
    ],
)
def test_other_files_are_refused(data, how, message):
    with pytest.raises(DataError, match=message):
        decode_depth(data, how, (1, 2), "a.png")


def test_the_ends_of_the_range_are_not_valid():
    depth = np.array([[0.0, 0.001, 0.002, 9.999, 10.0, 11.0]], np.float32)
    valid = valid_pixels(depth, Valid(range=(1e-3, 10.0)), None)
    assert valid.tolist() == [[False, False, True, True, False, False]]


def test_mask_and_region_narrow_what_is_valid():
    depth = np.ones((4, 4), np.float32)
    depth[1, 1] = 0
    mask = np.ones((4, 4), bool)
    mask[2, 2] = False
    valid = valid_pixels(depth, Valid(region=Region("pixels", (1, 3), (1, 4))), mask)
    assert valid.sum() == 4 and not valid[1, 1] and not valid[2, 2]
    assert not valid[0].any() and not valid[3].any() and not valid[:, 0].any()


def test_the_crop_is_at_the_bottom_and_in_the_middle():
    crop = Crop(352, 1216)
    assert crop_window((375, 1242), crop, "a") == (slice(23, 375), slice(13, 1229))
    assert crop_window((376, 1241), crop, "a") == (slice(24, 376), slice(12, 1228))
    assert crop_window((352, 1216), crop, "a") == (slice(0, 352), slice(0, 1216))
    with pytest.raises(DataError, match="1215x352 pixels: too small for 1216x352"):
        crop_window((352, 1215), crop, "a")


def test_images_get_their_long_edge_rounded_down():
    shapes = {(4032, 6048): (504, 756), (333, 1000): (251, 756), (100, 50): (756, 378)}
    for shape, expected in shapes.items():
        assert resize_to_edge(np.zeros((*shape, 3), np.uint8), 756).shape[:2] == expected
    image = np.zeros((5, 7, 3), np.uint8)
    assert resize_to_edge(image, None).shape == (5, 7, 3)


def test_kitti_images_are_cropped_together_with_their_depth(benchmarks, miniature):
    images = open_benchmark(load_definition("kitti"), benchmarks)
    assert len(images.pairs.dropped) == 1 and images.partial
    image = images[1]  # …69.png, 375x1242
    assert image.rgb.shape == (352, 1216, 3) and image.depth.shape == (352, 1216)
    whole = miniature.room(11, 375, 1242, 3.0, 80.0)[23:, 13:1229]
    measured = image.depth > 0
    assert np.abs(image.depth - whole)[measured].max() <= 0.5 / 256 + 1e-5
    assert image.valid[117:321, 43:1172].any()
    image.valid[117:321, 43:1172] = False
    assert not image.valid.any()


def test_nyu_of_another_size_is_refused(benchmarks, tmp_path):
    folder = tmp_path / "test" / "room"
    folder.mkdir(parents=True)
    (folder / "rgb_0001.png").write_bytes(png(np.zeros((24, 32, 3)), np.uint8))
    (folder / "depth_0001.png").write_bytes(png(np.ones((24, 32))))
    with pytest.raises(DataError, match="32x24 pixels; NYUv2 is measured at 640x480"):
        open_benchmark(load_definition("nyuv2"), tmp_path)[0]


def test_images_are_not_turned_by_their_exif_tag(tmp_path):
    from PIL import Image

    folder = tmp_path / "scene0001_00"
    (folder / "color").mkdir(parents=True)
    (folder / "depth").mkdir()
    image = Image.new("RGB", (32, 24))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees
    image.save(folder / "color" / "000000.jpg", exif=exif)
    (folder / "depth" / "000000.png").write_bytes(png(np.ones((24, 32))))
    images = open_benchmark(load_definition("scannet"), tmp_path)
    assert images[0].rgb.shape == (24, 32, 3)
    (folder / "color" / "000000.jpg").write_bytes(b"broken")
    with pytest.raises(ImageError, match="color/000000.jpg"):
        images[0]
