"""RGB-D sequences of one's own as a training source."""

from __future__ import annotations

import json

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.data.frames import Frames


def test_frames_of_all_sequences_with_depth(make_sequence, plane_depth, tmp_path):
    make_sequence(tmp_path / "data" / "a", frames=3)
    make_sequence(tmp_path / "data" / "b", frames=2, depth_format="npz_depth")
    make_sequence(tmp_path / "data" / "stereo", depth_format="npz_disparity")  # no metric depth
    (tmp_path / "data" / "a" / "depth" / "000001.png").unlink()  # not measured
    source = Frames(tmp_path / "data")
    names = [source.name(i) for i in range(len(source))]
    assert names == ["a/000000", "a/000002", "b/000000", "b/000001"]
    rgb, depth = source[1]
    assert rgb.dtype == np.uint8 and rgb.shape == (48, 64, 3)
    assert np.allclose(depth, plane_depth, atol=6e-4)
    with pytest.raises(IndexError):
        source[4]


def test_depth_0_is_unknown_not_sky(make_sequence, tmp_path):
    folder = make_sequence(tmp_path / "a", frames=1, depth_format="npz_depth")
    depth = np.full((48, 64), 2.0, np.float32)
    depth[:10] = 0
    np.savez(folder / "depth" / "000000.npz", depth=depth)
    found = Frames(folder)[0][1]
    assert np.isnan(found[:10]).all() and (found[10:] == 2).all()


def test_broken_images_are_data_errors(make_sequence, tmp_path):
    folder = make_sequence(tmp_path / "a", frames=1)
    (folder / "rgb" / "000000.png").write_bytes(b"nothing")
    with pytest.raises(DataError):
        Frames(folder)[0]


def test_folders_without_metric_depth(make_sequence, tmp_path):
    folder = make_sequence(tmp_path / "a", depth_format="npz_disparity")
    assert json.loads((folder / "intrinsics.json").read_text())["depth_format"] == "npz_disparity"
    with pytest.raises(DataError, match="no frame with metric depth"):
        Frames(folder)


def test_the_real_sequences(shared_data):
    source = Frames(shared_data)
    assert len(source) > 80
    rgb, depth = source[0]
    assert rgb.shape[:2] == depth.shape and np.isfinite(depth).any()
    assert len({source.name(i) for i in range(len(source))}) == len(source)
