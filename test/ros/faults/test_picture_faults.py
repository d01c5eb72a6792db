"""Compressed images that arrive damaged."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

import picture_faults  # noqa: E402 - they import rclpy


def test_damaged_files_are_refused_and_the_next_good_one_is_answered(open_graph, small_model):
    graph = open_graph(
        f"model:={small_model}", "input.transport:=compressed", listen=("relative/image",)
    ).wait()
    figures = picture_faults.corrupt_jpeg(graph).check()
    assert figures.refused >= 0.8 * figures.notes["surely bad"], figures  # best effort loses some
    log = graph.process.stop()
    assert "truncated JPEG" in log and "cannot be decoded" in log and "lost a part" in log
    assert "Traceback" not in log and "an image failed" not in log and "was lost by" not in log
