"""Memory that runs out in the middle of the work."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy")

import memory_faults  # noqa: E402 - they import rclpy


@pytest.fixture(scope="module")
def larger_model(tmp_path_factory):
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("model") / "larger"
    model = DepthModel.from_preset("tiny", seed=0, resolution=memory_faults.RESOLUTION)
    model.save_pretrained(folder)
    return folder


def test_without_memory_it_does_less_says_so_and_answers_again(open_graph, larger_model):
    graph = open_graph(
        f"model:={larger_model}",
        listen=("relative/image",),
        environment=memory_faults.ENVIRONMENT,
    ).wait()
    figures = memory_faults.out_of_memory(graph).check()
    assert figures.notes["reduced to"][-1] in ("50%", "25%"), figures
    assert figures.refused > 0, figures
    assert graph.status("model").message.startswith("too little memory"), figures
    log = graph.process.stop()
    assert "the memory of cpu does not suffice for 1 image(s) of 352x256 pixels" in log
    assert "going on with 50% of the model's resolution" in log
    assert "Traceback" not in log
