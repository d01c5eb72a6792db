"""Image files, read and written."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from depth_distill_ros.errors import ImageError
from depth_distill_ros.evaluation.images import read_rgb, write_image


def test_png_round_trip_keeps_the_channel_order(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_image(tmp_path / "image.png", rgb)
    np.testing.assert_array_equal(read_rgb(tmp_path / "image.png"), rgb)
    assert [path.name for path in tmp_path.iterdir()] == ["image.png"]


def test_grey_alpha_and_16_bit_images_become_rgb8(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((4, 4), 7, np.uint8))
    cv2.imwrite(str(tmp_path / "alpha.png"), np.full((4, 4, 4), 9, np.uint8))
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((4, 4, 3), 3 * 256, np.uint16))
    for name, value in (("grey", 7), ("alpha", 9), ("deep", 3)):
        image = read_rgb(tmp_path / f"{name}.png")
        assert image.shape == (4, 4, 3) and image.dtype == np.uint8
        assert (image == value).all()


def test_unreadable_images_say_so(tmp_path):
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "empty.png").touch()
    whole = cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes()
    (tmp_path / "cut.png").write_bytes(whole[:20])
    for name in ("text", "empty", "cut"):
        with pytest.raises(ImageError, match=f"{name}.png is not an image"):
            read_rgb(tmp_path / f"{name}.png")
    with pytest.raises(ImageError, match="no file"):
        read_rgb(tmp_path / "absent.png")
    with pytest.raises(ImageError, match="cannot be read"):
        read_rgb(tmp_path)
