"""Samples of clips: which frames, times, scenes, and one normalisation for all frames of a scene."""

from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.clips import Clips
from training.config import DataConfig
from training.data.clips import ClipSource, draw_frames
from training.data.open import open_source
from training.data.virtual_kitti.clips import VirtualKittiClips

DATA = DataConfig(kind="clips", size=(32, 64), frames=8, flip=False)


@given(st.integers(1, 16), st.integers(0, 2**31))
def test_frames_are_in_a_row_or_every_other_one(count, seed):
    frames = draw_frames(16, count, np.random.default_rng(seed))
    assert len(frames) == count and frames.min() >= 0 and frames.max() < 16
    steps = set(np.diff(frames).tolist())
    assert len(steps) <= 1 and steps <= {1, 2, -1, -2}


def forwards(clip, data=DATA):
    """The sample of a clip whose frames were drawn in the order of time."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        if draw_frames(len(clip), data.frames, rng)[0] == 0:
            return ClipSource.make_sample(clip, data, np.random.default_rng(seed))
    raise AssertionError("no seed draws the first frame")


def test_a_sample_carries_times_scenes_and_validity(uneven_clips):
    clip = Clips(uneven_clips)[1]
    sample = forwards(clip)
    assert sample["rgb"].shape == (8, 3, 32, 64)
    assert sample["rgb"].min() >= -1 and sample["rgb"].max() <= 1
    assert sample["stamps"].dtype == torch.float64
    assert sample["stamps"].tolist() == pytest.approx([0, 0.1, 0.2, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert sample["starts"].nonzero().flatten().tolist() == [5]
    assert not sample["valid"][:, :, :, :5].any() and sample["valid"][:, :, :, 5:].all()


def test_time_reversed_keeps_gaps_and_cut(uneven_clips):
    clip = Clips(uneven_clips)[1]
    backwards = next(
        seed for seed in range(20) if draw_frames(8, 8, np.random.default_rng(seed))[0] == 7
    )
    sample = ClipSource.make_sample(clip, DATA, np.random.default_rng(backwards))
    assert sample["stamps"].tolist() == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.7, 0.8, 0.9])
    assert sample["starts"].nonzero().flatten().tolist() == [3]


def test_disparity_is_normalised_over_a_scene_not_a_frame(uneven_clips):
    clip = Clips(uneven_clips)[0]
    depth = np.broadcast_to(np.linspace(1, 4, 64)[None, :, None], clip.depth.shape).copy()
    depth[4:] *= 2  # the camera steps back: the same surfaces at half the disparity
    still = dataclasses.replace(clip, depth=depth.astype(np.float32))
    disparity = forwards(still)["disparity"]
    ratio = (disparity[4:] - disparity.min()) / (disparity[:4] - disparity.min()).clamp(min=1e-6)
    assert disparity[:4].max() == 1 and disparity[4:].max() < 0.1
    assert float(ratio.median()) < 0.5
    cut = forwards(dataclasses.replace(still, cuts=(4,)))["disparity"]
    assert cut[:4].max() == cut[4:].max() == 1


def test_a_source_is_refused_where_clips_are_short_and_can_be_pickled(uneven_clips):
    with pytest.raises(ConfigError, match="8 frames"):
        ClipSource(Clips(uneven_clips), 9)
    source = pickle.loads(pickle.dumps(ClipSource(Clips(uneven_clips), 8)))
    assert len(source) == 4 and source.name(3) == "clips-00000/3"


def test_drives_of_virtual_kitti_become_clips(virtual_kitti):
    root, listing = virtual_kitti(frames=5, conditions=("clone",), cameras=(0, 1))
    clips = VirtualKittiClips(root, 3, listing)
    names = [clips.name(k) for k in range(len(clips))]
    assert names == [f"Scene02/clone/Camera_{c}/0000{f}" for c in (0, 1) for f in (0, 1, 2)]
    clip = clips[1]
    assert clip.rgb.shape == (3, 352, 1216, 3) and clip.stamps.tolist() == [0, 0.1, 0.2]
    assert np.array_equal(clip.rgb[1], clips[2].rgb[0])
    assert set(np.unique(clip.depth[0, -1])) == {0, 1.5, np.float32(79.99)}
    data = DataConfig(kind="virtual_kitti_clips", folder=str(root), list=str(listing), frames=2)
    assert len(open_source(data)) == 6
    with pytest.raises(DataError, match="in a row"):
        VirtualKittiClips(root, 6, listing)
