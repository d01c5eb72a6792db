"""How well depth keeps its outlines: the boundary metrics of Depth Pro.

Bochkovskii et al. (Depth Pro, ICLR 2025, section 3.2): of two neighbouring pixels the one is in
front where the other is more than t times as far. Both depth maps say so for every pair, in four
directions; precision and recall compare what they say, each as the mean over the directions, F1 is
made of the two means, and the result is the mean of F1 over ten thresholds t from 1.05 to 1.25,
weighted by t. Nothing is thinned: an edge that is blurred over several pixels loses precision.

Ratios do not change with the unit of depth, so the metrics do not depend on its scale. They do
depend on a shift, of depth or of disparity: relative depth is to be aligned first.

For mattes, which say where the foreground is but not how far, there is recall alone; predicted
edges are thinned first, each run of pixels across an edge to its largest ratio, or blur would win.

As in the published code, a direction without edges counts as 0, and is not left out: the F1 of a
perfect prediction is 1 only where there are true edges in all four directions.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

THRESHOLDS = np.linspace(1.05, 1.25, 10)
WEIGHTS = THRESHOLDS / THRESHOLDS.sum()

FOREGROUND = 0.1
"""Pixels of a matte with more than this alpha are foreground."""


def boundary_f1(predicted: np.ndarray, truth: np.ndarray, valid: np.ndarray | None = None) -> float:
    """F1 of the edges of a depth map, in [0, 1], higher is better.

    Args:
        predicted: (H, W), positive, in any unit, aligned where it is relative. Depth, or disparity
            if both are: the ratios are the same ones.
        truth: (H, W), positive, in any unit.
        valid: bool (H, W): a pair with a pixel that is not valid does not count; all by default.
            What the maps hold there is not looked at.
    """
    pairs = list(zip(_ratios(predicted, valid), _ratios(truth, valid), strict=True))
    scores = []
    for threshold in THRESHOLDS:
        edges = [(ours > threshold, true > threshold) for ours, true in pairs]
        precision = np.mean([_share(ours & true, ours) for ours, true in edges])
        recall = np.mean([_share(ours & true, true) for ours, true in edges])
        total = precision + recall
        scores.append(2 * precision * recall / total if total > 0 else 0.0)
    return float(WEIGHTS @ scores)


def matte_recall(disparity: np.ndarray, alpha: np.ndarray) -> float:
    """The share of a matte's outline that a disparity map has as an edge, in [0, 1].

    Args:
        disparity: (H, W), positive, larger is nearer, NaN where there is none: such pixels do not
            count.
        alpha: (H, W) in [0, 1].
    """
    valid = np.isfinite(disparity)
    foreground = np.where(alpha > FOREGROUND, 2.0, 1.0)
    pairs = list(zip(_ratios(disparity, valid), _ratios(foreground, valid), strict=True))
    recalls = [
        np.mean([_share(_thinned(ours, threshold) & (true > 1), true > 1) for ours, true in pairs])
        for threshold in THRESHOLDS
    ]
    return float(WEIGHTS @ recalls)


def measured_pairs(valid: np.ndarray) -> float:
    """The share of the pairs of neighbours, in [0, 1], of which both are valid; bool (H, W)."""
    across, down = valid[:, 1:] & valid[:, :-1], valid[1:] & valid[:-1]
    count = across.size + down.size
    return (np.count_nonzero(across) + np.count_nonzero(down)) / count if count else 0.0


def _ratios(values: np.ndarray, valid: np.ndarray | None) -> Iterator[np.ndarray]:
    """How many times a pixel's value is its neighbour's, along the rows of the results.

    One map for each direction: left, right, up, down; 0 where a pair has a pixel that is not valid.
    """
    values = np.asarray(values, np.float64)
    valid = np.ones(values.shape, bool) if valid is None else valid
    values = np.where(valid, values, 1.0)
    for rows, known in ((values, valid), (values.T, valid.T)):
        both = known[:, 1:] & known[:, :-1]
        yield np.where(both, rows[:, :-1] / rows[:, 1:], 0.0)
        yield np.where(both, rows[:, 1:] / rows[:, :-1], 0.0)


def _share(found: np.ndarray, of: np.ndarray) -> float:
    return np.count_nonzero(found) / max(np.count_nonzero(of), 1)


def _thinned(ratios: np.ndarray, threshold: float) -> np.ndarray:
    """Of each run of ratios above the threshold in a row the largest, the first of equal ones."""
    edges = np.zeros(ratios.shape, bool)
    index = np.flatnonzero(ratios > threshold)
    if index.size:
        width = ratios.shape[1]
        apart = (np.diff(index) > 1) | (index[1:] % width == 0)
        starts = np.flatnonzero(np.r_[True, apart])
        values = ratios.ravel()[index]
        run = np.cumsum(np.r_[True, apart]) - 1
        largest = np.flatnonzero(values == np.maximum.reduceat(values, starts)[run])
        _, first = np.unique(run[largest], return_index=True)
        edges.ravel()[index[largest[first]]] = True
    return edges
