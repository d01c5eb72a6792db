"""The running mean of fitted lines: each counts by what it knows.

Scale and shift of a fit err together: where measurements cover a little range of disparity, a
larger scale and a smaller shift fit as well. Their means would mix what does not belong together.
The filter keeps the moments that the fits were made of: the mean disparity and inverse depth of
the measurements, and their variance and covariance within an image. A fit over a narrow range then
moves the level and hardly the slope. Only the variance within images counts: where the model's
disparity as a whole moves from one image to the next, that says nothing about the slope.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass

from depth_distill_ros.geometry.scale_fit import ScaleFit


@dataclass(frozen=True)
class RunningLine:
    """Moments of (disparity, inverse depth); inverse depth in 1/m."""

    disparity: float
    inverse: float
    variance: float
    covariance: float

    @classmethod
    def of(cls, fit: ScaleFit) -> RunningLine:
        """The moments of one fit."""
        variance = fit.spread**2
        return cls(fit.centre, fit.scale * fit.centre + fit.shift, variance, fit.scale * variance)

    def blended(self, newer: RunningLine, gain: float) -> RunningLine:
        """This line moved towards a newer one; `gain` from 0 (stay) to 1 (take the newer)."""
        if gain >= 1:
            return newer
        pairs = zip(astuple(self), astuple(newer), strict=True)
        return RunningLine(*(old + gain * (new - old) for old, new in pairs))

    @property
    def scale(self) -> float:
        """1/m per unit of disparity; positive where that of every fit was."""
        return self.covariance / self.variance

    @property
    def shift(self) -> float:
        """1/m."""
        return self.inverse - self.scale * self.disparity

    def disagreement(self, fit: ScaleFit) -> float:
        """The larger ratio of depths, 1 or more, that line and fit give to one disparity.

        Looked at one spread to both sides of the fit's centre: where the fit knows something.
        Infinite where this line has no depth there.
        """
        worst = 1.0
        for disparity in (fit.centre - fit.spread, fit.centre + fit.spread):
            mine = self.scale * disparity + self.shift
            fitted = fit.scale * disparity + fit.shift
            if mine <= 0 or fitted <= 0:
                return math.inf
            worst = max(worst, mine / fitted, fitted / mine)
        return worst
