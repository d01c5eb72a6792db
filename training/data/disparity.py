"""Depth to the training target: affine-invariant disparity in [-1, 1]."""

from __future__ import annotations

import numpy as np

QUANTILES = (0.02, 0.98)
MIN_DEPTH = 0.05


def depth_to_disparity(depth: np.ndarray) -> np.ndarray:
    """1 / depth in 1/m, float32; depth 0 is infinitely far (sky), a disparity of 0.

    Depths below 5 cm are held at 5 cm: no camera of ours focuses there.
    """
    far = depth <= 0
    return np.where(far, 0.0, 1.0 / np.maximum(depth, MIN_DEPTH)).astype(np.float32)


def normalise_disparity(disparity: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Bring the 2 % and 98 % quantiles of the valid disparity to -1 and 1, and clip (Lotus).

    Args:
        disparity: float (H, W), 1/m or any affine image of it.
        valid: bool (H, W).

    Returns:
        float32 (H, W) in [-1, 1]; all -1 where the disparity is constant or nothing is valid.
    """
    if not valid.any():
        return np.full(disparity.shape, -1.0, np.float32)
    low, high = np.quantile(disparity[valid], QUANTILES)
    if high - low < 1e-9:
        return np.full(disparity.shape, -1.0, np.float32)
    return np.clip(2 * (disparity - low) / (high - low) - 1, -1, 1).astype(np.float32)
