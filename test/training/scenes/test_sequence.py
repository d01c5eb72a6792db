"""A moving camera: layout, and poses that carry one frame's depth onto another's."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.frames import load_sequence
from training.scenes.sequence import quaternion, render_sequence

RATE = 10.0


@pytest.fixture(scope="module", params=["indoor", "tabletop", "outdoor"])
def sequence(request, egl, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sequences") / request.param
    render_sequence(folder, 9, (160, 120), seed=5, kind=request.param, rate=RATE, progress=False)
    return folder


def test_the_evaluation_reads_it(sequence):
    frames = load_sequence(sequence)
    assert len(frames) == 9 and frames.rate == pytest.approx(RATE, rel=1e-3)
    for frame in frames:
        assert frame.rgb.shape == (120, 160, 3) and frame.rgb.std() > 5
        assert frame.depth.dtype == np.float32 and (frame.depth > 0).mean() > 0.3
        assert frame.intrinsics.cx == 79.5 and frame.intrinsics.fx > 40
        assert frame.pose.shape == (4, 4)
    about = json.loads((sequence / "intrinsics.json").read_text())
    assert about["depth_format"] == "npz_depth" and about["licence"]


def sample_depth(depth: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Depth between pixels by bilinear disparity, which is exact on planes; NaN outside or at sky."""
    height, width = depth.shape
    inside = (u >= 0) & (u < width - 1) & (v >= 0) & (v < height - 1)
    column, row = np.where(inside, u, 0).astype(int), np.where(inside, v, 0).astype(int)
    a, b = u - column, v - row
    with np.errstate(divide="ignore", invalid="ignore"):
        disparity = 1 / np.where(depth > 0, depth, np.nan)
    upper = disparity[row, column] * (1 - a) + disparity[row, column + 1] * a
    lower = disparity[row + 1, column] * (1 - a) + disparity[row + 1, column + 1] * a
    return np.where(inside, 1 / (upper * (1 - b) + lower * b), np.nan)


def test_depth_reprojects_through_the_poses(sequence):
    frames = load_sequence(sequence)
    for first, second in ((0, 8), (4, 2)):
        a, b = frames[first], frames[second]
        k = a.intrinsics
        v, u = np.nonzero(a.depth > 0)
        z = a.depth[v, u].astype(float)
        points = np.stack([(u - k.cx) * z / k.fx, (v - k.cy) * z / k.fy, z, np.ones_like(z)])
        moved = np.linalg.inv(b.pose) @ a.pose @ points
        ahead = moved[2] > 0.05
        x, y, z = moved[:3, ahead]
        seen = sample_depth(b.depth, k.fx * x / z + k.cx, k.fy * y / z + k.cy)
        assert np.isfinite(seen).mean() > 0.3
        error = (np.abs(seen - z) / z)[np.isfinite(seen)]
        assert np.median(error) < 0.005
    assert np.linalg.norm(frames[8].pose[:3, 3] - frames[0].pose[:3, 3]) > 0.005, "it moved"


def test_a_sequence_is_reproducible_and_may_be_rendered_again(egl, tmp_path):
    folder = tmp_path / "again"
    images = []
    for _ in range(2):
        render_sequence(folder, 2, (64, 48), seed=1, kind="indoor/living", progress=False)
        images.append({p.name: p.read_bytes() for p in (folder / "rgb").iterdir()})
        images[-1]["poses"] = (folder / "poses.txt").read_bytes()
    assert images[0] == images[1]


def test_other_folders_are_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(DataError, match="not empty"):
        render_sequence(tmp_path, 2, (64, 48), progress=False)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("axis", np.vstack([np.eye(3), [[0.6, -0.64, 0.48]]]))
@pytest.mark.parametrize("angle", [0.0, 0.3, 2.5, np.pi])
def test_quaternions_by_axis_and_angle(axis, angle):
    x, y, z = axis
    skew = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    rotation = np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * skew @ skew
    expected = np.array([*(np.sin(angle / 2) * axis), np.cos(angle / 2)])
    found = quaternion(rotation)
    np.testing.assert_allclose(found * np.sign(found @ expected), expected, atol=1e-9)
