"""More frames than can be processed, a subscriber that takes none, a bad neighbour."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

import load_faults  # noqa: E402 - they import rclpy


@pytest.fixture(scope="module")
def graph(open_graph, small_model):
    topics = ("relative/image", "relative/points")
    return open_graph(f"model:={small_model}", listen=topics).wait()


def test_ten_times_the_rate_drops_frames_but_no_count(graph):
    answers = graph.seen["relative/image"].stamps
    figures = load_faults.too_many_frames(graph).check()
    assert figures.sent >= 1000 and figures.dropped > figures.processed, figures
    assert figures.notes["sent Hz"] > 3 * figures.notes["processed Hz"], figures
    assert answers == sorted(answers), "answers came out of order"


def test_a_subscriber_that_stops_holds_up_nobody(graph):
    figures = load_faults.frozen_subscriber(graph).check()
    assert figures.notes["share"] > 0.8, figures
    assert figures.notes["taken after"] >= 10, figures


@pytest.mark.slow
def test_a_subscriber_may_stop_for_longer_than_the_middleware_waits_for_it(graph):
    figures = load_faults.frozen_subscriber(graph, seconds=45.0).check()
    assert figures.notes["share"] > 0.8, figures
    assert figures.notes["taken after"] >= 10, figures


def test_a_dead_or_mad_camera_does_not_harm_another(open_graph, small_model):
    topics = ("front/relative/image", "rear/relative/image")
    graph = open_graph(f"model:={small_model}", listen=topics, cameras=("front", "rear")).wait()
    figures = load_faults.one_camera_harms_another(graph).check()
    assert min(figures.notes["shares"].values()) > 0.8, figures
    log = graph.process.stop()
    assert "rear: " in log and "encoding 'no_such'" in log
    assert "Traceback" not in log and "an image failed" not in log and "was lost by" not in log
