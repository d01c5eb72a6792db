"""A monotonic curve over the line of scale and shift: what the model bends, measured and unbent.

The curve maps the inverse depth that the line gives to the one that was measured. It is the
measurements' mean ratio to the line near each of a few inverse depths, drawn towards 1 as if so
many more measurements agreed with the line: with few it stays the identity, which it also is
where nothing was measured. Isotonic regression (Barlow et al., 1972) keeps nearer things nearer,
and a monotone cubic (Fritsch and Carlson, 1980) makes it smooth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_distill_ros.geometry.scale_fit import INLIER_ERROR, relative_error

Curve = tuple[tuple[float, ...], tuple[float, ...]]
"""Inverse depths in 1/m, from 0 upwards, and what becomes of each; straight in between."""

_KNOTS = 35
_LOG_KNOTS = np.log(0.005) + np.log(1.25) * np.arange(_KNOTS)  # 200 m to 0.1 m
_LOG_TABLE = np.linspace(_LOG_KNOTS[0], _LOG_KNOTS[-1], 4 * (_KNOTS - 1) + 1)
_FAR_END = 1e4  # 1/m, where the table ends

_PRIOR = 50.0
"""Measurements a knot that are assumed to lie on the line, besides those that were made."""


@dataclass(frozen=True)
class RunningCurve:
    """Number of inliers near each knot, and sum of their logarithmic ratios to the line."""

    counts: tuple[float, ...]
    ratios: tuple[float, ...]

    @classmethod
    def of(cls, line: np.ndarray, measured: np.ndarray) -> RunningCurve:
        """From inverse depths (N,) that the line gives and that were measured, in 1/m.

        Outliers, by the rule of `fit_scale`, are left out.
        """
        kept = relative_error(line, measured) < INLIER_ERROR
        logs = np.log(line[kept])
        # Each counts for the two knots around it, by how near it is.
        place = (logs - _LOG_KNOTS[0]) / (_LOG_KNOTS[1] - _LOG_KNOTS[0])
        inside = (place >= 0) & (place < _KNOTS - 1)
        place, ratio = place[inside], (np.log(measured[kept]) - logs)[inside]
        knot = place.astype(np.intp)
        upper = place - knot
        knots = np.concatenate([knot, knot + 1])
        weights = np.concatenate([1 - upper, upper])
        counts = np.bincount(knots, weights, _KNOTS)
        ratios = np.bincount(knots, weights * np.tile(ratio, 2), _KNOTS)
        return cls(tuple(counts.tolist()), tuple(ratios.tolist()))

    def blended(self, newer: RunningCurve, gain: float) -> RunningCurve:
        """This curve moved towards a newer one, as `RunningLine.blended`."""
        if gain >= 1:
            return newer

        def mix(old: tuple[float, ...], new: tuple[float, ...]) -> tuple[float, ...]:
            return tuple(a + gain * (b - a) for a, b in zip(old, new, strict=True))

        return RunningCurve(mix(self.counts, newer.counts), mix(self.ratios, newer.ratios))

    def curve(self) -> Curve:
        """The curve as a table: rising, and the identity far from what was measured."""
        # Half a second to import, and only who asks for a curve needs them.
        from scipy.interpolate import PchipInterpolator
        from scipy.optimize import isotonic_regression

        weights = np.array(self.counts) + _PRIOR
        levels = _LOG_KNOTS + np.array(self.ratios) / weights
        levels = isotonic_regression(levels, weights=weights).x
        outputs = np.exp(PchipInterpolator(_LOG_KNOTS, levels)(_LOG_TABLE))
        inputs = np.exp(_LOG_TABLE)
        return (0.0, *inputs.tolist(), _FAR_END), (0.0, *outputs.tolist(), _FAR_END)


def curved(inverse: np.ndarray, curve: Curve) -> np.ndarray:
    """Inverse depth, float32 of any shape in 1/m, after the curve.

    NaN stays NaN; what is negative becomes 0, beyond range.
    """
    return np.interp(inverse, *curve).astype(np.float32)
