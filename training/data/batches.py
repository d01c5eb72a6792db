"""Batches as a pure function of the seed and the place: alike for any number of workers and
processes, any micro-batch, and on resume.

Sample number k of a run, its *place*, is image ``k % batch_size`` of step ``k // batch_size``. The
place decides all that is random about the sample: its data set, its index there, crop, flip and
noise.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import resource_tracker
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from depth_distill_ros.errors import ConfigError, DataError
from training.config import DataConfig, RunConfig
from training.data.views import Batch, make_sample

_TRIES = 100  # unreadable samples in a row after which a data set counts as gone


class Source(Protocol):
    """A data set: (rgb uint8 (H, W, 3), depth float32 (H, W)) by index.

    Depth is planar, in metres; 0 is infinitely far (sky), NaN is unknown. A sample that cannot be
    read raises DataError. A source may also have ``order(seed: int, epoch: int)``, which gives the
    indices of an epoch in the order it prefers to read them; otherwise they are shuffled.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...

    def name(self, index: int) -> str:
        """A stable and unique name: the path relative to the data set."""
        ...


@dataclass(frozen=True)
class Feed:
    """A data set and what a run takes of it.

    Attributes:
        source: the data set.
        share: of the blocks of images; shares are relative to each other.
        size: (height, width) of its training images; None takes ``data.size``.
    """

    source: Source
    share: float = 1.0
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Skip:
    """A sample that could not be read, and the one taken in its place."""

    place: int
    name: str
    instead: str
    reason: str


@dataclass(frozen=True)
class MicroBatch:
    """Images that a process holds at once.

    Attributes:
        tensors: the images.
        names: of the samples.
        places: of the samples in the run.
        skipped: samples that could not be read.
    """

    tensors: Batch
    names: list[str]
    places: list[int]
    skipped: list[Skip]

    def to(self, device: torch.device) -> MicroBatch:
        """The same with its tensors on a device."""
        moved = {k: v.to(device, non_blocking=True) for k, v in self.tensors.items()}
        return replace(self, tensors=moved)

    def pin_memory(self) -> MicroBatch:
        """The same in page-locked memory, for the loader."""
        return replace(self, tensors={k: v.pin_memory() for k, v in self.tensors.items()})


class StepBatches(Dataset):
    """Item k is micro-batch k of this process, a :class:`MicroBatch`.

    Processes take turns within a batch, one micro-batch at a time. All images of a micro-batch
    come from one data set: it is drawn for whole blocks of ``data.block`` places.

    Args:
        feeds: the data sets, or a single source.
        data: size and augmentation.
        run: batch and micro-batch, steps and seed.
        rank: number of this process.
        processes: how many there are.

    Raises:
        ConfigError: batch, micro-batch, block and processes do not divide each other.
    """

    def __init__(
        self,
        feeds: Sequence[Feed] | Source,
        data: DataConfig,
        run: RunConfig,
        rank: int = 0,
        processes: int = 1,
    ):
        single = not isinstance(feeds, (list, tuple))
        self._feeds: list[Feed] = [Feed(feeds)] if single else list(feeds)
        self._data, self._run = data, run
        self._rank, self._processes = rank, processes
        self.size = micro_batch_size(run, processes)
        self.accumulation = run.batch_size // (self.size * processes)
        self._block = data.block or run.batch_size
        if len(self._feeds) > 1 and self._block % self.size:
            raise ConfigError(
                f"data.block is {self._block}: it must be a multiple of the {self.size} images "
                "that a process holds at once (run.micro_batch), which are of one data set"
            )
        self._choice, self._before = self._draw_feeds()

    def __len__(self) -> int:
        return self._run.steps * self.accumulation

    @property
    def images(self) -> int:
        """How many images the data sets have together."""
        return sum(len(feed.source) for feed in self._feeds)

    @property
    def epoch_steps(self) -> int:
        """Steps in which as many images are seen as there are."""
        return max(1, self.images // self._run.batch_size)

    def __getitem__(self, micro_step: int) -> MicroBatch:
        first = (micro_step * self._processes + self._rank) * self.size
        places = list(range(first, first + self.size))
        samples, names, skipped = [], [], []
        for place in places:
            sample, name, skips = self._sample(place)
            samples.append(sample)
            names.append(name)
            skipped += skips
        return MicroBatch(collate(samples), names, places, skipped)

    def _draw_feeds(self) -> tuple[np.ndarray, np.ndarray]:
        """Which feed each block of places takes, and how many blocks before it took the same."""
        blocks = -(-self._run.steps * self._run.batch_size // self._block)
        shares = np.cumsum([feed.share for feed in self._feeds])
        draws = np.random.default_rng([self._run.seed, 3]).random(blocks) * shares[-1]
        choice = np.searchsorted(shares, draws, side="right")
        before = np.zeros(blocks, np.int64)
        for number in range(len(self._feeds)):
            mine = choice == number
            before[mine] = np.arange(mine.sum())
        return choice, before

    def _sample(self, place: int) -> tuple[Batch, str, list[Skip]]:
        block, offset = divmod(place, self._block)
        number = int(self._choice[block])
        feed = self._feeds[number]
        source = feed.source
        turn = int(self._before[block]) * self._block + offset
        epoch, offset = divmod(turn, len(source))
        index = int(_order(number, source, self._run.seed, epoch)[offset])
        item, found, skipped = read_or_next(source, index, place)
        rng = np.random.default_rng([self._run.seed, 1, place])
        data = replace(self._data, size=feed.size) if feed.size else self._data
        make = getattr(source, "make_sample", make_sample)  # a cache's samples are made already
        return make(*item, data, rng), source.name(found), skipped


def micro_batch_size(run: RunConfig, processes: int) -> int:
    """Images that a process holds at once.

    Raises:
        ConfigError: ``run.batch_size`` cannot be dealt out evenly.
    """
    share = run.batch_size // processes
    size = run.micro_batch or share
    if share * processes != run.batch_size or size < 1 or share % size:
        raise ConfigError(
            f"run.batch_size is {run.batch_size}: it must be a multiple of {processes} process(es) "
            f"times {run.micro_batch or 1} image(s) each (run.micro_batch)"
        )
    return size


def read_or_next(
    source: Source, index: int, place: int = 0
) -> tuple[tuple[np.ndarray, np.ndarray], int, list[Skip]]:
    """A sample, or the next in the data set that can be read.

    Returns:
        The sample, its index, and what was skipped.

    Raises:
        DataError: nothing near can be read.
    """
    failed: list[tuple[str, str]] = []
    for step in range(min(_TRIES, len(source))):
        found = (index + step) % len(source)
        try:
            sample = source[found]
        except DataError as error:
            failed.append((source.name(found), str(error)))
            continue
        instead = source.name(found)
        return sample, found, [Skip(place, name, instead, why) for name, why in failed]
    raise DataError(
        f"{len(failed)} samples in a row cannot be read, from {failed[0][0]} on: {failed[0][1]}"
    )


_orders: dict[tuple[int, int, int], tuple[Source, np.ndarray]] = {}


def _order(number: int, source: Source, seed: int, epoch: int) -> np.ndarray:
    key = (number, seed, epoch)
    kept = _orders.get(key)
    if kept is None or kept[0] is not source:
        if len(_orders) > 8:  # a batch spans two epochs of each data set at most
            _orders.clear()
        if hasattr(source, "order"):
            order = np.asarray(source.order(seed, epoch))
        else:
            rng = np.random.default_rng([seed, 0, number, epoch])
            order = rng.permutation(len(source))
        kept = _orders[key] = (source, order)
    return kept[1]


def collate(samples: Sequence[Batch]) -> Batch:
    """Stack samples along a new first dimension."""
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def batch_loader(
    batches: StepBatches, start: int, workers: int, pin_memory: bool = False
) -> Iterator[MicroBatch]:
    """Micro-batches from ``start`` on, in order, prefetched by worker processes if there are any.

    The workers do not hear SIGINT and SIGTERM, which a terminal or a job scheduler sends to the
    whole group of processes: the step that runs still needs its images.
    """
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, len(batches)),
        num_workers=workers,
        pin_memory=pin_memory,
        multiprocessing_context="spawn" if workers else None,
    )
    if workers:
        resource_tracker.ensure_running()  # its start, otherwise among theirs, unblocks both signals
    deafened = {signal.SIGINT, signal.SIGTERM}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, deafened)  # the workers inherit the mask
    try:
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
