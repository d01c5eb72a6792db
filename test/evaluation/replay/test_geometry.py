"""Static transforms composed, and poses between their stamps, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from replay_bags import START, static_record, transform_message, write_records

from depth_distill_ros.errors import BagError, DataError
from depth_distill_ros.evaluation.replay.poses import GAP, Trajectory, between
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms, bag_transforms
from depth_distill_ros.geometry.pose import pose_matrix

HALF = np.sqrt(0.5)
# Of a body frame (x forward, y left, z up) to an optical one (x right, y down, z forward).
OPTICAL = (-0.5, 0.5, -0.5, 0.5)


def robot() -> list:
    """A camera 0.2 m in front of the base and 1 m up, a LiDAR 1.5 m up, turned left by 90°."""
    return [
        transform_message("base", "camera", (0.2, 0.0, 1.0)),
        transform_message("camera", "optical", (0.0, 0.0, 0.0), OPTICAL),
        transform_message("base", "lidar", (0.0, 0.0, 1.5), (0.0, 0.0, HALF, HALF)),
    ]


def test_transforms_are_composed_by_hand():
    tree = StaticTransforms(robot())
    ahead = np.array([0.0, -3.0, -0.5, 1.0])  # of the LiDAR: its -y is ahead of the robot
    # In the base: 3 m ahead, 1 m up. In the optical frame: z = 2.8 ahead, on the axis.
    in_base = tree.lookup("base", "lidar") @ ahead
    np.testing.assert_allclose(in_base, [3.0, 0.0, 1.0, 1.0], atol=1e-12)
    in_camera = tree.lookup("optical", "lidar") @ ahead
    np.testing.assert_allclose(in_camera, [0.0, 0.0, 2.8, 1.0], atol=1e-12)
    back = tree.lookup("/lidar", "/optical")
    np.testing.assert_allclose(back @ in_camera, ahead, atol=1e-12)
    np.testing.assert_array_equal(tree.lookup("unknown", "/unknown"), np.eye(4))


def test_what_is_not_connected_and_circles_are_refused():
    with pytest.raises(
        BagError, match="does not connect 'map' with 'optical': .*--truth-transform"
    ):
        StaticTransforms(robot()).lookup("optical", "map")
    circle = [transform_message("a", "b", (0, 0, 0)), transform_message("b", "a", (0, 0, 0))]
    with pytest.raises(BagError, match="in a circle"):
        StaticTransforms(circle).lookup("a", "c")
    with pytest.raises(DataError, match="quaternion"):
        StaticTransforms([transform_message("a", "b", (0, 0, 0), (0.0, 0.0, 0.0, 0.0))])


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
def test_all_static_transforms_of_a_bag_are_found_wherever_they_come(tmp_path, storage):
    first, *others = robot()
    records = [static_record([first], START), static_record(others, START + 10**12)]
    tree = bag_transforms(write_records(tmp_path / "bag", records, storage))
    np.testing.assert_allclose(
        tree.lookup("optical", "lidar"), StaticTransforms(robot()).lookup("optical", "lidar")
    )


def test_half_of_a_quarter_turn_by_hand():
    first = pose_matrix(np.array([1.0, 0, 0]), np.array([0, 0, 0, 1.0]))
    second = pose_matrix(np.array([3.0, 2, 0]), np.array([0, 0, HALF, HALF]))
    middle = between(first, second, 0.5)
    np.testing.assert_allclose(middle[:3, 3], [2, 1, 0])
    np.testing.assert_allclose(middle[:3, :3] @ [1, 0, 0], [HALF, HALF, 0], atol=1e-12)
    np.testing.assert_allclose(between(first, second, 0.0), first, atol=1e-12)
    np.testing.assert_allclose(between(first, second, 1.0), second, atol=1e-12)


def moved(x: float) -> np.ndarray:
    return pose_matrix(np.array([x, 0, 0]), np.array([0, 0, 0, 1.0]))


def test_poses_at_between_and_beside_their_stamps():
    path = Trajectory((0, GAP, GAP + 2 * GAP), tuple(moved(x) for x in (0, 1, 2)))
    assert path.at(GAP)[0, 3] == 1
    assert path.at(GAP // 4)[0, 3] == pytest.approx(0.25)
    assert path.at(900_000)[0, 3] == 0, "within the rounding of a text file"
    assert path.at(-900_000)[0, 3] == 0
    assert path.at(-2_000_000) is None and path.at(4 * GAP) is None
    assert path.at(2 * GAP) is None, "two poses too far apart say nothing of the middle"
    assert Trajectory().at(0) is None


def test_forgetting_keeps_what_the_next_image_needs():
    path = Trajectory(tuple(range(0, 10 * GAP, GAP)), tuple(moved(i) for i in range(10)))
    path.forget(5 * GAP + 1)
    assert path.at(5 * GAP)[0, 3] == 5 and path.at(4 * GAP) is None
    assert path.reaches(9 * GAP) and not path.reaches(9 * GAP + 1)
