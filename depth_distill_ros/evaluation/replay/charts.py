"""Line charts as inline SVG, coloured by the page's style sheet, so that they follow its theme."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 640, 190
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 10, 26
POINTS = 320
"""Points a line, at most. Where a run has more frames, a point is a mean, with a band around it."""


@dataclass(frozen=True)
class Chart:
    """Lines over one axis of time.

    Attributes:
        title: what is shown, with its unit.
        lines: values (N,) by name, NaN where unknown.
        note: a sentence below the title.
        reference: a value with a line of its own: where a perfect result lies.
    """

    title: str
    lines: dict[str, np.ndarray]
    note: str = ""
    reference: float | None = None

    def svg(self, times: np.ndarray) -> str:
        """times: seconds (N,), not decreasing. The plot area spans them from its left to right."""
        low, high = self._range()
        ticks = nice_ticks(low, high)
        low, high = min(low, ticks[0]), max(high, ticks[-1])
        span = max(float(times[-1] - times[0]), 1e-9)
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

        def x(t: np.ndarray | float) -> np.ndarray | float:
            return LEFT + (t - times[0]) / span * (right - LEFT)

        def y(value: np.ndarray | float) -> np.ndarray | float:
            return bottom - (value - low) / (high - low) * (bottom - TOP)

        parts = [_grid_line(y(tick), f"{tick:.4g}") for tick in ticks]
        for tick in nice_ticks(0.0, span):
            if tick <= span:
                at = x(tick + times[0])
                parts.append(f'<text class="t" x="{at:.1f}" y="{HEIGHT - 8}">{tick:g} s</text>')
        if self.reference is not None:
            at = y(self.reference)
            parts.append(f'<path class="reference" d="M{LEFT} {at:.1f}H{right}"/>')
        for number, values in enumerate(self.lines.values()):
            parts.append(_line(x, y, times, values, f"line{number}"))
        parts.append(f'<path class="cursor" d="M0 {TOP}V{bottom}"/>')
        return (
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(self.title)}">'
            f"{''.join(parts)}</svg>"
        )

    def _range(self) -> tuple[float, float]:
        """From 0, or around the reference, to the largest value; some isolated peaks may leave."""
        values = np.concatenate([line[np.isfinite(line)] for line in self.lines.values()])
        if not values.size:
            return 0.0, 1.0
        top = float(min(values.max(), 1.5 * np.quantile(values, 0.98)))
        if self.reference is None:
            return min(0.0, float(values.min())), top or 1.0
        reach = max(top - self.reference, self.reference - float(values.min()), 0.02)
        return self.reference - 1.05 * reach, self.reference + 1.05 * reach


def _grid_line(at: float, text: str) -> str:
    return (
        f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
        f'<text class="y" x="{LEFT - 6}" y="{at + 4:.1f}">{text}</text>'
    )


def _line(x, y, times: np.ndarray, values: np.ndarray, name: str) -> str:
    """A path with gaps where values lack, in front of the band of what it is the mean of."""
    blocks = np.array_split(np.arange(len(values)), min(len(values), POINTS))
    points = []
    for block in blocks:
        known = block[np.isfinite(values[block])]
        if known.size:
            found = values[known]
            points.append((times[known].mean(), found.mean(), found.min(), found.max()))
        else:
            points.append(None)
    band, line, pen_down = "", "", False
    for run in _runs(points) if len(values) > POINTS else ():
        upper = [f"{x(p[0]):.1f} {_clamped(y, p[3]):.1f}" for p in run]
        lower = [f"{x(p[0]):.1f} {_clamped(y, p[2]):.1f}" for p in reversed(run)]
        band += f'<path class="band {name}" d="M{"L".join(upper + lower)}Z"/>'
    for point in points:
        if point is not None:  # a line of no length, with round ends, is a dot
            command = "L" if pen_down else "M"
            line += f"{command}{x(point[0]):.1f} {_clamped(y, point[1]):.1f}"
            line += "" if pen_down else "h0"
        pen_down = point is not None
    return f'{band}<path class="{name}" d="{line or "M0 0"}"/>'


def _runs(points: list) -> list[list]:
    runs: list[list] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if run]


def _clamped(y, value: float) -> float:
    return min(max(y(value), TOP), HEIGHT - BOTTOM)


def nice_ticks(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers, about `count` + 1, that cover the range."""
    raw = max(high - low, 1e-12) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]
