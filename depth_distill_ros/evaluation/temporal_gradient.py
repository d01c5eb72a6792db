"""Temporal gradient error: flicker of disparity where the scene itself hardly changes.

The loss of Chen et al. (Video Depth Anything, 2025, "temporal gradient matching"), read as a metric:
between adjacent frames disparity should change at each pixel as much as the true one does,

    mean of |(p_k+1 - p_k) - (g_k+1 - g_k)| / R,

with p the predicted disparity after one least-squares fit for the whole clip (`ClipFit`), g the
true one, and R the range of g over the clip. Only pixels where both frames are known count, and
only where |g_k+1 - g_k| < 5 % of R: at others something else came into view. Unlike the temporal
alignment error it needs no poses; what the camera's own motion changes is in g as well.

R is one number for a clip, so that the error of a pair does not depend on what it happens to show,
and is taken between percentiles: a single near pixel, true or mismeasured, would decide it alone.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

THRESHOLD = 0.05
"""Share of the range below which a true change counts as none."""

PERCENTILES = (1.0, 99.0)


def disparity_range(depths: Iterable[np.ndarray]) -> float:
    """R in 1/m, between the PERCENTILES of 1 / depth over all frames of a clip.

    `depths` are metres at the valid pixels of each frame, any shapes. 0.0 without pixels.
    """
    values = [1 / np.asarray(depth, np.float64).ravel() for depth in depths]
    disparity = np.concatenate(values) if values else np.empty(0)
    if disparity.size == 0:
        return 0.0
    low, high = np.percentile(disparity, PERCENTILES)
    return float(high - low)


def temporal_gradient_error(
    first: np.ndarray,
    second: np.ndarray,
    true_first: np.ndarray,
    true_second: np.ndarray,
    span: float,
) -> float | None:
    """The error of two adjacent frames, a share of `span`, the clip's R.

    All four are (H, W) of disparity in 1/m, the predicted ones aligned, NaN where unknown. None
    where no pixel can be compared, or the clip's disparity has no range.
    """
    change = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    true_change = np.asarray(true_second, np.float64) - np.asarray(true_first, np.float64)
    with np.errstate(invalid="ignore"):
        compared = np.isfinite(change) & (np.abs(true_change) < THRESHOLD * span)
    if not compared.any():
        return None
    return float(np.mean(np.abs(change[compared] - true_change[compared])) / span)
