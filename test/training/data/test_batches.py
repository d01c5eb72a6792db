"""Batches are a function of (seed, step); targets are what the papers say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import DataError
from training.config import DataConfig, RunConfig
from training.data.batches import StepBatches, batch_loader, make_sample
from training.data.disparity import depth_to_disparity, normalise_disparity
from training.data.shards import Shards

RUN = RunConfig(output="unused", steps=10, batch_size=4, seed=3)
DATA = DataConfig(size=(32, 64), crop_min=0.6)


def test_disparity_by_hand():
    depth = np.array([[0.0, 2.0], [4.0, 0.01]], np.float32)
    assert depth_to_disparity(depth).tolist() == [[0.0, 0.5], [0.25, 20.0]]


def test_normalised_disparity_by_hand():
    disparity = np.linspace(0, 100, 101, dtype=np.float32)[None]
    valid = np.ones_like(disparity, bool)
    result = normalise_disparity(disparity, valid)[0]
    assert result[[0, 2, 50, 98, 100]] == pytest.approx([-1, -1, 0, 1, 1], abs=1e-6)
    assert normalise_disparity(2 * disparity + 5, valid)[0] == pytest.approx(result, abs=1e-5)


def test_invalid_pixels_do_not_move_the_quantiles():
    disparity = np.array([[0.0, 1.0, 1000.0]], np.float32)
    result = normalise_disparity(disparity, np.array([[True, True, False]]))
    assert result[0, :2] == pytest.approx([-1, 1])


@pytest.mark.parametrize("valid", [True, False])
def test_constant_or_empty_disparity_is_far(valid):
    result = normalise_disparity(np.ones((2, 2), np.float32), np.full((2, 2), valid))
    assert (result == -1).all()


def test_batches_repeat_exactly_and_differ_by_step(shards):
    batches = StepBatches(Shards(shards), DATA, RUN)
    first, again, second = batches[0], batches[0], batches[1]
    assert all(torch.equal(first[key], again[key]) for key in first)
    assert not torch.equal(first["rgb"], second["rgb"])
    assert first["rgb"].shape == (4, 3, 32, 64) and first["disparity"].shape == (4, 1, 32, 64)
    assert first["rgb"].abs().max() <= 1 and first["disparity"].abs().max() <= 1
    assert first["valid"].dtype == torch.bool


def test_an_epoch_sees_every_image_once_on_any_number_of_processes(shards):
    plain = replace(DATA, crop_min=1.0, flip=False)
    source = Shards(shards)
    epochs = []
    for processes in (1, 2):
        run = replace(RUN, batch_size=4 // processes)
        seen = [
            StepBatches(source, plain, run, rank, processes)[step]["rgb"]
            for step in range(6)
            for rank in range(processes)
        ]
        epochs.append(torch.cat(seen))
    assert len(torch.unique(epochs[0].flatten(1), dim=0)) == 24
    assert torch.equal(*epochs)


def test_workers_change_nothing(shards):
    batches = StepBatches(Shards(shards), DATA, replace(RUN, steps=3))
    alone, helped = (list(batch_loader(batches, 1, workers)) for workers in (0, 1))
    assert len(alone) == len(helped) == 2
    assert all(torch.equal(a["rgb"], b["rgb"]) for a, b in zip(alone, helped, strict=True))


def test_a_sample_is_cropped_and_flipped_together_with_its_depth():
    columns = np.tile(np.arange(1, 65, dtype=np.float32), (32, 1))
    rgb = np.repeat(columns[..., None].astype(np.uint8), 3, axis=-1)
    for seed in range(8):
        sample = make_sample(rgb, columns, DATA, np.random.default_rng(seed))
        shade, disparity = sample["rgb"][0, 16], sample["disparity"][0, 16]
        rises = bool(shade[-1] > shade[0])  # brighter is farther here
        assert bool(disparity[-1] < disparity[0]) == rises


def test_shards_index_across_files(shards):
    source = Shards(shards)
    rgb, depth = source[16]
    second = np.load(shards / "shard-00001-rgb.npy")
    assert len(source) == 24 and np.array_equal(rgb, second[0])
    assert depth.dtype == np.float32
    with pytest.raises(IndexError):
        source[24]


def test_shards_that_are_missing_or_do_not_fit(tmp_path):
    with pytest.raises(DataError, match="python -m training.scenes"):
        Shards(tmp_path)
    np.save(tmp_path / "shard-00000-rgb.npy", np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(DataError, match="cannot be read"):
        Shards(tmp_path)
    np.save(tmp_path / "shard-00000-depth.npy", np.zeros((2, 4, 5), np.float16))
    with pytest.raises(DataError, match="does not fit"):
        Shards(tmp_path)
