"""Exact distance from a point to the triangles of a scene: may a camera be there?"""

from __future__ import annotations

import math

import numpy as np


class Surfaces:
    """The triangles of a scene, kept so that those near a point are found quickly.

    ``corners`` (n, 3, 3): their corners in metres.
    """

    def __init__(self, vertices: np.ndarray) -> None:
        self.corners = np.ascontiguousarray(vertices[:, :3]).reshape(-1, 3, 3)
        self._low, self._high = self.corners.min(1), self.corners.max(1)

    def near(self, low, high) -> Surfaces:
        """Only the triangles whose bounding box meets the box from ``low`` to ``high``."""
        keep = ((self._high >= low) & (self._low <= high)).all(1)
        part = object.__new__(Surfaces)
        part.corners, part._low, part._high = (
            self.corners[keep],
            self._low[keep],
            self._high[keep],
        )
        return part

    def clearance(self, point, radius: float) -> float:
        """Distance (metres) from ``point`` (3,) to the nearest triangle, inf beyond ``radius``."""
        point = np.asarray(point, np.float64)
        corners = self.near(point - radius, point + radius).corners.astype(np.float64)
        if not len(corners):
            return math.inf
        distance = float(triangle_distance(point, corners).min())
        return distance if distance <= radius else math.inf


def triangle_distance(point: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance (n,) from one point to each of the triangles ``corners`` (n, 3, 3).

    The foot of the perpendicular where it falls inside a triangle, else the nearest of its edges.
    """
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    edges = np.minimum(
        np.minimum(_segment_distance(point, a, b), _segment_distance(point, b, c)),
        _segment_distance(point, c, a),
    )
    normal = np.cross(b - a, c - a)
    area = np.linalg.norm(normal, axis=1)
    unit = normal / np.maximum(area, 1e-20)[:, None]
    height = ((point - a) * unit).sum(1)
    foot = point - height[:, None] * unit
    inside = area > 1e-14
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= (np.cross(end - start, foot - start) * unit).sum(1) >= 0
    return np.where(inside, np.abs(height), edges)


def _segment_distance(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    run = end - start
    along = ((point - start) * run).sum(1) / np.maximum((run * run).sum(1), 1e-20)
    return np.linalg.norm(point - start - np.clip(along, 0, 1)[:, None] * run, axis=1)
