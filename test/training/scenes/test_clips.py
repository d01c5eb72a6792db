"""Clips: what shards hold, what happens in a clip, and clips in which nothing happens."""

from __future__ import annotations

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.clips import Clips
from training.scenes import clips
from training.scenes.__main__ import main
from training.scenes.clips import render_clip, render_clips
from training.scenes.scene import CameraPose
from training.scenes.sequence import find_path

FRAMES = 6
SMALL = {"frames": FRAMES, "size": (64, 48), "tier": "procedural", "kinds": ("indoor/living",)}
SMALL |= {"shard_size": 2, "progress": False}


def content(folder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def data(egl, tmp_path_factory):
    """Three clips in two shards."""
    folder = tmp_path_factory.mktemp("clips")
    files = render_clips(folder, 3, seed=3, **SMALL)
    assert [path.name for path in files] == ["clips-00000-info.json", "clips-00001-info.json"]
    return folder


def test_the_reader_reads_what_is_written(data):
    found = Clips(data)
    assert len(found) == 3
    for clip in (found[i] for i in range(3)):
        assert clip.kind == "indoor/living"
        assert clip.rgb.shape == (FRAMES, 48, 64, 3) and clip.depth.shape == (FRAMES, 48, 64)
        assert np.isfinite(clip.depth).all() and (clip.rgb.reshape(FRAMES, -1).std(1) > 5).all()
        assert clip.intrinsics[0].cx == 31.5 and clip.intrinsics[0].fx > 20
        rotation = clip.poses[:, :3, :3]
        np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2) - np.eye(3), 0, atol=1e-9)
        gaps = np.diff(clip.stamps)
        assert clip.stamps[0] == 0 and gaps.min() > 0 and gaps.max() < 0.51


def test_resume_renders_only_what_is_missing_and_the_same(data, tmp_path):
    folder, complete = tmp_path / "resumed", content(data)
    folder.mkdir()
    for name, code in complete.items():
        (folder / name).write_bytes(code)
    (folder / "clips-00001-info.json").unlink()  # was interrupted before its end
    (folder / "clips-00001-rgb.npy").write_bytes(b"half")
    kept = (folder / "clips-00000-rgb.npy").stat().st_mtime_ns
    render_clips(folder, 3, seed=3, **SMALL)
    assert content(folder) == complete
    assert (folder / "clips-00000-rgb.npy").stat().st_mtime_ns == kept
    with pytest.raises(DataError, match="clips rendered with other settings.*frames"):
        render_clips(folder, 3, seed=3, **{**SMALL, "frames": 8})


def test_without_events_a_clip_is_the_static_renderer(assets, renderer, monkeypatch):
    for share in ("CUTS", "TRIPODS", "MOVING"):
        monkeypatch.setattr(clips, share, 0.0)
    frames, about = render_clip(assets, renderer, "indoor/office", 3, 4, "indoor")
    assert (about["cuts"], about["moving"]) == ([], False)
    numbers = np.rint(np.array(about["stamps"]) * 30)
    assert (np.diff(numbers) > 0).all()
    find_path(assets, renderer, "indoor/office", 3, 8, 30.0, clips.STARTS)  # loads the scene
    for frame in frames:
        rotation = frame.pose[:3, :3] @ np.diag([1.0, -1, -1])
        tan = frame.intrinsics.width / (2 * frame.intrinsics.fx)
        _, depth = renderer.render(CameraPose(frame.pose[:3, 3], rotation, tan))
        np.testing.assert_array_equal(depth, frame.depth)


def test_a_tripod_stands_still_and_noise_does_not(assets, renderer, monkeypatch):
    monkeypatch.setattr(clips, "CUTS", 0.0)
    monkeypatch.setattr(clips, "TRIPODS", 1.0)
    monkeypatch.setattr(clips, "MOVING", 0.0)
    frames, about = render_clip(assets, renderer, "indoor/office", 5, 4, "indoor")
    assert all(pose == about["poses"][0] for pose in about["poses"])
    for frame in frames[1:]:
        np.testing.assert_array_equal(frame.depth, frames[0].depth)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_cut_is_recorded_and_seen(assets, renderer, monkeypatch, seed):
    monkeypatch.setattr(clips, "CUTS", 1.0)
    monkeypatch.setattr(clips, "MOVING", 0.0)
    frames, about = render_clip(assets, renderer, "indoor", seed, 8, "outdoor/park")
    (cut,) = about["cuts"]
    assert 3 <= cut <= 5 and (np.diff(about["stamps"]) > 0).all()
    depth = [np.log(np.where(frame.depth > 0, frame.depth, 500)) for frame in frames]
    jumps = [float(np.median(np.abs(b - a))) for a, b in zip(depth[:-1], depth[1:], strict=True)]
    assert int(np.argmax(jumps)) + 1 == cut


def test_things_move_before_a_tripod(assets, renderer, monkeypatch):
    monkeypatch.setattr(clips, "CUTS", 0.0)
    monkeypatch.setattr(clips, "TRIPODS", 1.0)
    monkeypatch.setattr(clips, "MOVING", 1.0)
    frames, about = render_clip(assets, renderer, "indoor/living", 4, 6, "indoor")
    assert about["moving"]
    changed = frames[0].depth != frames[-1].depth
    assert 0.001 < changed.mean() < 0.7


def test_the_command_line_counts_clips(egl, tmp_path, capsys):
    line = f"--clips {tmp_path / 'c'} --count 1 --frames 2 --size 32x24 --kinds tabletop/table"
    assert main(line.split()) == 0
    assert "complete: all 1 samples" in capsys.readouterr().out
    assert Clips(tmp_path / "c")[0].rgb.shape == (2, 24, 32, 3)
    assert main(f"--clips {tmp_path / 'd'} --frames 1".split()) == 2
    assert "at least two frames" in capsys.readouterr().err
