"""Batches are a function of (seed, step); targets are what the papers say."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError, DataError
from training.config import DataConfig, RunConfig
from training.data.batches import Feed, StepBatches, batch_loader
from training.data.disparity import depth_to_disparity, normalise_disparity
from training.data.shards import Shards
from training.data.views import make_sample

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
    first, again, second = (batches[step].tensors for step in (0, 0, 1))
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
        run = replace(RUN, batch_size=4)
        seen = [
            StepBatches(source, plain, run, rank, processes)[step].tensors["rgb"]
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
    assert all(
        torch.equal(a.tensors["rgb"], b.tensors["rgb"]) for a, b in zip(alone, helped, strict=True)
    )


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


class Numbered:
    """Images whose every pixel is the sample's index; some of them cannot be read."""

    def __init__(self, length: int, first: int = 0, broken: tuple[int, ...] = ()):
        self.length, self.first, self.broken = length, first, broken

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if index in self.broken:
            raise DataError(f"{index} is broken")
        rgb = np.full((32, 64, 3), self.first + index, np.uint8)
        return rgb, np.linspace(1, 2, 32 * 64, dtype=np.float32).reshape(32, 64)

    def name(self, index):
        return f"{self.first}+{index}"


PLAIN = DataConfig(size=(32, 64), flip=False)


def numbers(batch) -> list[int]:
    return [round(float(image.mean() + 1) * 127.5) for image in batch.tensors["rgb"]]


def run_places(feeds, data, run, processes=1) -> dict[int, tuple[int, str]]:
    """What every place of a run gets: the image's number and the sample's name."""
    found = {}
    for rank in range(processes):
        batches = StepBatches(feeds, data, run, rank, processes)
        for batch in (batches[k] for k in range(len(batches))):
            samples = zip(numbers(batch), batch.names, strict=True)
            found |= dict(zip(batch.places, samples, strict=True))
    return found


@pytest.mark.parametrize(("micro", "processes"), [(1, 1), (2, 1), (0, 2), (1, 2), (2, 4), (1, 8)])
def test_a_place_has_its_sample_whoever_reads_it(micro, processes):
    feeds = [Feed(Numbered(20), 0.7), Feed(Numbered(9, 100), 0.3)]
    run = RunConfig(output="", steps=8, batch_size=8, seed=1)
    data = replace(PLAIN, block=4)
    whole = run_places(feeds, data, replace(run, micro_batch=4))
    assert sorted(whole) == list(range(64))
    assert run_places(feeds, data, replace(run, micro_batch=micro), processes) == whole


def test_a_mixture_has_its_shares_and_one_data_set_a_block():
    feeds = [Feed(Numbered(50), 0.9), Feed(Numbered(50, 100), 0.1, size=(16, 32))]
    run = RunConfig(output="", steps=500, batch_size=8, micro_batch=2, seed=5)
    batches = StepBatches(feeds, replace(PLAIN, block=4), run)
    second = []
    for k in range(0, len(batches), 2):
        one, two = batches[k], batches[k + 1]  # a block
        kinds = {number >= 100 for number in numbers(one) + numbers(two)}
        assert len(kinds) == 1
        second.append(kinds.pop())
        assert one.tensors["rgb"].shape[-2:] == ((16, 32) if second[-1] else (32, 64))
    assert np.mean(second) == pytest.approx(0.1, abs=0.03)  # 1000 draws: σ = 0.0095
    assert any(a and b for a, b in zip(second, second[1:], strict=False))  # drawn, not dealt


def test_each_data_set_of_a_mixture_is_seen_whole_before_any_of_it_again():
    feeds = [Feed(Numbered(12), 0.5), Feed(Numbered(8, 100), 0.5)]
    run = RunConfig(output="", steps=30, batch_size=4, seed=2)
    found = [number for _, (number, _) in sorted(run_places(feeds, PLAIN, run).items())]
    for first, length in ((0, 12), (100, 8)):
        own = [n for n in found if first <= n < first + 100]
        epochs = [own[k : k + length] for k in range(0, len(own) - length + 1, length)]
        assert len(epochs) > 3
        assert all(sorted(epoch) == list(range(first, first + length)) for epoch in epochs)
        assert epochs[0] != epochs[1]


def test_more_steps_change_nothing_that_was_before():
    feeds = [Feed(Numbered(20), 0.7), Feed(Numbered(9, 100), 0.3)]
    short = RunConfig(output="", steps=5, batch_size=4)
    longer = run_places(feeds, PLAIN, replace(short, steps=9))
    assert run_places(feeds, PLAIN, short).items() <= longer.items()


def test_a_source_may_have_an_order_of_its_own():
    class Backwards(Numbered):
        def order(self, seed, epoch):
            return np.arange(len(self))[::-1]

    run = RunConfig(output="", steps=2, batch_size=3)
    found = run_places(Backwards(6), PLAIN, run)
    assert [number for number, _ in found.values()] == [5, 4, 3, 2, 1, 0]


def test_the_next_readable_sample_stands_in_and_is_named():
    run = RunConfig(output="", steps=2, batch_size=3)
    batches = StepBatches(Numbered(6, broken=(2, 3, 5)), PLAIN, run)
    seen = [batches[0], batches[1]]
    assert sorted(sum((numbers(batch) for batch in seen), [])) == [0, 0, 1, 4, 4, 4]
    skipped = sorted((skip for batch in seen for skip in batch.skipped), key=lambda s: s.name)
    pairs = [(skip.name, skip.instead) for skip in skipped]
    assert pairs == [("0+2", "0+4"), ("0+3", "0+4"), ("0+3", "0+4"), ("0+5", "0+0")]
    assert skipped[0].reason == "2 is broken"
    places = {name: place for batch in seen
              for name, place in zip(batch.names, batch.places, strict=True)}  # fmt: skip
    assert set(places) == {"0+0", "0+1", "0+4"}


def test_a_data_set_without_readable_samples_ends_the_run():
    run = RunConfig(output="", steps=1, batch_size=1)
    with pytest.raises(DataError, match="4 samples in a row cannot be read"):
        StepBatches(Numbered(4, broken=(0, 1, 2, 3)), PLAIN, run)[0]


@pytest.mark.parametrize(
    ("batch", "micro", "processes", "block"),
    [(8, 3, 1, 0), (8, 0, 3, 0), (8, 8, 2, 0), (4, 0, 8, 0), (8, 4, 1, 6)],
)
def test_what_cannot_be_dealt_out_is_refused(batch, micro, processes, block):
    feeds = [Feed(Numbered(9)), Feed(Numbered(9))]
    run = RunConfig(output="", batch_size=batch, micro_batch=micro)
    with pytest.raises(ConfigError, match="multiple"):
        StepBatches(feeds, replace(PLAIN, block=block), run, 0, processes)


def test_shards_travel_to_workers_as_paths(shards):
    source = Shards(shards)
    pickled = pickle.dumps(source)
    assert len(pickled) < 4096
    again = pickle.loads(pickled)
    assert again.name(17) == "shard-00001/1"
    assert np.array_equal(again[17][0], source[17][0])
