"""True depth brought into the image, and split from what scales the depth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from replay_bags import CAMERA, cloud_message, depth

from depth_distill_ros.errors import BagError, MessageError
from depth_distill_ros.evaluation.bag import camera_info_message, image_message
from depth_distill_ros.evaluation.replay.transforms import StaticTransforms
from depth_distill_ros.evaluation.replay.truth import (
    HIDDEN_RATIO,
    ImagePlane,
    TruthReader,
    split,
    visible_depth,
)
from depth_distill_ros.geometry.camera import Intrinsics, unproject
from depth_distill_ros.ros.images import depth_from_image
from depth_distill_ros.ros.reference import points_from_cloud

SMALL = Intrinsics(fx=10.0, fy=10.0, cx=2.0, cy=1.0, width=20, height=12)


def named(message, frame: str):
    message.header.frame_id = frame
    return message


def image_header(frame: str = "optical"):
    return named(image_message(np.zeros((1, 1, 3), np.uint8)), frame).header


VIEW = ImagePlane(image_header(), (48, 64), CAMERA)


def shifted(x: float):
    """A lookup: the sensor's origin lies x metres to the right in the optical frame."""
    matrix = np.eye(4)
    matrix[0, 3] = x
    return lambda target, source, stamp: matrix


def test_depth_registered_to_the_image_is_taken_as_it_is():
    reader = TruthReader("depth", StaticTransforms().lookup)
    metres = depth()
    metres[0, :3] = np.nan, 0.0, -1.0
    found = reader.depth(named(image_message(metres, "32FC1"), "optical"), None, VIEW)
    expected = depth()
    expected[0, :3] = 0.0
    np.testing.assert_array_equal(found, expected)
    millimetres = named(image_message(np.full((48, 64), 1234, np.uint16), "16UC1"), "optical")
    np.testing.assert_allclose(reader.depth(millimetres, None, VIEW), 1.234)
    # The same camera in the message's own camera_info: still nothing to move.
    own = camera_info_message(CAMERA)
    message = named(image_message(depth(), "32FC1"), "optical")
    np.testing.assert_array_equal(reader.depth(message, own, VIEW), depth())


def test_smaller_registered_depth_is_enlarged_without_averages():
    reader = TruthReader("depth", StaticTransforms().lookup)
    small = np.where(np.arange(32)[None, :] < 16, 1.0, 3.0) * np.ones((24, 1))
    message = named(image_message(small.astype(np.float32), "32FC1"), "optical")
    found = reader.depth(message, camera_info_message(CAMERA.scaled(32, 24)), VIEW)
    assert found.shape == (48, 64) and set(np.unique(found)) == {1.0, 3.0}


def test_depth_of_another_camera_moves_by_hand():
    # A wall at 2 m; the other camera is 0.2 m to the right: 60 px * 0.2 / 2 = 6 columns.
    reader = TruthReader("depth", shifted(0.2))
    wall = named(image_message(np.full((48, 64), 2.0, np.float32), "32FC1"), "other")
    found = reader.depth(wall, camera_info_message(CAMERA), VIEW)
    np.testing.assert_allclose(found[:, 6:], 2.0)
    assert not found[:, :6].any()


def test_depth_of_another_frame_without_a_camera_is_refused():
    reader = TruthReader("depth", shifted(0.0))
    message = named(image_message(depth(), "32FC1"), "other")
    with pytest.raises(BagError, match="depth is of 'other', the images of 'optical'"):
        reader.depth(message, None, VIEW)
    with pytest.raises(MessageError, match="no depth"):
        reader.depth(named(image_message(np.zeros((4, 4, 3), np.uint8)), "optical"), None, VIEW)


def test_a_cloud_is_moved_and_projected_by_hand():
    # u = 10 x / z + 2, v = 10 y / z + 1, after a step of 1 m to the right.
    points = np.float32([[0, 1, 5], [4, 0, 5], [0, 0, -3], [50, 0, 1], [np.nan, 0, 1]])
    reader = TruthReader("lidar", shifted(1.0))
    view = ImagePlane(image_header(), (12, 20), SMALL)
    found = reader.depth(named(cloud_message(points), "lidar"), None, view)
    expected = np.zeros((12, 20), np.float32)
    expected[3, 4] = 5.0  # (1, 1, 5): u = 2 + 2, v = 1 + 2
    expected[1, 12] = 5.0  # (5, 0, 5): u = 10 + 2
    np.testing.assert_array_equal(found, expected)
    assert (
        reader.depth(cloud_message(points), None, ImagePlane(image_header(), (12, 20), None))
        is None
    )


def test_a_nearer_surface_hides_what_is_behind_it():
    points = np.float32([[0, 0, 2], [0.4, 0, 2 / HIDDEN_RATIO + 0.1], [0.4, 0.9, 2.5], [8, 0, 8]])
    found = visible_depth(points, SMALL)
    assert found[1, 2] == 2.0
    assert found[1, 3] == 0.0, "one column beside, a third farther: hidden"
    assert found[5, 4] == np.float32(2.5), "four rows away, and not so much farther"
    assert found[1, 12] == 8.0, "far away from it in the image"
    both = visible_depth(np.float32([[0, 0, 3], [0.01, 0, 2.9]]), SMALL)
    assert both[1, 2] == np.float32(2.9), "of two points in a pixel the nearer one"


def test_a_cloud_of_unprojected_depth_is_that_depth_again():
    points = unproject(depth(), CAMERA).reshape(-1, 3)
    np.testing.assert_allclose(visible_depth(points, CAMERA), depth(), rtol=1e-6)


@given(pixels=st.integers(1, 500), stamp=st.integers(-(10**19), 10**19))
def test_reference_and_truth_of_a_depth_image_share_nothing(pixels, stamp):
    message = named(image_message(depth(), "32FC1"), "optical")
    reference, truth = split(message, "depth", pixels, stamp)
    one, other = (np.isfinite(depth_from_image(part)) for part in (reference, truth))
    assert one.sum() == pixels and not (one & other).any() and (one | other).all()
    again = split(message, "depth", pixels, stamp)[0]
    np.testing.assert_array_equal(depth_from_image(again), depth_from_image(reference))
    np.testing.assert_array_equal(depth_from_image(reference)[one], depth()[one])


def test_other_pixels_are_the_reference_at_another_moment():
    message = named(image_message(depth(), "32FC1"), "optical")
    first, second = (split(message, "depth", 50, stamp)[0] for stamp in (1, 2))
    assert (np.isfinite(depth_from_image(first)) & np.isfinite(depth_from_image(second))).sum() < 10


@pytest.mark.parametrize("rows, rings", [(1, True), (4, False), (1, False)])
def test_every_second_beam_is_the_reference(rows, rings):
    points = np.arange(24, dtype=np.float32).reshape(8, 3)
    beams = np.array([0, 1, 2, 3, 0, 1, 2, 3], np.uint16)
    message = named(cloud_message(points, beams if rings else None, rows), "lidar")
    reference, truth = (points_from_cloud(part) for part in split(message, "lidar", 0, 0))
    if rings:
        even = beams % 2 == 0
    elif rows > 1:
        even = np.arange(8) // 2 % 2 == 0
    else:
        even = np.arange(8) % 2 == 0
    np.testing.assert_array_equal(reference, points[even])
    np.testing.assert_array_equal(truth, points[~even])
