"""Recipes to data sets, and the mixture that a run is fed with."""

from __future__ import annotations

import pickle
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError, DataError
from training.config import CommonConfig, DataConfig, FeedConfig, RunConfig, parse_recipe
from training.data.batches import StepBatches, batch_loader
from training.data.frames import Frames
from training.data.hypersim.__main__ import main as prepare_hypersim
from training.data.hypersim.source import Hypersim
from training.data.open import open_feeds
from training.data.shards import Shards
from training.data.streaming import Stream
from training.data.virtual_kitti.__main__ import main as prepare_virtual_kitti
from training.data.virtual_kitti.source import VirtualKitti

RUN = RunConfig(output="unused", steps=60, batch_size=4, micro_batch=2, seed=7)


@pytest.fixture
def mixture(hypersim, virtual_kitti, tmp_path) -> DataConfig:
    """Hypersim and Virtual KITTI, prepared, as the papers mix them, at a small size."""
    (streets, listing), rooms = virtual_kitti(frames=1), hypersim()
    for main, root, name, options in (
        (prepare_hypersim, rooms, "rooms", []),
        (prepare_virtual_kitti, streets, "streets", ["--list", str(listing)]),
    ):
        output = str(tmp_path / name)
        assert main(["--root", str(root), "--output", output, *options]) == 0
    mix = (
        FeedConfig("hypersim", str(tmp_path / "rooms"), 0.9, (24, 32)),
        FeedConfig("virtual_kitti", str(tmp_path / "streets"), 0.1, (16, 48)),
    )
    return DataConfig(mix=mix, block=4)


def test_recipes_name_a_mixture(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "run: {output: out}\n"
        "data:\n"
        "  mix:\n"
        "    - {kind: hypersim, folder: rooms, share: 0.9, size: [576, 768]}\n"
        "    - {kind: virtual_kitti, folder: streets, share: 0.1, size: [352, 1216]}\n"
        "  block: 16\n"
    )
    recipe, _ = parse_recipe(CommonConfig, "a test", ["--config", str(path)])
    assert recipe.data.mix[1] == FeedConfig("virtual_kitti", "streets", 0.1, (352, 1216))


def test_every_kind_is_opened(hypersim, virtual_kitti, make_sequence, shards, tmp_path):
    (streets, listing), rooms = virtual_kitti(frames=1), hypersim()
    sequence = make_sequence(tmp_path / "sequence")
    parts = (
        FeedConfig("shards", str(shards)),
        FeedConfig("hypersim", str(rooms)),
        FeedConfig("virtual_kitti", str(streets), list=str(listing)),
        FeedConfig("frames", str(sequence), 2.0),
    )
    feeds = open_feeds(DataConfig(mix=parts))
    assert [type(feed.source) for feed in feeds] == [Shards, Hypersim, VirtualKitti, Frames]
    assert [feed.share for feed in feeds] == [1, 1, 1, 2]
    for feed in feeds:
        feed.source[0]  # with its files open
        copy = pickle.loads(pickle.dumps(feed.source))  # as a loader process gets it
        assert np.array_equal(copy[1][0], feed.source[1][0])
        assert np.array_equal(copy[1][1], feed.source[1][1], equal_nan=True)
    (alone,) = open_feeds(DataConfig(kind="frames", folder=str(sequence)))
    assert isinstance(alone.source, Frames) and alone.size is None


def test_prepared_folders_are_recognised(mixture):
    rooms, streets = open_feeds(mixture)
    assert isinstance(rooms.source, Stream) and isinstance(streets.source, Stream)
    assert streets.source[0][0].shape == (352, 1216, 3)
    swapped = FeedConfig("hypersim", mixture.mix[1].folder)
    with pytest.raises(DataError, match="holds 'virtual_kitti'"):
        open_feeds(DataConfig(mix=(swapped,)))
    assert len(open_feeds(DataConfig(kind="stream", folder=swapped.folder))[0].source) == 4


def test_shares_sizes_and_one_data_set_a_block(mixture):
    run = replace(RUN, steps=200)
    batches = StepBatches(open_feeds(mixture), mixture, run)
    found = []
    for micro in range(len(batches)):
        batch = batches[micro]
        kinds = {"streets" if name.startswith("Scene") else "rooms" for name in batch.names}
        assert len(kinds) == 1  # one data set a micro-batch
        found += kinds
        size = (24, 32) if kinds == {"rooms"} else (16, 48)
        assert batch.tensors["rgb"].shape[-2:] == size
        assert batch.tensors["disparity"].abs().max() <= 1
    pairs = list(zip(found[::2], found[1::2], strict=True))
    assert all(first == second for first, second in pairs)  # ... and a block
    streets = Counter(first for first, _ in pairs)["streets"]
    assert 0.04 < streets / 200 < 0.17  # binomial(200, 0.1): within 3.3 deviations
    # an exact count: a change of the draw is a change of every run that exists
    draws = np.random.default_rng([RUN.seed, 3]).random(200)
    assert streets == int((draws >= 0.9).sum())


def test_an_epoch_of_each_data_set_sees_all_of_it(mixture):
    batches = StepBatches(open_feeds(mixture), mixture, replace(RUN, steps=60))
    names = [name for micro in range(len(batches)) for name in batches[micro].names]
    rooms = [name for name in names if name.startswith("ai_")]
    for epoch in range(len(rooms) // 6):
        assert len(set(rooms[6 * epoch : 6 * epoch + 6])) == 6


def test_resuming_processes_and_workers_change_nothing(mixture):
    run = replace(RUN, steps=6)
    feeds = open_feeds(mixture)
    whole = StepBatches(feeds, mixture, run)
    assert len(whole) == 12
    alone = [whole[micro] for micro in range(12)]
    helped = list(batch_loader(StepBatches(open_feeds(mixture), mixture, run), 4, workers=2))
    ranks = [StepBatches(open_feeds(mixture), mixture, run, rank, 2) for rank in (0, 1)]
    together = [ranks[micro % 2][micro // 2] for micro in range(12)]
    assert sum(len(rank) for rank in ranks) == 12
    for first, second in [*zip(alone, together, strict=True), *zip(alone[4:], helped, strict=True)]:
        assert first.names == second.names
        assert all(torch.equal(first.tensors[k], second.tensors[k]) for k in first.tensors)


def test_direct_and_prepared_layouts_feed_the_same_batches(hypersim, tmp_path):
    rooms = hypersim()
    prepare_hypersim(["--root", str(rooms), "--output", str(tmp_path / "rooms")])
    direct, prepared = (
        open_feeds(DataConfig(kind="hypersim", folder=str(folder)))[0].source
        for folder in (rooms, tmp_path / "rooms")
    )
    data = DataConfig(size=(24, 32))
    order = prepared.order(RUN.seed, 0)

    class Ordered:
        """The direct layout in the order of the prepared one."""

        name = staticmethod(direct.name)
        order = staticmethod(prepared.order)

        def __len__(self):
            return len(direct)

        def __getitem__(self, index):
            return direct[index]

    run = replace(RUN, steps=1)
    ours, theirs = StepBatches(Ordered(), data, run)[0], StepBatches(prepared, data, run)[0]
    assert ours.names == theirs.names == [prepared.name(int(order[i])) for i in (0, 1)]
    assert torch.equal(ours.tensors["rgb"], theirs.tensors["rgb"])
    assert torch.equal(ours.tensors["valid"], theirs.tensors["valid"])
    assert torch.allclose(ours.tensors["disparity"], theirs.tensors["disparity"], atol=2e-3)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"share": 0.0}, ConfigError, "must be positive"),
        ({"size": (0, 32)}, ConfigError, "the size"),
        ({"list": "frames.txt"}, ConfigError, "already holds a choice"),
        ({"folder": "nowhere"}, DataError, "there is no folder nowhere"),
        ({"kind": "stream", "folder": "nowhere"}, DataError, "no prepared data set"),
        ({"kind": "shards", "folder": "https://host/x"}, ConfigError, "only prepared"),
    ],
)
def test_mistakes(mixture, change, error, message):
    parts = (replace(mixture.mix[0], **change), mixture.mix[1])
    with pytest.raises(error, match=message):
        open_feeds(replace(mixture, mix=parts))


def test_a_folder_is_named_once(mixture):
    with pytest.raises(ConfigError, match="twice"):
        open_feeds(replace(mixture, mix=(mixture.mix[0], mixture.mix[0])))


def test_blocks_hold_whole_micro_batches(mixture):
    with pytest.raises(ConfigError, match=r"data\.block"):
        StepBatches(open_feeds(mixture), replace(mixture, block=3), RUN)
