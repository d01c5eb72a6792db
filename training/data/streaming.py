"""Prepared data sets read shard by shard, from this machine or over the network.

Shards are webdataset tar files with an index; the preparation commands and
``python -m training.data.packing`` write them.
"""

from __future__ import annotations

import hashlib
import json
import tarfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from depth_distill_ros.errors import ConfigError, DataError
from training.data.samples import decode
from training.data.shard_cache import (
    ShardCache,
    TransferError,
    fetch_bytes,
    is_remote,
    url_of,
)
from training.data.store import FORMAT, INDEX

SHUFFLED_SHARDS = 16


@dataclass(frozen=True)
class _Member:
    offset: int
    size: int


@dataclass
class _Shard:
    """An open shard and where its samples lie: name → (image, depth)."""

    file: BinaryIO
    members: dict[str, tuple[_Member, _Member]]


class Stream:
    """A prepared data set as a training source.

    An epoch reads the shards in a random order, ``shuffled_shards`` at a time, and the samples of
    these in a random order: nearly sequential for the storage, well mixed for the training. The
    next shards are fetched in the background. The order follows from the seed and the epoch alone,
    not from where the shards lie.

    Args:
        location: a folder with index.json, or a URL of it (see ``training.data.shard_cache``).
        cache: folder for shards that are fetched; None takes the user's cache folder.
        cache_gb: size of that folder, for this data set.
        shuffled_shards: shards that are mixed.

    Raises:
        DataError: there is no index, or shards do not fit it.
        TransferError: the location cannot be reached, here or when a shard is needed.
        ConfigError: the cache is too small.
    """

    def __init__(
        self,
        location: str | Path,
        cache: str | Path | None = None,
        cache_gb: float = 50.0,
        shuffled_shards: int = SHUFFLED_SHARDS,
    ):
        self._location = str(location)
        self._index, fingerprint = read_index(self._location)
        self._shards: list[dict] = self._index["shards"]
        self._ends = np.cumsum([shard["samples"] for shard in self._shards])
        self._mixed = shuffled_shards
        self._crop = tuple(self._index["crop"]) if self._index.get("crop") else None
        self._cache: ShardCache | None = None
        if is_remote(self._location):
            folder = Path(cache) if cache else _default_cache()
            self._check_room(cache_gb * 1e9)
            self._cache = ShardCache(folder / fingerprint, self._location, int(cache_gb * 1e9))
        else:
            self._check_files()
        self._forget()

    def _forget(self) -> None:
        self._open: OrderedDict[int, _Shard] = OrderedDict()
        self._group_of: dict[int, int] = {}
        self._groups: list[list[int]] = []
        self._ahead = -1

    def __getstate__(self) -> dict:
        hidden = ("_open", "_group_of", "_groups", "_ahead")
        return {k: v for k, v in self.__dict__.items() if k not in hidden}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._forget()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def name(self, index: int) -> str:
        """The name under which the sample was stored."""
        shard, offset = self._place(index)
        return self._shards[shard]["names"][offset]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        number, offset = self._place(index)
        name = self._shards[number]["names"][offset]
        shard = self._open_shard(number)
        if name not in shard.members:
            raise DataError(f"{self._shards[number]['file']} lacks the sample {name}")
        rgb, depth = (_read(shard.file, member) for member in shard.members[name])
        return decode(rgb, depth, self._index["depth"], self._crop, name)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Indices of an epoch: shards shuffled, samples shuffled within groups of shards."""
        rng = np.random.default_rng([seed, 4, epoch])
        shards = rng.permutation(len(self._shards))
        groups = [shards[i : i + self._mixed] for i in range(0, len(shards), self._mixed)]
        parts = []
        for group in groups:
            inside = [np.arange(self._first(s), self._ends[s]) for s in group]
            parts.append(rng.permutation(np.concatenate(inside)))
        self._groups = [[int(s) for s in group] for group in groups]
        self._group_of = {s: g for g, group in enumerate(self._groups) for s in group}
        self._ahead = -1
        return np.concatenate(parts)

    def _first(self, shard: int) -> int:
        return int(self._ends[shard - 1]) if shard else 0

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - self._first(shard)

    def _open_shard(self, number: int) -> _Shard:
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        while len(self._open) >= self._mixed:  # an open file keeps its place on the disk
            self._open.popitem(last=False)[1].file.close()
        shard = self._shards[number]
        if self._cache:
            self._fetch_ahead(number)
            file = self._cache.open(shard["file"], shard["bytes"], shard["sha256"])
        else:
            path = Path(self._location) / shard["file"]
            try:
                file = open(path, "rb")
            except OSError as error:
                raise DataError(f"{path} cannot be read: {error.strerror}") from error
        self._open[number] = _Shard(file, _members(file, shard["file"]))
        return self._open[number]

    def _fetch_ahead(self, number: int) -> None:
        """Start fetching the shards after the group of this one."""
        group = self._group_of.get(number, -1) + 1
        if group <= max(self._ahead, 0) or group >= len(self._groups):
            return
        self._ahead = group
        self._cache.touch([self._shards[s]["file"] for s in self._groups[group - 1]])
        wanted = [self._shards[s] for s in self._groups[group]]
        cache = self._cache

        def fetch() -> None:
            for shard in wanted:
                try:
                    cache.fetch(shard["file"], shard["bytes"], shard["sha256"], wait=False)
                except TransferError:
                    return  # it is said when the shard is needed

        threading.Thread(target=fetch, name=f"fetch-ahead-{group}", daemon=True).start()

    def _check_room(self, limit: float) -> None:
        sizes = sorted((shard["bytes"] for shard in self._shards), reverse=True)
        needed = sum(sizes[: 2 * self._mixed])  # those being read, and those fetched ahead
        if limit < needed:
            raise ConfigError(
                f"data.cache_gb is {limit / 1e9:g}: {self._location} needs {needed / 1e9:.3g} to "
                f"mix {self._mixed} shards while it fetches as many"
            )

    def _check_files(self) -> None:
        for shard in self._shards:
            path = Path(self._location) / shard["file"]
            size = path.stat().st_size if path.is_file() else -1
            if size != shard["bytes"]:
                problem = "is missing" if size < 0 else f"has {size} of {shard['bytes']} bytes"
                raise DataError(f"the shard {path} {problem}: copy or prepare it again")


def read_index(location: str) -> tuple[dict, str]:
    """The index of a prepared data set, and a short fingerprint of it.

    Raises:
        DataError: there is none, or it is of another format.
        TransferError: the location cannot be reached.
    """
    if is_remote(location):
        data = fetch_bytes(url_of(location, INDEX))
    else:
        try:
            data = (Path(location) / INDEX).read_bytes()
        except OSError as error:
            raise DataError(
                f"{location} holds no prepared data set (there is no {INDEX}): make one with "
                "python -m training.data.hypersim, training.data.virtual_kitti, or "
                "training.data.packing pack"
            ) from error
    try:
        index = json.loads(data)
        fits = index["format"] == FORMAT and index["shards"] and index["depth"]
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"{INDEX} of {location} is damaged: {error}") from error
    if not fits:
        raise DataError(f"{INDEX} of {location} is empty or of another version of this package")
    return index, hashlib.sha256(data).hexdigest()[:16]


def is_prepared(location: str) -> bool:
    """Whether a location is a prepared data set: a URL, or a folder with an index."""
    return is_remote(location) or (Path(location) / INDEX).is_file()


def _default_cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("depth_distill_ros") / "shards"


def _members(file: BinaryIO, what: str) -> dict[str, tuple[_Member, _Member]]:
    """Where the two files of each sample lie in a shard."""
    found: dict[str, dict[str, _Member]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                name, _, extension = member.name.partition(".")
                kind = extension.partition(".")[0]
                found.setdefault(name, {})[kind] = _Member(member.offset_data, member.size)
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"the shard {what} is damaged: {error}") from error
    return {n: (m["rgb"], m["depth"]) for n, m in found.items() if {"rgb", "depth"} <= m.keys()}


def _read(file: BinaryIO, member: _Member) -> bytes:
    try:
        file.seek(member.offset)
        return file.read(member.size)
    except OSError as error:
        raise DataError(f"a shard cannot be read: {error.strerror}") from error
