"""The images of a benchmark and what they are compared with: decoded, cropped and masked."""

from __future__ import annotations

import math
import posixpath
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import decode_image
from depth_distill_ros.evaluation.protocols.decoding import (
    decode_depth,
    decode_mask,
    decode_matte,
)
from depth_distill_ros.evaluation.protocols.definition import Crop, Definition, Valid
from depth_distill_ros.evaluation.protocols.files import Files, open_files
from depth_distill_ros.evaluation.protocols.pairing import (
    Pair,
    Pairs,
    clip_of,
    find_pairs,
    read_split,
)
from depth_distill_ros.evaluation.relative_points import PointPair, read_annotations


@dataclass(frozen=True)
class BenchmarkImage:
    """One image of a benchmark with depth.

    Attributes:
        name: its path from the benchmark's root.
        rgb: uint8 (h, w, 3), cropped; of another size than the depth where the data set is so.
        depth: float32 (H, W) metres, planar.
        valid: bool (H, W), the pixels that count; their depth is positive and finite.
        known: bool (H, W), those and the ones beyond the valid range, the sky for instance, before
            which there are outlines as well.
    """

    name: str
    rgb: np.ndarray
    depth: np.ndarray
    valid: np.ndarray
    known: np.ndarray


class BenchmarkImages:
    """The images of a split; files are read when an image is asked for.

    Attributes:
        count: how many there are of what the definition counts: images, or pairs of points.
        partial: whether these are not as many as belong to the benchmark.
    """

    def __init__(self, definition: Definition, files: Files, pairs: Pairs):
        self.definition = definition
        self.pairs = pairs
        self._files = files
        points = definition.task == "points"
        numbers = range(len(self))
        self.count = sum(len(self.points(index)) for index in numbers) if points else len(self)
        self.partial = self.count != definition.n

    @property
    def root(self) -> Path:
        """The folder or archive."""
        return self._files.root

    @property
    def names(self) -> list[str]:
        """Of the images, in order."""
        return [pair.rgb for pair in self.pairs.pairs]

    @property
    def units(self) -> list[list[int]]:
        """Numbers of the images that are predicted and fitted together: single ones, or clips."""
        if self.definition.task != "video":
            return [[index] for index in range(len(self))]
        names = self.names
        folders = groupby(range(len(self)), key=lambda index: clip_of(names[index]))
        return [list(frames) for _, frames in folders]

    def __len__(self) -> int:
        return len(self.pairs.pairs)

    def __getitem__(self, index: int) -> BenchmarkImage:
        """Reads an image with its depth. Raises DataError or ImageError for what does not fit."""
        pair, definition = self.pairs.pairs[index], self.definition
        rgb = self.rgb(index)
        depth = self._depth(pair, rgb.shape[:2])
        mask = self._mask(pair.masks, depth.shape) if pair.masks else None
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
        valid = valid_pixels(depth, definition.valid, mask)
        low, _ = definition.valid.range or (0.0, math.inf)
        beyond = replace(definition.valid, range=(low, math.inf))
        return BenchmarkImage(pair.rgb, rgb, depth, valid, valid_pixels(depth, beyond, mask))

    def matte(self, index: int) -> np.ndarray:
        """The alpha of an image, float32 (H, W) in [0, 1]. Raises DataError."""
        name = self.pairs.pairs[index].depth
        return decode_matte(self._files.read(name), name)

    def points(self, index: int) -> tuple[PointPair, ...]:
        """The pairs of points that are marked in an image. Raises DataError."""
        pair = self.pairs.pairs[index]
        image = posixpath.relpath(pair.rgb, posixpath.dirname(pair.depth))
        return self._annotations.get(pair.depth, {}).get(image, ())

    @cached_property
    def _annotations(self) -> dict[str, dict[str, tuple[PointPair, ...]]]:
        names = sorted({pair.depth for pair in self.pairs.pairs})
        return {name: read_annotations(self._files.read(name), name) for name in names}

    def rgb(self, index: int) -> np.ndarray:
        """An image, uint8 (h, w, 3), not cropped. Raises DataError or ImageError."""
        name = self.pairs.pairs[index].rgb
        # Depth is registered to the pixels as they are stored: no turning by EXIF tags.
        flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        image = decode_image(self._files.read(name), flags, name)
        if image.dtype != np.uint8:
            raise ImageError(f"{name} has {image.dtype} pixels: expected 8 bits a channel")
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _depth(self, pair: Pair, size: tuple[int, int]) -> np.ndarray:
        return decode_depth(self._files.read(pair.depth), self.definition.depth, size, pair.depth)

    def _mask(self, names: tuple[str, ...], shape: tuple[int, ...]) -> np.ndarray:
        chosen = np.ones(shape, bool)
        for name in names:
            mask = decode_mask(self._files.read(name), name)
            if mask.shape != shape:
                raise DataError(f"{name} has the shape {mask.shape}, its depth {shape}")
            chosen &= mask
        return chosen


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
