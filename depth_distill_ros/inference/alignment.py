"""Scale and shift between maps that are known up to both. Pure NumPy, float64 inside."""

from __future__ import annotations

import numpy as np

from depth_distill_ros.errors import DataError


def align_affine(
    prediction: np.ndarray, target: np.ndarray, mask: np.ndarray | None = None
) -> tuple[float, float]:
    """Scale and shift that minimise the mean of (scale * prediction + shift - target)².

    prediction and target have one shape, any units; `mask` (bool, same shape) selects pixels.
    A prediction that is constant over the mask has no scale: (0, mean of the target).
    Raises DataError where nothing is selected or a selected value is not finite.
    """
    x, y = (np.asarray(values, np.float64) for values in (prediction, target))
    x, y = (x.ravel(), y.ravel()) if mask is None else (x[mask], y[mask])
    if x.size == 0:
        raise DataError("there is no valid pixel to align the prediction on")
    mean_x, mean_y = x.mean(), y.mean()
    if not np.isfinite(mean_x + mean_y):
        raise DataError("the prediction or the target is not finite at a valid pixel")
    centred = x - mean_x
    variance = np.dot(centred, centred) / x.size
    # Rounding of the mean alone leaves a variance of about (1e-16 * mean)².
    if variance <= 1e-28 * mean_x**2 or variance == 0:
        return 0.0, float(mean_y)
    scale = float(np.dot(centred, y - mean_y) / x.size / variance)
    return scale, float(mean_y - scale * mean_x)
