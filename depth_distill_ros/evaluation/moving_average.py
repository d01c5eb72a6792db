"""An exponential moving average of aligned disparities: the cheap trick against flicker.

Each new disparity is brought to the scale and shift of the running average by least squares over
the pixels that both have, since relative depth has neither of its own, and then blended in:

    average = (1 - alpha) * average + alpha * (scale * disparity + shift)

It knows nothing of motion, so edges that move leave trails. It stands in the tables as what a
learned temporal model has to beat.
"""

from __future__ import annotations

import numpy as np

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.metrics import align_affine

DEFAULT_ALPHA = 0.3


class MovingAverage:
    """The running average of one camera's disparities, in the units of the first.

    Args:
        alpha: the new frame's share, in (0, 1]; 1 keeps no memory.

    Raises:
        ConfigError: alpha is outside (0, 1].
    """

    def __init__(self, alpha: float = DEFAULT_ALPHA):
        if not 0 < alpha <= 1:
            raise ConfigError(f"the average's alpha is {alpha}: it must be above 0 and at most 1")
        self._alpha = alpha
        self._average: np.ndarray | None = None

    def reset(self) -> None:
        """Forget all frames: the next is taken as it is."""
        self._average = None

    def __call__(self, disparity: np.ndarray) -> np.ndarray:
        """The average with this frame in it, float32 (H, W); NaN where no frame had a value.

        disparity: (H, W), NaN where invalid; there the average stays as it was. It starts anew
        with an image of another size, and with one that fits only upside down or not at all, for
        which nothing is in the same place any more.
        """
        new = np.asarray(disparity, np.float64)
        aligned = self._aligned(new)
        if aligned is None:
            self._average = new.copy()
        else:
            known = np.isfinite(aligned)
            before = np.where(np.isfinite(self._average), self._average, aligned)
            blended = (1 - self._alpha) * before + self._alpha * aligned
            self._average = np.where(known, blended, self._average)
        return self._average.astype(np.float32)

    def _aligned(self, new: np.ndarray) -> np.ndarray | None:
        """The frame in the average's units; None where they cannot be compared."""
        if self._average is None or self._average.shape != new.shape:
            return None
        if not np.isfinite(new).any():
            return new
        common = np.isfinite(new) & np.isfinite(self._average)
        if not common.any():
            return None
        scale, shift = align_affine(new, self._average, common)
        return scale * new + shift if scale > 0 else None
