"""What frozen networks make of a data set, kept on disk: ``training.cache`` writes, training reads.

A folder holds ``cache.json``, which says of what and by which networks, and shards
``latents-00000.safetensors`` with these tensors of n samples in V views (1, or 2 with the mirrored
image), from which single samples are read:

- ``image``, ``depth``  (n, V, 2C, h, w): the posterior's mean and logarithm of its variance, so
  that latents are still drawn anew at every step; (n, V, C, h, w) latents of AutoencoderTiny
- ``prior``  (n, V, P, h, w): latents of the prior, where there is one
- ``prediction``  (n, V, 2C, h, w): the teacher's, of the posterior's mean: depth, reconstruction
- ``mask``  bool (n, V, 1, h, w): the valid latents
- ``readable``  bool (n,): False for samples that could not be read
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from depth_distill_ros.errors import ConfigError, DataError
from training.config import CommonConfig, DataConfig
from training.data.batches import Feed, Source
from training.data.views import Batch, draw_view
from training.latents import unet_digest
from training.objective import Objective
from training.scenes.files import replace_file
from training.shares import Job, split

FORMAT = 1
SETTINGS_FILE = "cache.json"
_OPEN_SHARDS = 32


def data_settings(feeds: Sequence[Feed], data: DataConfig) -> dict[str, Any]:
    """What decides which latents a data set has: sizes, views, and the identity of its samples.

    Raises:
        ConfigError: the images are cropped at random, so there are no latents to keep.
    """
    if data.crop_min != 1:
        raise ConfigError(
            f"data.crop_min is {data.crop_min:g}: random crops give other latents at every step, "
            "so they cannot be cached. Set data.crop_min to 1, or speed.cache to nothing"
        )
    described = []
    for feed in feeds:
        names = hashlib.sha256()
        for index in range(len(feed.source)):
            names.update(feed.source.name(index).encode() + b"\0")
        size = list(feed.size or data.size)
        described.append({"samples": len(feed.source), "names": names.hexdigest(), "size": size})
    return {"format": FORMAT, "feeds": described, "flip": data.flip}


def digest(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 of named tensors: their names, types, shapes and bytes."""
    total = hashlib.sha256()
    for name, tensor in sorted(tensors, key=lambda pair: pair[0]):
        values = tensor.detach().cpu().contiguous()
        total.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        total.update(values.flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def network_settings(
    teacher: str, autoencoder: nn.Module, prior: nn.Module | None, prompt: Tensor | None
) -> dict[str, Any]:
    """Digests of the networks that decide what a cache holds.

    Args:
        teacher: its name in the recipe.
        autoencoder: whose latents are trained on, in float32.
        prior: of the teacher.
        prompt: the teacher's, when its predictions are cached; None when they are not.
    """
    parts = {"autoencoder": autoencoder, "prior": prior}
    tensors = [
        (f"{part}.{name}", tensor)
        for part, network in parts.items()
        if network is not None
        for name, tensor in network.state_dict().items()
    ]
    scale = torch.tensor(float(autoencoder.config.scaling_factor))
    predictions = ""
    if prompt is not None:
        predictions = f"{unet_digest(teacher)} {digest([('prompt', prompt)])}"
    return {"encoder": digest([*tensors, ("scale", scale)]), "predictions": predictions}


def claim(folder: Path, settings: dict[str, Any]) -> None:
    """Create a cache folder, or check that it is a part of the very same cache.

    Raises:
        ConfigError: it holds another one.
    """
    path = folder / SETTINGS_FILE
    if path.is_file():
        check(folder, settings, f"give another --output, or remove {folder}")
        return
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(json.dumps(settings, indent=1).encode()))


def stored_settings(folder: Path) -> dict[str, Any]:
    """What ``cache.json`` says.

    Raises:
        ConfigError: there is no cache in the folder.
    """
    try:
        return json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"there is no cache in {folder} ({error}): make it with "
            f"python -m training.cache --config RECIPE --output {folder}"
        ) from error


def check(folder: Path, wanted: dict[str, Any], remedy: str) -> None:
    """Refuse a cache of other data or other networks; the message names what differs."""
    found = stored_settings(folder)
    wanted = json.loads(json.dumps(wanted))
    different = [key for key in wanted if found.get(key) != wanted[key]]
    if different:
        raise ConfigError(
            f"the cache {folder} was made with other settings ({', '.join(different)}): {remedy}"
        )


def jobs_of(settings: dict[str, Any]) -> list[tuple[int, Job]]:
    """All shards of a cache: the number of the data set, and which of its samples."""
    parts = [
        (number, job)
        for number, feed in enumerate(settings["feeds"])
        for job in split(feed["samples"], settings["shard_size"])
    ]
    return [(number, Job(i, job.first, job.size)) for i, (number, job) in enumerate(parts)]


def shard_path(folder: Path, index: int) -> Path:
    """The file of a shard."""
    return folder / f"latents-{index:05d}.safetensors"


def is_whole(folder: Path, job: Job) -> bool:
    """Whether a shard is there, readable, and of the right number of samples."""
    try:
        with safe_open(shard_path(folder, job.index), framework="pt") as tensors:
            return tensors.get_slice("readable").get_shape() == [job.size]
    except (OSError, SafetensorError):
        return False


def feeds_of(objective: Objective, feeds: Sequence[Feed], recipe: CommonConfig) -> Sequence[Feed]:
    """The data sets of a training, with what its method adds to them, or as a cache has them.

    Raises:
        ConfigError: this training cannot be cached, or the cache is of other data or networks.
        DataError: the cache is not complete.
    """
    if not recipe.speed.cache:
        return objective.feeds(feeds)
    wanted = objective.cache_settings()
    if wanted is None:
        raise ConfigError("speed.cache: only stage 1 can be trained from a cache")
    folder, data = Path(recipe.speed.cache), recipe.data
    check(folder, wanted, "make it again with this recipe")
    check(folder, data_settings(feeds, data), "make the cache again, or change the recipe back")
    jobs = jobs_of(stored_settings(folder))
    missing = [job for _, job in jobs if not is_whole(folder, job)]
    if missing:
        raise DataError(
            f"the cache {folder} lacks {sum(job.size for job in missing)} samples "
            f"({len(missing)} of {len(jobs)} shards): start python -m training.cache again"
        )
    return [
        Feed(
            CachedSource(feed.source, folder, [j for n, j in jobs if n == number]),
            feed.share,
            feed.size,
        )
        for number, feed in enumerate(feeds)
    ]


class CachedSource:
    """A data set whose samples come as what ``training.latents.frozen_encoding`` gives.

    Args:
        source: the data set; names and order are its own, its images are not read.
        folder: of the cache.
        jobs: the shards of this data set, in order.
    """

    def __init__(self, source: Source, folder: Path, jobs: Sequence[Job]):
        self._source, self._folder, self._jobs = source, folder, list(jobs)
        self._starts = [job.first for job in jobs]
        self._shards: OrderedDict[int, Any] = OrderedDict()
        if hasattr(source, "order"):
            self.order = source.order

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shards": OrderedDict()}  # open files do not travel

    def __len__(self) -> int:
        return len(self._source)

    def name(self, index: int) -> str:
        """The sample's name in the data set."""
        return self._source.name(index)

    def __getitem__(self, index: int) -> tuple[int]:
        shard, row = self._find(index)
        if not bool(shard.get_slice("readable")[row : row + 1][0]):
            raise DataError(f"{self.name(index)} could not be read when the cache was made")
        return (index,)

    def make_sample(self, index: int, data: DataConfig, rng: np.random.Generator) -> Batch:
        """The tensors of a sample, mirrored where its image would have been."""
        view = int(draw_view(1, 1, data, rng).flipped)
        shard, row = self._find(index)
        names = [name for name in shard.keys() if name != "readable"]
        return {n: shard.get_slice(n)[row : row + 1, view : view + 1][0, 0] for n in names}

    def _find(self, index: int) -> tuple[Any, int]:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        if number not in self._shards:
            path = shard_path(self._folder, self._jobs[number].index)
            try:
                self._shards[number] = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as error:
                raise DataError(f"the cache's {path} cannot be read: {error}") from error
            if len(self._shards) > _OPEN_SHARDS:
                self._shards.popitem(last=False)
        self._shards.move_to_end(number)
        return self._shards[number], index - self._starts[number]
