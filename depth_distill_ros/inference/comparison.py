"""Whether two engines give the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from depth_distill_ros.inference.engine_folder import EngineFacts
from depth_distill_ros.inference.engines import Engine
from depth_distill_ros.inference.resizing import resize_image, working_size

TOLERANCE = {"fp32": 1e-3, "fp16": 1e-2, "int8": 2e-2}
"""Largest error of a disparity, as a share of the largest disparity of its image; in int8, where single
pixels at edges are off by more and mean little, the mean error of an image."""

STEPS = 4
"""Frames of a stream that are compared."""

Measure = Callable[[np.ndarray], float]
"""Of the differences (1, h, w) of an image: ``np.max``, or ``np.mean``."""


def largest_error(
    engine: Engine,
    reference: Engine,
    images: Sequence[np.ndarray],
    of: Measure = np.max,
) -> float:
    """Largest difference of two engines' disparities, as a share of each image's largest one; of
    images by themselves and, where both can, of streams of ``STEPS`` frames."""
    errors = [0.0]
    for rgb in images:
        pixels = network_pixels(rgb, engine.facts)
        errors.append(_error(engine.infer(pixels), reference.infer(pixels), of))
        if reference.info.temporal_window:
            errors += _stream_errors(engine, reference, pixels, of)
    return max(errors)


def network_pixels(rgb: np.ndarray, facts: EngineFacts) -> np.ndarray:
    """What the network sees of an image uint8 (H, W, 3): (1, h, w, 3)."""
    info = facts.info
    size = facts.size or working_size(*rgb.shape[:2], info.resolution, info.multiple)
    return resize_image(rgb, size)[None]


def _stream_errors(
    engine: Engine, reference: Engine, pixels: np.ndarray, of: Measure
) -> list[float]:
    """Of an image that moves by some pixels from frame to frame."""
    frames = reference.info.temporal_window - 1
    ages, errors = np.full((1, frames), np.inf, np.float32), []
    memories: list = [None, None]
    for number in range(STEPS):
        moved = np.roll(pixels, 4 * number, axis=2)
        outputs = []
        for index, one in enumerate((engine, reference)):
            disparity, ((memory, entry),) = one.step(moved, ages, [memories[index]])
            one.remember(memory, number % frames, entry)
            memories[index] = memory
            outputs.append(disparity)
        errors.append(_error(*outputs, of))
        ages = ages + np.float32(0.1)
        ages[0, number % frames] = 0.1
    return errors


def _error(found: np.ndarray, expected: np.ndarray, of: Measure = np.max) -> float:
    difference = of(np.abs(found - expected)) / max(float(expected.max()), 1e-6)
    return float(difference) if np.isfinite(difference) else np.inf
