"""What an image is compared with, from a file's bytes: depth, masks and mattes."""

from __future__ import annotations

import io

import cv2
import numpy as np

from depth_distill_ros.errors import ConfigError, DataError, ImageError
from depth_distill_ros.evaluation.images import decode_image
from depth_distill_ros.evaluation.protocols.definition import DepthFormat

DPT_TAG = 202021.25
"""The first number of a depth file of Sintel: "PIEH" as a float."""


def decode_depth(data: bytes, how: DepthFormat, size: tuple[int, int], name: str) -> np.ndarray:
    """A depth file as float32 (H, W) metres, 0 where it is not finite.

    `size` is the (height, width) of raw files, which have no header: that of their image.
    Raises DataError for a file of another kind or size, ConfigError without h5py where it is needed.
    """
    if how.format == "png":
        stored = _read_png(data, name)
    elif how.format == "float32":
        stored = _read_raw(data, size, name)
    elif how.format == "dpt":
        stored = _read_dpt(data, name)
    elif how.format == "dsp5":
        stored = _read_dsp5(data, name)
    else:
        stored = _read_npy(data, name)
    stored = stored[:: how.step, :: how.step]
    # Divided in float64 and rounded once, like the reference: ends of the range are float32 too.
    scaled = stored if how.divisor == 1 else stored / np.float64(how.divisor)
    if how.disparity:
        with np.errstate(divide="ignore"):
            scaled = 1 / np.asarray(scaled, np.float64)
    depth = scaled.astype(np.float32)
    return np.where(np.isfinite(depth), depth, np.float32(0))


def decode_mask(data: bytes, name: str) -> np.ndarray:
    """A mask file, .npy or an image, as bool (H, W): what is not 0. Raises DataError."""
    if name.endswith(".npy"):
        return _read_npy(data, name).astype(bool)
    return _read_grey(data, name) > 0


def decode_matte(data: bytes, name: str) -> np.ndarray:
    """An image of 8 bits as alpha, float32 (H, W) in [0, 1]. Raises DataError."""
    return _read_grey(data, name).astype(np.float32) / np.float32(255)


def _read_grey(data: bytes, name: str) -> np.ndarray:
    try:
        return decode_image(data, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION, name)
    except ImageError as error:
        raise DataError(str(error)) from error


def _read_png(data: bytes, name: str) -> np.ndarray:
    try:
        stored = decode_image(data, cv2.IMREAD_UNCHANGED, name)
    except ImageError as error:
        raise DataError(str(error)) from error
    if stored.dtype != np.uint16 or stored.ndim != 2:
        raise DataError(f"{name} must be a grey PNG of 16 bits, is {stored.dtype}")
    return stored


def _read_raw(data: bytes, size: tuple[int, int], name: str) -> np.ndarray:
    if len(data) != 4 * size[0] * size[1]:
        raise DataError(
            f"{name} has {len(data)} bytes; depth of its image, {size[1]}x{size[0]} pixels, "
            f"would have {4 * size[0] * size[1]}"
        )
    return np.frombuffer(data, "<f4").reshape(size)


def _read_dpt(data: bytes, name: str) -> np.ndarray:
    """Sintel's: the tag, width and height of 4 bytes each, then float32 rows."""
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != np.float32(DPT_TAG):
        raise DataError(f"{name} is not a .dpt file: it does not begin with {DPT_TAG}")
    width, height = (int(side) for side in np.frombuffer(data, "<i4", 2, offset=4))
    if width < 1 or height < 1 or len(data) != 12 + 4 * width * height:
        raise DataError(f"{name} has {len(data)} bytes, not those of {width}x{height} pixels")
    return np.frombuffer(data, "<f4", offset=12).reshape(height, width)


def _read_dsp5(data: bytes, name: str) -> np.ndarray:
    """Spring's: HDF5 with a data set `disparity`."""
    try:
        import h5py
    except ImportError as error:
        raise ConfigError(
            f"{name} is an HDF5 file, which needs h5py: pip install 'depth_distill_ros[peers]'"
        ) from error
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            stored = file["disparity"][()]
    except (OSError, KeyError) as error:
        raise DataError(f"{name} is no HDF5 file with a data set 'disparity': {error}") from error
    return _one_number_a_pixel(stored, name)


def _read_npy(data: bytes, name: str) -> np.ndarray:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{name} is not a .npy file: {error}") from error
    array = array.squeeze(-1) if array.ndim == 3 and array.shape[-1] == 1 else array
    return _one_number_a_pixel(array, name)


def _one_number_a_pixel(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise DataError(f"{name} must hold one number a pixel, has {array.shape} {array.dtype}")
    return array
