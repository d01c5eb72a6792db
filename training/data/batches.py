"""Batches as a pure function of (seed, step): the same for any number of workers, and on resume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from training.config import DataConfig, RunConfig
from training.data.disparity import depth_to_disparity, normalise_disparity

Batch = dict[str, torch.Tensor]
"""rgb (B, 3, H, W) in [-1, 1]; disparity (B, 1, H, W) in [-1, 1]; valid (B, 1, H, W) bool."""


class Source(Protocol):
    """Anything that gives (rgb uint8 (H, W, 3), depth float32 (H, W)) by index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]: ...


class StepBatches(Dataset):
    """Item k is the whole micro-batch k of this process.

    Every epoch is a permutation of the source drawn from (seed, epoch); what happens to a sample
    is drawn from (seed, its place in the run). Processes take turns within a global batch.
    """

    def __init__(
        self, source: Source, data: DataConfig, run: RunConfig, rank: int = 0, processes: int = 1
    ):
        self._source, self._data, self._run = source, data, run
        self._rank, self._processes = rank, processes

    def __len__(self) -> int:
        return self._run.steps * self._run.accumulation

    def __getitem__(self, micro_step: int) -> Batch:
        size = self._run.batch_size
        first = (micro_step * self._processes + self._rank) * size
        return collate([self._sample(place) for place in range(first, first + size)])

    def _sample(self, place: int) -> Batch:
        epoch, offset = divmod(place, len(self._source))
        order = _permutation(len(self._source), self._run.seed, epoch)
        rgb, depth = self._source[int(order[offset])]
        rng = np.random.default_rng([self._run.seed, 1, place])
        return make_sample(rgb, depth, self._data, rng)


_permutations: dict[tuple[int, int, int], np.ndarray] = {}


def _permutation(length: int, seed: int, epoch: int) -> np.ndarray:
    key = (length, seed, epoch)
    if key not in _permutations:
        if len(_permutations) > 2:  # a batch spans two epochs at most
            _permutations.clear()
        _permutations[key] = np.random.default_rng([seed, 0, epoch]).permutation(length)
    return _permutations[key]


def make_sample(
    rgb: np.ndarray, depth: np.ndarray, data: DataConfig, rng: np.random.Generator
) -> Batch:
    """Crop, flip, resize and normalise one image; depth is taken at the nearest pixel."""
    height, width = rgb.shape[:2]
    crop_h = round(height * rng.uniform(data.crop_min, 1))
    crop_w = round(width * rng.uniform(data.crop_min, 1))
    top, left = rng.integers(height - crop_h + 1), rng.integers(width - crop_w + 1)
    rgb = rgb[top : top + crop_h, left : left + crop_w]
    depth = depth[top : top + crop_h, left : left + crop_w]
    if data.flip and rng.random() < 0.5:
        rgb, depth = rgb[:, ::-1], depth[:, ::-1]
    size = (data.size[1], data.size[0])
    shrinks = rgb.shape[0] * rgb.shape[1] > size[0] * size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    rgb = cv2.resize(np.ascontiguousarray(rgb), size, interpolation=method)
    depth = cv2.resize(np.ascontiguousarray(depth), size, interpolation=cv2.INTER_NEAREST)
    valid = np.isfinite(depth)
    disparity = depth_to_disparity(np.where(valid, depth, 0))
    return {
        "rgb": torch.from_numpy(rgb).permute(2, 0, 1).float() / 127.5 - 1,
        "disparity": torch.from_numpy(normalise_disparity(disparity, valid))[None],
        "valid": torch.from_numpy(valid)[None],
    }


def collate(samples: Sequence[Batch]) -> Batch:
    """Stack samples along a new first dimension."""
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def batch_loader(batches: StepBatches, start: int, workers: int) -> Iterator[Batch]:
    """Micro-batches from ``start`` on, in order, prefetched by worker processes if there are any."""
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, len(batches)),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    return iter(loader)
