"""A metric reference that lies, is silent, or goes back in time: metres stay metres, or are none."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

import scale_faults  # noqa: E402 - they import rclpy


@pytest.fixture(scope="module")
def graph(open_graph, small_model):
    parameters = (f"model:={small_model}", *scale_faults.PARAMETERS)
    return open_graph(*parameters, listen=scale_faults.TOPICS).wait()


def is_steady_and_true(notes: dict) -> bool:
    low, high = notes["scale"]
    return notes["AbsRel"] < 0.05 and high / low < 1.05


def test_sixty_percent_of_outliers_do_not_move_metric_depth(graph):
    figures = scale_faults.outliers(graph).check()
    assert is_steady_and_true(figures.notes), figures


def test_without_a_reference_metric_depth_is_held_then_withheld_and_returns(graph):
    figures = scale_faults.missing(graph).check()
    assert figures.notes["held s"] == 5, figures  # scale.timeout
    assert figures.notes["statuses"] == ["ok", "held", "lost"], figures
    assert figures.notes["AbsRel after"] < 0.05, figures


def test_a_bag_in_a_loop_keeps_its_scale(graph):
    figures = scale_faults.loops(graph).check()
    assert is_steady_and_true(figures.notes), figures


def test_nothing_of_it_is_a_defect(graph):
    log = graph.process.stop()
    assert "Traceback" not in log and "an image failed" not in log and "was lost by" not in log
