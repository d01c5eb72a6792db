"""Which laser of a Velodyne HDL-64E each pixel of a projected KITTI scan was measured by.

A projected depth map has lost the scan's order, but not its rays: seen from where a laser sits, all
of its points have one elevation. The HDL-64E has two blocks of 32 lasers, one above the other, and
KITTI's points are corrected to a common origin that neither block is at. `UP` and `ORIGIN` are the
LiDAR's axis and origin in the rectified left colour camera by KITTI's calibration of 2011-09-26.
`UPPER` and `LOWER`, the blocks' heights above that origin, are those at which the histogram of
elevations over all frames is sharpest: with them it falls apart into one peak for each laser, 0.3
to 0.6 degrees apart, and hardly a point lies between two peaks. Without them, or seen from the
camera, the peaks of near and far things overlap.
"""

from __future__ import annotations

import numpy as np

UP = np.array([-0.01056348, -0.99988957, 0.0104513])
ORIGIN = np.array([0.05720318, -0.07510879, -0.2721328])
UPPER, LOWER = 0.205, 0.122

_BETWEEN = -8.2  # degrees: the lower block's lasers are below, seen from the lower block
_BIN = 0.02  # degrees
_PEAK = 20  # points of all frames in a bin: less is not a laser


def beam_numbers(clouds: list[np.ndarray]) -> list[np.ndarray]:
    """The laser of every point, counted from the lowest, for clouds (N, 3) in the camera's frame.

    The clouds are frames of one drive: what lies between lasers is found in all of them together.
    """
    points = np.concatenate(clouds)
    upper, lower = elevation(points, UPPER), elevation(points, LOWER)
    is_lower = lower < _BETWEEN
    lower_limits, upper_limits = _valleys(lower[is_lower]), _valleys(upper[~is_lower])
    numbers = np.where(
        is_lower,
        np.searchsorted(lower_limits, lower),
        len(lower_limits) + 1 + np.searchsorted(upper_limits, upper),
    )
    return np.split(numbers, np.cumsum([len(cloud) for cloud in clouds])[:-1])


def elevation(points: np.ndarray, height: float) -> np.ndarray:
    """Degrees above the LiDAR's horizon, (N,), seen from `height` metres above its origin."""
    rays = points - ORIGIN - height * UP
    rise = rays @ UP
    across = np.sqrt(np.maximum((rays**2).sum(axis=1) - rise**2, 0))
    return np.degrees(np.arctan2(rise, across))


def _valleys(elevations: np.ndarray) -> np.ndarray:
    """Elevations between two lasers, rising."""
    edges = np.arange(elevations.min() - 0.2, elevations.max() + 0.2, _BIN)
    counts = np.histogram(elevations, edges)[0]
    smooth = np.convolve(counts, np.bartlett(9) / np.bartlett(9).sum(), mode="same")
    middle = smooth[1:-1]
    is_peak = (middle > smooth[:-2]) & (middle >= smooth[2:]) & (middle > _PEAK)
    peaks = np.flatnonzero(is_peak) + 1
    lowest = [a + int(np.argmin(smooth[a:b])) for a, b in zip(peaks, peaks[1:], strict=False)]
    return edges[np.array(lowest, np.intp)] + _BIN / 2
