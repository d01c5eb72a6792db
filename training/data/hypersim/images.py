"""Hypersim's arrays as images and planar depth, and the filters that its frames must pass."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from depth_distill_ros.errors import DataError
from training.data.hypersim.files import Row, Scene

WIDTH, FOCAL = 1024, 886.81
LUMA = np.array([0.3, 0.59, 0.11], np.float32)  # CCIR 601
PERCENTILE, BRIGHTNESS, GAMMA, DARKEST = 90, 0.8, 1 / 2.2, 1e-4
NOTHING = -1  # render_entity_id where no surface was hit


@dataclass(frozen=True)
class Filters:
    """Which frames are fit to learn from; the numbers are those of Marigold's file list.

    Attributes:
        max_invalid: largest share of pixels without a surface.
        min_depth_range: smallest distance of the nearest and the farthest valid pixel, metres.
        min_rgb_range: smallest difference of the darkest and the brightest value of 255.
        max_depth: metres; pixels beyond are unknown, as in Marigold's loader.
    """

    max_invalid: float = 0.03
    min_depth_range: float = 0.5
    min_rgb_range: int = 10
    max_depth: float = 65.0


@dataclass(frozen=True)
class Developed:
    """A frame ready for training: uint8 (H, W, 3), metres (H, W) with NaN, share without surface."""

    rgb: np.ndarray
    depth: np.ndarray
    invalid: float


@lru_cache(maxsize=4)
def _slant(height: int, width: int) -> np.ndarray:
    """Planar depth over distance for each pixel, float32 (H, W)."""
    focal = FOCAL * width / WIDTH  # the same field of view at any size
    x = np.arange(width) - (width - 1) / 2
    y = np.arange(height) - (height - 1) / 2
    return (focal / np.sqrt(x[None] ** 2 + y[:, None] ** 2 + focal**2)).astype(np.float32)


def planar_depth(distance: np.ndarray) -> np.ndarray:
    """Distances to the optical centre as depth along the optical axis, float32 (H, W), metres.

    z = distance · f / ‖(x, y, f)‖ with f = 886.81 at the official 1024×768 and pixel centres at
    half-integers around the image's centre. The tilt-shift lenses of some scenes are taken for
    plain ones, as in all published work.
    """
    return distance.astype(np.float32) * _slant(*distance.shape)


def tone_map(colour: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Linear colours as an image, uint8 (H, W, 3): Hypersim's own preview.

    The exposure is the one at which the 90th percentile of the brightness, over pixels with a
    surface, becomes 0.8 after a gamma of 1/2.2; a scene darker than 1e-4 is black. Values are
    rounded down, as the data set's tool does.

    Args:
        colour: float (H, W, 3), linear.
        surface: bool (H, W), where a surface was hit.
    """
    colour = np.nan_to_num(colour.astype(np.float32), nan=0.0)
    exposure = 1.0
    if surface.any():
        bright = np.percentile((colour @ LUMA)[surface], PERCENTILE)
        exposure = BRIGHTNESS ** (1 / GAMMA) / bright if bright >= DARKEST else 0.0
    shown = np.maximum(colour * np.float32(exposure), 0) ** np.float32(GAMMA)
    return (np.clip(shown, 0, 1) * 255).astype(np.uint8)


def develop(
    colour: np.ndarray, distance: np.ndarray, entity: np.ndarray, max_depth: float
) -> Developed:
    """An image and its planar depth from the three official arrays.

    Depth is unknown where no surface was hit, where it is not finite, and beyond ``max_depth``
    (which does not count as invalid: windows have a view).

    Raises:
        DataError: the arrays do not fit together.
    """
    shape = distance.shape
    if distance.ndim != 2 or colour.shape != (*shape, 3) or entity.shape != shape:
        raise DataError(f"sizes differ: {colour.shape}, {distance.shape}, {entity.shape}")
    surface = entity != NOTHING
    known = surface & np.isfinite(distance) & (distance > 0)
    depth = planar_depth(np.where(known, distance, 1))
    depth[~known | (depth > max_depth)] = np.nan
    return Developed(tone_map(colour, surface), depth, 1 - known.sum() / known.size)


def rejection(frame: Developed, filters: Filters) -> tuple[str, float] | None:
    """The filter that a frame does not pass and what it measured; None for a good frame."""
    if frame.invalid > filters.max_invalid:
        return "too much without a surface", round(float(frame.invalid), 6)
    known = frame.depth[np.isfinite(frame.depth)]
    spread = float(known.max() - known.min()) if known.size else 0.0
    if spread < filters.min_depth_range:
        return "depth range too small", round(spread, 6)
    contrast = int(frame.rgb.max()) - int(frame.rgb.min())
    if contrast < filters.min_rgb_range:
        return "contrast too small", contrast
    return None


def read_frame(scene: Scene, row: Row, max_depth: float) -> Developed:
    """Read and develop a frame. Raises FileNotFoundError, DataError."""
    paths = (row.colour, row.distance, row.entity)
    return develop(*(scene.array(path) for path in paths), max_depth)
