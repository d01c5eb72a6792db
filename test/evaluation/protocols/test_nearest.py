"""Files that are named by their times."""

from __future__ import annotations

import pytest

from depth_distill_ros.evaluation.protocols.nearest import NearestFiles

NAMES = ["a/depth/10.00.png", "a/depth/10.10.png", "a/depth/notes.png", "b/depth/10.06.png"]


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        ("10.00", "10.00"),
        ("10.04", "10.00"),
        ("10.06", "10.10"),
        ("9.96", "10.00"),
        ("10.14", "10.10"),
        ("10.2", "10.2"),  # none is near: the very same time, which is no file
        ("9.9", "9.9"),
    ],
)
def test_the_nearest_in_the_same_folder_within_the_tolerance(stamp, expected):
    nearest = NearestFiles(NAMES, 0.045)
    groups = {"scene": "a", "stamp": stamp}
    assert nearest("{scene}/depth/{stamp}.png", groups, "") == f"a/depth/{expected}.png"


def test_layouts_hold_below_a_folder():
    nearest = NearestFiles([f"bonn/{name}" for name in NAMES], 0.045)
    groups = {"scene": "b", "stamp": "10.05"}
    assert nearest("{scene}/depth/{stamp}.png", groups, "bonn/") == "bonn/b/depth/10.06.png"
    assert NearestFiles([], 1.0)("depth/{stamp}.png", groups, "") == "depth/10.05.png"
