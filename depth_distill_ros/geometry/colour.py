"""Pictures of disparity, for people."""

from __future__ import annotations

import cv2
import numpy as np

INVALID_GREY = 128


def colourise(
    disparity: np.ndarray, low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Disparity (H, W) as uint8 RGB: near is bright, far is dark, not finite is grey.

    `low` and `high` are the ends of the colour scale; the 1 % and 99 % quantiles by default.
    OpenCV's inferno table is used: it reads the same in grey, and OpenCV is there anyway.
    """
    finite = np.isfinite(disparity)
    if not finite.any():
        return np.full((*disparity.shape, 3), INVALID_GREY, np.uint8)
    if low is None or high is None:
        quantiles = np.quantile(disparity[finite], (0.01, 0.99))
        low = float(quantiles[0]) if low is None else low
        high = float(quantiles[1]) if high is None else high
    span = max(high - low, 1e-12)
    levels = np.clip((np.where(finite, disparity, low) - low) / span, 0, 1) * 255
    coloured = cv2.applyColorMap(np.round(levels).astype(np.uint8), cv2.COLORMAP_INFERNO)
    coloured[~finite] = INVALID_GREY
    return cv2.cvtColor(coloured, cv2.COLOR_BGR2RGB)
