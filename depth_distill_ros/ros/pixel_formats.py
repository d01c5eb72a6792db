"""The pixel formats of sensor_msgs/Image that are decoded here: how bytes become RGB.

Every format is taken from the message as lines of `step` bytes, uint8 (lines, step), and turned
into a new contiguous uint8 array (H, W, 3), RGB.

16-bit values are brought to 8 bits first, 65535 to 255 and rounded; every further step is then that
of the 8-bit format. YUV is BT.601 with limited range (Y of black 16, of white 235), as OpenCV
converts it and cameras of the V4L2 and UVC kind send it. Bayer mosaics are interpolated bilinearly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

# Limited range BT.601, columns Y, U, V and 1: the coefficients that OpenCV uses for NV12.
_YUV_TO_RGB = np.array([[1.164, 0, 1.596], [1.164, -0.391, -0.813], [1.164, 2.018, 0]], np.float32)
_YUV_TO_RGB = np.hstack([_YUV_TO_RGB, _YUV_TO_RGB @ np.float32([[-16], [-128], [-128]])])


@dataclass(frozen=True)
class PixelFormat:
    """One way to store a picture.

    Attributes:
        pixel_bytes: bytes of a line for each pixel of the width.
        to_rgb: from the lines, the width, and whether 16-bit values are big-endian.
        half_lines: twice the number of lines for each row of the picture: chroma may follow luma.
        block: width and height must be multiples of these, because pixels share chroma.
        smallest: width and height must be at least this.
    """

    pixel_bytes: int
    to_rgb: Callable[[np.ndarray, int, bool], np.ndarray]
    half_lines: int = 2
    block: tuple[int, int] = (1, 1)
    smallest: int = 1


def sixteen_bits(lines: np.ndarray, values: int, big_endian: bool) -> np.ndarray:
    """The first `values` 16-bit values of every line, as contiguous native uint16 (lines, values).

    Shares memory with the lines where no byte has to move.
    """
    stored = lines[:, : 2 * values].view(">u2" if big_endian else "<u2")
    return np.ascontiguousarray(stored, dtype=np.uint16)


def eight_bits(values: np.ndarray) -> np.ndarray:
    """uint16 of any shape as uint8: the full range 0..65535 becomes 0..255, rounded."""
    # No value lies half-way between two steps of 257, so every way to round agrees.
    return cv2.convertScaleAbs(values, alpha=1 / 257).reshape(values.shape)


def _packed(
    channels: int,
    wide: bool,
    convert: Callable[[np.ndarray], np.ndarray],
    lines: np.ndarray,
    width: int,
    big_endian: bool,
) -> np.ndarray:
    """A picture whose lines hold one pixel after the other, of 8-bit or 16-bit (`wide`) values."""
    values = channels * width
    if wide:
        pixels = eight_bits(sixteen_bits(lines, values, big_endian))
    else:
        pixels = lines[:, :values]
    shape = (len(lines), width) if channels == 1 else (len(lines), width, channels)
    return convert(pixels.reshape(shape))


def _luma_then_half_chroma(
    code: int, lines: np.ndarray, width: int, big_endian: bool
) -> np.ndarray:
    """NV12 and NV21: full-size Y, then pairs of U and V for every 2x2 pixels, in lines alike."""
    return cv2.cvtColor(lines[:, :width], code)


def _luma_then_full_chroma(lines: np.ndarray, width: int, big_endian: bool) -> np.ndarray:
    """NV24: Y, then U and V for every pixel in lines of twice the length."""
    height = len(lines) // 3
    step = lines.shape[1]
    luma = lines[:height, :width]
    chroma = lines[height:].reshape(height, 2 * step)[:, : 2 * width]
    yuv = np.empty((height, width, 3), np.uint8)
    np.maximum(luma, 16, out=yuv[..., 0])  # OpenCV takes what is below black for black, too
    yuv[..., 1:] = chroma.reshape(height, width, 2)
    return cv2.transform(yuv, _YUV_TO_RGB)


def _by(code: int) -> Callable[[np.ndarray], np.ndarray]:
    return partial(cv2.cvtColor, code=code)


def _formats() -> dict[str, PixelFormat]:
    colours = {  # what each is made of, and how it becomes RGB
        "rgb": (3, np.array),  # a copy
        "bgr": (3, _by(cv2.COLOR_BGR2RGB)),
        "rgba": (4, _by(cv2.COLOR_RGBA2RGB)),
        "bgra": (4, _by(cv2.COLOR_BGRA2RGB)),
        "mono": (1, _by(cv2.COLOR_GRAY2RGB)),
    }
    # These names of OpenCV's are those of ROS, the first two pixels of the first two rows. Its
    # older names (BayerBG for rggb) are those of the second row and column.
    mosaics = {
        "bayer_rggb": _by(cv2.COLOR_BayerRGGB2RGB),
        "bayer_bggr": _by(cv2.COLOR_BayerBGGR2RGB),
        "bayer_gbrg": _by(cv2.COLOR_BayerGBRG2RGB),
        "bayer_grbg": _by(cv2.COLOR_BayerGRBG2RGB),
    }
    formats = {}
    for bits, wide in ((8, False), (16, True)):
        for name, (channels, convert) in colours.items():
            to_rgb = partial(_packed, channels, wide, convert)
            formats[f"{name}{bits}"] = PixelFormat(channels * bits // 8, to_rgb)
    for bits, wide in ((8, False), (16, True)):
        for name, convert in mosaics.items():
            # OpenCV makes a black picture of a mosaic that is smaller.
            to_rgb = partial(_packed, 1, wide, convert)
            formats[f"{name}{bits}"] = PixelFormat(bits // 8, to_rgb, smallest=3)
    for names, code in (
        (("yuv422", "uyvy"), cv2.COLOR_YUV2RGB_UYVY),
        (("yuv422_yuy2", "yuyv"), cv2.COLOR_YUV2RGB_YUY2),
    ):
        to_rgb = partial(_packed, 2, False, _by(code))
        formats.update({name: PixelFormat(2, to_rgb, block=(2, 1)) for name in names})
    for name, code in (("nv12", cv2.COLOR_YUV2RGB_NV12), ("nv21", cv2.COLOR_YUV2RGB_NV21)):
        to_rgb = partial(_luma_then_half_chroma, code)
        formats[name] = PixelFormat(1, to_rgb, half_lines=3, block=(2, 2))
    formats["nv24"] = PixelFormat(1, _luma_then_full_chroma, half_lines=6)
    # OpenCV's names for arrays without a meaning; ROS takes them for these.
    aliases = {"8UC1": "mono8", "8UC3": "bgr8", "8UC4": "bgra8"}
    return {**formats, **{alias: formats[name] for alias, name in aliases.items()}}


FORMATS = _formats()
"""Every encoding of sensor_msgs/Image that is decoded here, by its name."""
