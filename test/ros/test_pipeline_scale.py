"""Metres from what is measured beside the images, and what happens where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pipeline_harness import ALL, HEIGHT, OPTICAL, RGB, WIDTH, Harness, brightness, floats
from ros_messages import header, image

from depth_distill_ros.geometry.reference import ReferenceSamples
from depth_distill_ros.ros.settings import Settings
from depth_distill_ros.ros.topics import METRIC, RELATIVE, SCALE

REFERENCE = Settings(scale_mode="reference", depth_edge_mask=False)


class References:
    """Metric measurements of every other row: depth = 1 / (2 d + 0.5)."""

    def __init__(self, available=True):
        self.available = available
        self.asked = []

    def samples(self, header, intrinsics):
        self.asked.append((header, intrinsics))
        if not self.available:
            return None
        v, u = np.mgrid[1:HEIGHT:2, 0:WIDTH:2]
        depth = 1 / (0.5 + 2 * brightness(RGB)[v, u])
        flat = [values.ravel().astype(np.float32) for values in (u, v, depth)]
        return ReferenceSamples(*flat, width=WIDTH, height=HEIGHT)


def test_a_reference_gives_metres_and_the_state_says_how():
    references = References()
    run = Harness(REFERENCE, references)
    outputs = run({METRIC.image, SCALE})
    depth, exact = floats(outputs[METRIC.image]), 1 / (0.5 + 2 * brightness(RGB))
    assert np.allclose(depth[1:], exact[1:], rtol=1e-3)
    ((asked, intrinsics),) = references.asked
    assert asked == OPTICAL and intrinsics.width == WIDTH
    (status,) = outputs[SCALE].status
    values = {pair.key: pair.value for pair in status.values}
    assert values["status"] == "ok" and float(values["scale"]) == pytest.approx(2, rel=1e-3)
    assert int(values["inliers"]) > 500 and outputs[SCALE].header == OPTICAL
    assert run.pipeline.saved_scale() is not None


def test_without_a_reference_only_relative_depth_comes_and_the_reason_is_told():
    run = Harness(REFERENCE, References(available=False))
    assert set(run({*ALL, SCALE})) == {*RELATIVE, SCALE}
    assert any(problem.startswith("no depth in metres") for problem in run.problems)
    assert run.pipeline.saved_scale() is None


def test_a_scale_that_is_lost_takes_metric_depth_away_and_a_reset_as_well():
    references = References()
    run = Harness(replace(REFERENCE, scale_timeout=5.0), references)

    def at(second):
        later = header(second, 0, "camera_optical_frame")
        return run({METRIC.image, SCALE}, message=image(RGB, "rgb8", header=later))

    assert METRIC.image in at(100)
    references.available = False
    assert METRIC.image in at(104)
    assert METRIC.image not in at(106)
    references.available = True
    assert METRIC.image in at(107)
    run.pipeline.reset_scale()
    references.available = False
    assert METRIC.image not in at(108)


def test_the_height_of_the_camera_gives_metres():
    # A floor 1.5 m below a level camera: 1/z = (v - cy) / (fy * 1.5) below the horizon; the
    # model's disparity has another scale.
    rows = np.arange(HEIGHT, dtype=np.float32)[:, None]
    inverse = np.broadcast_to(np.maximum((rows - 23.5) / (51 * 1.5), 0), (HEIGHT, WIDTH))
    near, far = 0.5, 1000.0
    disparity = (0.7 * inverse - 1 / far) / (1 / near - 1 / far)
    disparity = disparity.clip(0, 1).astype(np.float32)
    settings = Settings(
        scale_mode="camera_height",
        camera_height_height=1.5,
        relative_near=near,
        relative_far=far,
        depth_edge_mask=False,
    )
    run = Harness(settings)
    depth = floats(run({METRIC.image}, disparity=disparity)[METRIC.image])
    assert np.allclose(depth[30:], 1 / inverse[30:], rtol=0.02)
    from_tf = replace(settings, camera_height_height=0.0)
    other = Harness(from_tf, attitude=lambda header: (np.array([0.0, -1.0, 0.0]), 1.5))
    again = floats(other({METRIC.image}, disparity=disparity)[METRIC.image])
    assert np.allclose(again[30:], depth[30:], rtol=1e-3)
