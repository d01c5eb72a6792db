"""From an image with depth to the tensors of a sample: crop, mirror, resize, normalise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from training.config import DataConfig
from training.data.disparity import depth_to_disparity, normalise_disparity

Batch = dict[str, torch.Tensor]
"""rgb (B, 3, H, W) in [-1, 1]; disparity (B, 1, H, W) in [-1, 1]; valid (B, 1, H, W) bool; where
depth is known in metres, inverse_depth (B, 1, H, W) in 1/m, 0 for the sky."""


@dataclass(frozen=True)
class View:
    """What is taken of an image: ``rows`` and ``columns`` of it, mirrored or not."""

    rows: slice
    columns: slice
    flipped: bool


def draw_view(height: int, width: int, data: DataConfig, rng: np.random.Generator) -> View:
    """Draw crop and flip for an image of a size; the flip does not depend on the size."""
    crop_h = round(height * rng.uniform(data.crop_min, 1))
    crop_w = round(width * rng.uniform(data.crop_min, 1))
    top, left = rng.integers(height - crop_h + 1), rng.integers(width - crop_w + 1)
    flipped = data.flip and bool(rng.random() < 0.5)
    return View(slice(top, top + crop_h), slice(left, left + crop_w), flipped)


def take_view(
    rgb: np.ndarray, values: np.ndarray, size: tuple[int, int], view: View
) -> tuple[np.ndarray, np.ndarray]:
    """A view of an image (H, W, 3) and of a map (H, W), resized to ``size`` (height, width); the
    map's values are those of the nearest pixels."""
    rgb, values = rgb[view.rows, view.columns], values[view.rows, view.columns]
    if view.flipped:
        rgb, values = rgb[:, ::-1], values[:, ::-1]
    size = (size[1], size[0])
    shrinks = rgb.shape[0] * rgb.shape[1] > size[0] * size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    rgb = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=method)
    return rgb, cv2.resize(np.ascontiguousarray(values), size, interpolation=cv2.INTER_NEAREST)


def sample_of(rgb: np.ndarray, disparity: np.ndarray, valid: np.ndarray) -> Batch:
    """The tensors of an image, its disparity of any scale and shift, and which of it is valid."""
    return {
        "rgb": torch.from_numpy(rgb).permute(2, 0, 1).float() / 127.5 - 1,
        "disparity": torch.from_numpy(normalise_disparity(disparity, valid))[None],
        "valid": torch.from_numpy(valid)[None],
    }


def view_sample(rgb: np.ndarray, depth: np.ndarray, size: tuple[int, int], view: View) -> Batch:
    """The tensors of a view of an image with depth, resized to ``size`` (height, width)."""
    rgb, depth = take_view(rgb, depth, size, view)
    valid = np.isfinite(depth)
    inverse = depth_to_disparity(np.where(valid, depth, 0))
    return {**sample_of(rgb, inverse, valid), "inverse_depth": torch.from_numpy(inverse)[None]}


def make_sample(
    rgb: np.ndarray, depth: np.ndarray, data: DataConfig, rng: np.random.Generator
) -> Batch:
    """Crop, flip, resize and normalise one image; depth is taken at the nearest pixel."""
    return view_sample(rgb, depth, data.size, draw_view(*rgb.shape[:2], data, rng))
