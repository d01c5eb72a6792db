"""The picture of a run: layout, and the view of the cloud."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.evaluation.figure import (
    CLOUD_BACKGROUND,
    PANEL_WIDTH,
    Example,
    draw_figure,
    oblique_view,
)
from depth_distill_ros.geometry.camera import Intrinsics, unproject

CAMERA = Intrinsics(60, 60, 31.5, 23.5, 64, 48)


@pytest.fixture
def example(plane_depth):
    rgb = np.full((48, 64, 3), 200, np.uint8)
    points = unproject(plane_depth, CAMERA)
    return Example("a frame", rgb, 1 / plane_depth, plane_depth, points, rgb, CAMERA)


def test_a_row_an_example_and_a_panel_for_what_is_known(example):
    one = draw_figure([example], "title")
    two = draw_figure([example, example], "title")
    assert one.dtype == np.uint8 and one.shape[1] == two.shape[1] > 4 * PANEL_WIDTH
    assert two.shape[0] > 1.8 * one.shape[0]
    bare = Example("a frame", example.rgb, example.disparity)
    assert 2 * PANEL_WIDTH < draw_figure([bare], "title").shape[1] < 3 * PANEL_WIDTH
    assert draw_figure([example, bare], "title").shape == two.shape


def test_unturned_the_cloud_is_the_image(example):
    points = np.full((48, 64, 3), np.nan, np.float32)
    points[24, 31] = (0, 0, 2)
    colours = np.zeros((48, 64, 3), np.uint8)
    colours[24, 31] = (255, 0, 0)
    view = oblique_view(points, colours, CAMERA, (64, 48), yaw=0, pitch=0)
    rows, columns = np.nonzero(view[..., 0] == 255)
    assert abs(rows.mean() - 24) <= 1 and abs(columns.mean() - 32) <= 1
    assert (view[0, 0] == CLOUD_BACKGROUND).all()


def test_from_above_and_the_right_far_points_are_up_and_to_the_right():
    points = np.zeros((1, 3, 3), np.float32)
    points[0, :, 2] = (1.8, 2.0, 2.2)  # on the axis, one behind the other
    colours = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    camera = CAMERA.scaled(640, 480)
    points = np.repeat(points, 20, axis=0)  # the far quantile that is left out keeps the third
    view = oblique_view(points, np.repeat(colours, 20, axis=0), camera, (640, 480))
    near, far = (np.argwhere(view[..., channel] == 255).mean(axis=0) for channel in (0, 2))
    assert far[0] < near[0] and far[1] > near[1]


def test_near_points_cover_far_ones():
    points = np.array([[[0, 0, 2.0], [0, 0, 1.0]]], np.float32)
    colours = np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)
    for order in ((0, 1), (1, 0)):
        picked = list(order)
        view = oblique_view(
            np.repeat(points[:, picked], 9, 0), np.repeat(colours[:, picked], 9, 0),
            CAMERA, (64, 48), yaw=0, pitch=0,
        )  # fmt: skip
        assert (view[..., 1] == 255).any() and not (view[..., 0] == 255).any()


def test_a_cloud_of_nothing_is_an_empty_view():
    points = np.full((4, 4, 3), np.nan, np.float32)
    view = oblique_view(points, np.zeros((4, 4, 3), np.uint8), CAMERA, (64, 48))
    assert (view == CLOUD_BACKGROUND).all()


def test_an_error_is_a_panel_and_colours_follow_the_measured_depth(example):
    plain = Example("a", example.rgb, example.disparity, example.depth)
    error = np.full(example.depth.shape, 0.25, np.float32)
    judged = Example("a", example.rgb, example.disparity, example.depth, error=error)
    one, more = draw_figure([plain], "t"), draw_figure([judged], "t")
    assert more.shape[1] - one.shape[1] >= PANEL_WIDTH
    halved = Example("a", example.rgb, example.disparity / 2, example.depth, error=error)
    assert (draw_figure([halved], "t") != more).any()  # own colours would hide a wrong scale
    unjudged = Example("a", example.rgb, example.disparity / 2, example.depth)
    assert (draw_figure([unjudged], "t") == one).all()
