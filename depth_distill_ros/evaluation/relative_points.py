"""Which of two marked points is nearer: the annotations and the accuracy of DA-2K.

Yang et al. (Depth Anything V2, NeurIPS 2024, section 6). Only the order of two values counts, so
any monotonic prediction can be scored, without alignment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from depth_distill_ros.errors import DataError

NAMES = ("point1", "point2")


@dataclass(frozen=True)
class PointPair:
    """Two pixels, (row, column) each, of which the first is nearer."""

    nearer: tuple[int, int]
    farther: tuple[int, int]


def read_annotations(data: bytes, name: str) -> dict[str, tuple[PointPair, ...]]:
    """The pairs of each image, by its path beside the file.

    data: JSON, `{image: [{"point1": [row, column], "point2": [row, column], "closer_point":
    "point1"}]}`. Raises DataError where it is something else.
    """
    try:
        content = json.loads(data)
        return {image: tuple(map(_pair, pairs)) for image, pairs in content.items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{name} must hold, for each image, pairs with point1, point2 and closer_point: {error}"
        ) from error


def _pair(annotation: dict) -> PointPair:
    nearer = annotation["closer_point"]
    if nearer not in NAMES:
        raise ValueError(f"closer_point is {nearer!r}")
    points = {}
    for name in NAMES:
        row, column = annotation[name]
        points[name] = (int(row), int(column))
    (farther,) = (name for name in NAMES if name != nearer)
    return PointPair(points[nearer], points[farther])


def point_accuracy(disparity: np.ndarray, pairs: Sequence[PointPair]) -> float:
    """The share of pairs, in [0, 1], whose nearer point has the larger disparity.

    disparity: (H, W) of the image's size, larger is nearer. Equal values are wrong, and so is a
    pixel without a value (NaN). Raises DataError without pairs, or for a point outside the image.
    """
    if not pairs:
        raise DataError("no points are marked")
    points = np.array([(pair.nearer, pair.farther) for pair in pairs])
    if points.min() < 0 or (points >= disparity.shape).any():
        raise DataError(
            f"a marked point lies outside of the image, {disparity.shape[1]}x{disparity.shape[0]}"
        )
    nearer, farther = disparity[points[..., 0], points[..., 1]].T
    return float(np.mean(nearer > farther))
