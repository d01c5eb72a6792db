"""Clips on disk: what a shard holds comes back, and shards that do not fit are refused."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.clips import Clips
from depth_distill_ros.geometry.camera import Intrinsics

FRAMES, HEIGHT, WIDTH = 3, 4, 6


def entry(**changes) -> dict:
    """What is said of a clip of three frames."""
    about = {
        "kind": "indoor/office", "seed": 7, "stamps": [0.0, 0.1, 0.4], "cuts": [2], "moving": True,
        "intrinsics": [[5.0, 5.0, 2.5, 1.5]] * FRAMES, "poses": [np.eye(4).tolist()] * FRAMES,
    }  # fmt: skip
    return {**about, **changes}


def write_shard(folder, index: int, about: list) -> None:
    """A shard whose clip number k has the colour 10 * index + k and that many metres."""
    values = 10 * index + np.arange(len(about)).reshape(-1, 1, 1, 1)
    depth = np.broadcast_to(values, (len(about), FRAMES, HEIGHT, WIDTH)).astype(np.float16)
    stem = folder / f"clips-{index:05d}"
    np.save(f"{stem}-rgb.npy", np.repeat(depth[..., None], 3, -1).astype(np.uint8))
    np.save(f"{stem}-depth.npy", depth)
    (folder / f"{stem}-info.json").write_text(json.dumps(about))


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path, 0, [entry(), entry(kind="outdoor/park", cuts=[], moving=False)])
    write_shard(tmp_path, 1, [entry(intrinsics=None, poses=None)])
    return tmp_path


def test_clips_come_back_over_shards(folder):
    clips = Clips(folder)
    assert len(clips) == 3
    assert [clips[i].name for i in range(3)] == ["clips-00000/0", "clips-00000/1", "clips-00001/0"]
    first, second, third = (clips[i] for i in range(3))
    assert first.rgb.shape == (FRAMES, HEIGHT, WIDTH, 3) and first.rgb.dtype == np.uint8
    assert first.depth.dtype == np.float32 and len(first) == FRAMES
    assert (second.depth == 1).all() and (third.rgb == 10).all()
    assert first.stamps.dtype == np.float64 and first.stamps.tolist() == [0.0, 0.1, 0.4]
    assert (first.cuts, first.moving, first.kind) == ((2,), True, "indoor/office")
    assert (second.cuts, second.moving, second.kind) == ((), False, "outdoor/park")
    assert first.intrinsics == (Intrinsics(5.0, 5.0, 2.5, 1.5, WIDTH, HEIGHT),) * FRAMES
    np.testing.assert_array_equal(first.poses, np.tile(np.eye(4), (FRAMES, 1, 1)))
    assert third.intrinsics is None and third.poses is None
    with pytest.raises(IndexError):
        clips[3]


def test_a_pickle_opens_the_files_anew(folder):
    clips = Clips(folder)
    code = pickle.dumps(clips)
    assert len(code) < 1000
    np.testing.assert_array_equal(pickle.loads(code)[2].rgb, clips[2].rgb)


def test_a_folder_without_clips_says_how_to_render_some(tmp_path):
    with pytest.raises(DataError, match="--clips"):
        Clips(tmp_path)


@pytest.mark.parametrize(
    "wrong",
    [
        entry(stamps=[0.0, 0.1, 0.1]),
        entry(stamps=[0.0, 0.1]),
        entry(cuts=[0]),
        entry(cuts=[FRAMES]),
        entry(moving="yes"),
        entry(poses=[np.eye(4).tolist()]),
        {"kind": "indoor/office"},
        "a clip",
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path, wrong):
    write_shard(tmp_path, 0, [wrong])
    with pytest.raises(DataError, match="clips-00000-info.json"):
        Clips(tmp_path)


def test_damaged_shards_are_refused(folder):
    (folder / "clips-00000-info.json").write_text(json.dumps([entry()]))
    with pytest.raises(DataError, match="does not describe 2 clips"):
        Clips(folder)
    np.save(folder / "clips-00000-depth.npy", np.zeros((2, FRAMES, HEIGHT, WIDTH + 1)))
    with pytest.raises(DataError, match="do not fit their depth"):
        Clips(folder)
    (folder / "clips-00000-depth.npy").unlink()
    with pytest.raises(DataError, match="cannot be read"):
        Clips(folder)
