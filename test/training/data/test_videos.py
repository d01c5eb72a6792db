"""Folders of images as clips: which are videos, which stretches, and no depth anywhere."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from depth_distill_ros.errors import DataError
from training.config import DataConfig
from training.data.open import open_source
from training.data.videos import VideoFrames


def write(folder: Path, count: int, width: int = 64) -> None:
    folder.mkdir(parents=True)
    for index in range(count):
        cv2.imwrite(str(folder / f"{index:03d}.png"), np.full((32, width, 3), index, np.uint8))


@pytest.fixture
def root(tmp_path) -> Path:
    write(tmp_path / "a", 7)
    write(tmp_path / "b" / "walk" / "rgb", 3)
    write(tmp_path / "b" / "walk" / "depth", 9)
    write(tmp_path / "short", 2)
    return tmp_path


def test_stretches_of_every_video(root):
    clips = VideoFrames(root, 3)
    names = [clips.name(k) for k in range(len(clips))]
    assert names == ["a/000.png", "a/002.png", "b/walk/rgb/000.png"]
    assert [len(clips[k]) for k in range(3)] == [5, 5, 3]
    clip = clips[1]
    assert clip.rgb.shape == (5, 32, 64, 3) and clip.rgb[:, 0, 0, 0].tolist() == [2, 3, 4, 5, 6]
    assert np.isnan(clip.depth).all() and clip.depth.shape == (5, 32, 64)
    assert clip.stamps.tolist() == pytest.approx([k / 30 for k in range(5)])


def test_a_folder_of_images_is_one_video(root):
    assert VideoFrames(root / "a", 7).name(0) == "000.png"


def test_samples_have_images_and_nothing_else(root):
    data = DataConfig(kind="video_frames", folder=str(root), frames=3, size=(16, 32))
    source = open_source(data)
    sample = source.make_sample(*source[0], data, np.random.default_rng(0))
    assert sample["rgb"].shape == (3, 3, 16, 32) and not sample["valid"].any()
    assert torch.isfinite(sample["disparity"]).all()


def test_what_cannot_be_used_is_refused(root):
    with pytest.raises(DataError, match="no folder"):
        VideoFrames(root / "nowhere", 3)
    with pytest.raises(DataError, match="10 images"):
        VideoFrames(root, 10)
    write(root / "mixed", 3)
    cv2.imwrite(str(root / "mixed" / "001.png"), np.zeros((32, 48, 3), np.uint8))
    (root / "broken").mkdir()
    for index in range(3):
        (root / "broken" / f"{index}.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="differ in size"):
        VideoFrames(root / "mixed", 3)[0]
    with pytest.raises(DataError):
        VideoFrames(root / "broken", 3)[0]
