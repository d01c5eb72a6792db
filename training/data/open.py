"""From a recipe's ``data`` to the data sets that a run is fed from."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.clips import Clips
from training.config import DataConfig, FeedConfig, StillKind
from training.data.batches import Feed, Source
from training.data.clips import ClipSource
from training.data.frames import Frames
from training.data.hypersim.source import Hypersim
from training.data.shard_cache import is_remote
from training.data.shards import Shards
from training.data.streaming import Stream, is_prepared, read_index
from training.data.videos import VideoFrames
from training.data.virtual_kitti.clips import VirtualKittiClips
from training.data.virtual_kitti.source import VirtualKitti

KINDS: tuple[str, ...] = get_args(StillKind)
"""Data sets of single images."""

_OFFICIAL = ("hypersim", "virtual_kitti", "virtual_kitti_clips")


def open_feeds(data: DataConfig) -> list[Feed]:
    """The data sets of a recipe with their shares and sizes.

    Rendered scenes are made first where the recipe asks for it.

    Raises:
        ConfigError: shares that are not positive, or settings that contradict each other.
        DataError: a data set is missing or damaged.
    """
    if not data.mix:
        return [Feed(open_source(data))]
    for part in data.mix:
        if not part.share > 0:
            raise ConfigError(
                f"data.mix gives {part.folder} a share of {part.share:g}: it must be positive"
            )
        if part.size is not None and min(part.size) < 1:
            raise ConfigError(f"data.mix gives {part.folder} the size {part.size}")
    twice = {
        part.folder for part in data.mix if [p.folder for p in data.mix].count(part.folder) > 1
    }
    if twice:
        raise ConfigError(
            f"data.mix names {min(twice)} twice: give it once, with the sum of the shares"
        )
    return [Feed(_open(part, data), part.share, part.size) for part in data.mix]


def open_source(data: DataConfig) -> Source:
    """The one data set of a recipe without a mix. Raises as :func:`open_feeds`."""
    return _open(FeedConfig(data.kind, data.folder, list=data.list), data)


def _open(part: FeedConfig, data: DataConfig) -> Source:
    official = part.kind in _OFFICIAL
    still = part.kind in ("hypersim", "virtual_kitti")
    prepared = part.kind == "stream" or (still and is_prepared(part.folder))
    if part.list and (prepared or not official):
        raise ConfigError(
            f"data.list is for the official layouts of hypersim and virtual_kitti: {part.folder} "
            "already holds a choice of frames"
        )
    if is_remote(part.folder) and not prepared:
        raise ConfigError(f"{part.folder} is a URL: only prepared data sets are read from there")
    frames = Path(part.list) if part.list else None
    if prepared:
        if still:
            _check_kind(part)
        return Stream(part.folder, data.cache or None, data.cache_gb)
    if part.kind == "hypersim":
        return Hypersim(part.folder, frames)
    if part.kind == "virtual_kitti":
        return VirtualKitti(part.folder, frames)
    if part.kind == "frames":
        return Frames(part.folder)
    if part.kind == "clips":
        return ClipSource(_open_clips(part.folder, data), data.frames)
    if part.kind == "virtual_kitti_clips":
        longest = 2 * data.frames - 1  # so that samples may leave out every other frame
        return ClipSource(VirtualKittiClips(part.folder, longest, frames), data.frames)
    if part.kind == "video_frames":
        return ClipSource(VideoFrames(part.folder, data.frames), data.frames)
    return _open_shards(part.folder, data)


def _check_kind(part: FeedConfig) -> None:
    index, _ = read_index(part.folder)
    if index["kind"] != part.kind:
        raise DataError(f"{part.folder} holds '{index['kind']}', the recipe wants '{part.kind}'")


def _open_shards(folder: str, data: DataConfig) -> Shards:
    if data.render and not any(Path(folder).glob("shard-*-rgb.npy")):
        from training.scenes.dataset import render_dataset

        render_dataset(
            output=Path(folder),
            count=data.render,
            size=(data.size[1], data.size[0]),
            seed=data.render_seed,
            tier=data.tier,
            workers=1,
            kinds=data.kinds,
        )
    return Shards(folder)


def _open_clips(folder: str, data: DataConfig) -> Clips:
    if data.render and not any(Path(folder).glob("clips-*-info.json")):
        from training.scenes.clips import render_clips

        render_clips(
            output=Path(folder),
            count=data.render,
            frames=data.frames,
            size=(data.size[1], data.size[0]),
            seed=data.render_seed,
            tier=data.tier,
            kinds=data.kinds,
        )
    return Clips(folder)
