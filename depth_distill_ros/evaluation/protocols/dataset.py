"""The images of a benchmark with measured depth: decoded, cropped and masked as it defines."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import decode_image
from depth_distill_ros.evaluation.protocols.definition import Crop, Definition, DepthFormat, Valid
from depth_distill_ros.evaluation.protocols.files import Files, open_files
from depth_distill_ros.evaluation.protocols.pairing import Pair, Pairs, find_pairs, read_split


@dataclass(frozen=True)
class BenchmarkImage:
    """One image of a benchmark.

    Attributes:
        name: its path from the benchmark's root.
        rgb: uint8 (h, w, 3), cropped; of another size than the depth where the data set is so.
        depth: float32 (H, W) metres, planar.
        valid: bool (H, W), the pixels that count; their depth is positive and finite.
    """

    name: str
    rgb: np.ndarray
    depth: np.ndarray
    valid: np.ndarray


class BenchmarkImages:
    """The images of a split; files are read when an image is asked for.

    Attributes:
        partial: whether these are not as many as belong to the benchmark.
    """

    def __init__(self, definition: Definition, files: Files, pairs: Pairs):
        self.definition = definition
        self.pairs = pairs
        self.partial = len(pairs.pairs) != definition.n
        self._files = files

    @property
    def root(self) -> Path:
        """The folder or archive."""
        return self._files.root

    @property
    def names(self) -> list[str]:
        """Of the images, in order."""
        return [pair.rgb for pair in self.pairs.pairs]

    def __len__(self) -> int:
        return len(self.pairs.pairs)

    def __getitem__(self, index: int) -> BenchmarkImage:
        """Reads an image. Raises DataError or ImageError for files that do not fit."""
        pair, definition = self.pairs.pairs[index], self.definition
        rgb = self._rgb(pair.rgb)
        depth = self._depth(pair, rgb.shape[:2])
        mask = None if pair.mask is None else self._mask(pair.mask, depth.shape)
        if definition.image_size is not None and depth.shape != definition.image_size:
            raise DataError(
                f"{pair.depth} is {depth.shape[1]}x{depth.shape[0]} pixels; {definition.title} is "
                f"measured at {definition.image_size[1]}x{definition.image_size[0]}"
            )
        if definition.crop is not None:
            if rgb.shape[:2] != depth.shape:
                raise DataError(f"{pair.rgb} and {pair.depth} differ in size: they cannot be cut")
            window = crop_window(depth.shape, definition.crop, pair.depth)
            rgb, depth = rgb[window], depth[window]
            mask = None if mask is None else mask[window]
        return BenchmarkImage(pair.rgb, rgb, depth, valid_pixels(depth, definition.valid, mask))

    def _rgb(self, name: str) -> np.ndarray:
        # Depth is registered to the pixels as they are stored: no turning by EXIF tags.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = decode_image(self._files.read(name), flags, name)
        if image.dtype != np.uint8:
            raise ImageError(f"{name} has {image.dtype} pixels: expected 8 bits a channel")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _depth(self, pair: Pair, size: tuple[int, int]) -> np.ndarray:
        return decode_depth(self._files.read(pair.depth), self.definition.depth, size, pair.depth)

    def _mask(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        mask = _read_npy(self._files.read(name), name)
        if mask.shape != shape:
            raise DataError(f"{name} has the shape {mask.shape}, its depth {shape}")
        return mask.astype(bool)


def open_benchmark(
    definition: Definition, root: str | Path, split: str | Path | None = None
) -> BenchmarkImages:
    """The images of a benchmark below `root`, or those of a split file.

    Raises DataError where they are not there, or not complete pairs.
    """
    files = open_files(root, definition)
    names = files.names()
    if split is None:
        pairs = find_pairs(names, definition, files.root)
    else:
        pairs = read_split(split, names, definition, files.root)
    if not pairs.pairs:
        raise DataError(f"{files.root}: no image with depth for {definition.title}")
    return BenchmarkImages(definition, files, pairs)


def decode_depth(data: bytes, how: DepthFormat, size: tuple[int, int], name: str) -> np.ndarray:
    """A depth file as float32 (H, W) metres, 0 where it is not finite.

    `size` is the (height, width) of raw files, which have no header: that of their image.
    Raises DataError for a file of another kind or size.
    """
    if how.format == "png":
        try:
            stored = decode_image(data, cv2.IMREAD_UNCHANGED, name)
        except ImageError as error:
            raise DataError(str(error)) from error
        if stored.dtype != np.uint16 or stored.ndim != 2:
            raise DataError(f"{name} must be a grey PNG of 16 bits, is {stored.dtype}")
    elif how.format == "float32":
        if len(data) != 4 * size[0] * size[1]:
            raise DataError(
                f"{name} has {len(data)} bytes; depth of its image, {size[1]}x{size[0]} pixels, "
                f"would have {4 * size[0] * size[1]}"
            )
        stored = np.frombuffer(data, "<f4").reshape(size)
    else:
        stored = _read_npy(data, name)
    # Divided in float64 and rounded once, like the reference: ends of the range are float32 too.
    scaled = stored if how.divisor == 1 else stored / np.float64(how.divisor)
    depth = scaled.astype(np.float32)
    return np.where(np.isfinite(depth), depth, np.float32(0))


def _read_npy(data: bytes, name: str) -> np.ndarray:
    try:
        array = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise DataError(f"{name} is not a .npy file: {error}") from error
    array = array.squeeze(-1) if array.ndim == 3 and array.shape[-1] == 1 else array
    if array.ndim != 2 or array.dtype.kind not in "fiub":
        raise DataError(f"{name} must hold one number a pixel, has {array.shape} {array.dtype}")
    return array


def crop_window(shape: tuple[int, ...], crop: Crop, name: str) -> tuple[slice, slice]:
    """The rows and columns that a crop keeps. Raises DataError where the image is too small."""
    top, margin = shape[0] - crop.height, shape[1] - crop.width
    if top < 0 or margin < 0:
        raise DataError(
            f"{name} is {shape[1]}x{shape[0]} pixels: too small for {crop.width}x{crop.height}"
        )
    left = margin // 2
    return slice(top, top + crop.height), slice(left, left + crop.width)


def valid_pixels(depth: np.ndarray, valid: Valid, mask: np.ndarray | None) -> np.ndarray:
    """bool (H, W): measured, strictly inside the range, in the region, and in the mask if any."""
    low, high = valid.range or (0.0, math.inf)
    # In float32, as the depth is: 1 mm in a PNG is not above a range that begins at 0.001.
    chosen = (depth > max(np.float32(low), 0)) & (depth < np.float32(high))
    if mask is not None:
        chosen &= mask
    if valid.region is not None:
        inside = np.zeros_like(chosen)
        inside[valid.region.slices(*depth.shape)] = True
        chosen &= inside
    return chosen


def resize_to_edge(rgb: np.ndarray, long_edge: int | None) -> np.ndarray:
    """An image with the given long edge, smaller or larger, sides rounded down; None: as it is."""
    height, width = rgb.shape[:2]
    if long_edge is None or max(height, width) == long_edge:
        return np.ascontiguousarray(rgb)
    scale = long_edge / max(height, width)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    size = max(1, int(width * scale)), max(1, int(height * scale))
    return cv2.resize(rgb, size, interpolation=method)
