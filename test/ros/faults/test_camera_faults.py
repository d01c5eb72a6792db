"""A camera that dies, changes its size, goes back in time or states nonsense."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

import camera_faults  # noqa: E402 - they import rclpy


@pytest.fixture(scope="module")
def graph(open_graph, small_model):
    topics = ("relative/image", "relative/points")
    return open_graph(f"model:={small_model}", listen=topics).wait()


def test_a_camera_that_dies_and_returns_is_answered(graph):
    camera_faults.camera_dies(graph).check()


def test_resolution_may_change_in_the_stream(graph):
    camera_faults.resolution_changes(graph).check()
    assert "not a resized image of this camera" in graph.process.log


def test_stamps_may_go_backwards(graph):
    camera_faults.stamps_go_backwards(graph).check()


def test_impossible_intrinsics_stop_clouds_but_not_depth(graph):
    camera_faults.bad_intrinsics(graph).check()
    for reason in ("not finite", "never calibrated", "focal length"):
        assert reason in graph.process.log


def test_nothing_of_it_is_a_defect(graph):
    log = graph.process.stop()
    assert "Traceback" not in log and "an image failed" not in log and "was lost by" not in log
