"""DA-2K's annotations and accuracy."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.relative_points import (
    PointPair,
    point_accuracy,
    read_annotations,
)

DISPARITY = np.arange(12.0).reshape(3, 4)  # nearer to the right and to the bottom


def test_points_are_rows_and_columns_and_the_nearer_one_is_named():
    content = {
        "images/indoor/a.jpg": [
            {"point1": [2, 3], "point2": [0, 1], "closer_point": "point1"},
            {"point1": [2, 3], "point2": [0, 1], "closer_point": "point2"},
        ]
    }
    found = read_annotations(json.dumps(content).encode(), "a.json")
    assert found == {"images/indoor/a.jpg": (PointPair((2, 3), (0, 1)), PointPair((0, 1), (2, 3)))}


def test_accuracy_is_the_share_of_pairs_in_order():
    right, wrong = PointPair((2, 0), (0, 3)), PointPair((0, 0), (0, 1))
    assert point_accuracy(DISPARITY, [right]) == 1.0
    assert point_accuracy(DISPARITY, [right, wrong, wrong, wrong]) == 0.25
    assert point_accuracy(np.exp(3 * DISPARITY), [right, wrong]) == 0.5, "only the order counts"


def test_equal_and_absent_values_are_wrong():
    pairs = [PointPair((2, 0), (0, 3))]
    assert point_accuracy(np.ones((3, 4)), pairs) == 0.0
    for row, column in ((2, 0), (0, 3)):
        holes = DISPARITY.copy()
        holes[row, column] = np.nan
        assert point_accuracy(holes, pairs) == 0.0


@pytest.mark.parametrize("point", [(3, 0), (0, 4), (-1, 0)])
def test_points_outside_are_refused(point):
    with pytest.raises(DataError, match="outside of the image, 4x3"):
        point_accuracy(DISPARITY, [PointPair(point, (0, 0))])
    with pytest.raises(DataError, match="no points"):
        point_accuracy(DISPARITY, [])


@pytest.mark.parametrize(
    "data",
    [
        b"[1]",
        b"no json",
        b'{"a": [{"point1": [1, 2], "point2": [1, 2]}]}',
        b'{"a": [{"point1": [1], "point2": [1, 2], "closer_point": "point1"}]}',
        b'{"a": [{"point1": [1, 1], "point2": [1, 2], "closer_point": "point3"}]}',
    ],
)
def test_other_annotations_are_refused(data):
    with pytest.raises(DataError, match="a.json must hold"):
        read_annotations(data, "a.json")
