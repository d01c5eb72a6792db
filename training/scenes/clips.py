"""Training clips: short streams of a moving camera, with what streams go through.

Objects move, frames are dropped, the camera shakes or stands on a tripod, lamps are switched, the
exposure follows late, and now and then the scene is cut. A shard is three files, the last of which
marks it as finished; :mod:`depth_distill_ros.evaluation.clips` describes and reads them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes.assets import Assets, Tier
from training.scenes.catalogue import mixture
from training.scenes.dataset import FARTHEST
from training.scenes.frame import Frame, shoot
from training.scenes.handling import RATES, SHAKES, Exposure, kept_frames, random_exposure, shaken
from training.scenes.movers import Mover, find_movers
from training.scenes.photograph import random_look
from training.scenes.renderer import Renderer
from training.scenes.scene import CameraPose, Scene
from training.scenes.sequence import SEARCH_SIZE, find_path, path_in
from training.scenes.shard_folder import ShardFolder, ShardSettings
from training.scenes.trajectory import motion_for
from training.shares import Share, split

SHARD_SIZE, FRAMES = 40, 16
STARTS = 6
CUTS, TRIPODS, MOVING = 0.12, 0.1, 0.65  # shares of clips
MIN_PART = 3  # frames before and after a cut
MAX_MOVERS = 3
MAX_FAILURES = 5  # clips of a shard for which no camera path is found


@dataclass(frozen=True)
class ClipSettings(ShardSettings):
    """What decides the content of a data set of clips of ``frames`` frames each."""

    shard_size: int = SHARD_SIZE
    frames: int = FRAMES


def render_clips(
    output: str | Path,
    count: int,
    frames: int = FRAMES,
    size: tuple[int, int] = (256, 192),
    seed: int = 0,
    tier: Tier = "full",
    workers: int = 1,
    kinds: tuple[str, ...] | None = None,
    shard_size: int = SHARD_SIZE,
    progress: bool = True,
) -> list[Path]:
    """Render ``count`` clips of ``frames`` frames into the folder ``output``.

    Finished shards are kept. ``size`` is (width, height); ``kinds`` are families or members such as
    ``indoor/office``. Returns the info files. Raises DataError for fewer than two frames, a folder
    that holds another data set, unknown kinds, assets that were not fetched, or a machine without
    EGL.
    """
    kinds = tuple(kinds or ())
    settings = ClipSettings(*size, seed, tier, kinds, shard_size, frames=frames)
    folder = clip_folder(output, settings)
    folder.render(count, Share(), workers, progress)
    return [folder.paths(job.index)[2] for job in split(count, shard_size)]


def clip_folder(output: str | Path, settings: ClipSettings) -> ShardFolder:
    """A data set of clips, to be rendered by one process or by several.

    Raises DataError for fewer than two frames.
    """
    if settings.frames < 2:
        raise DataError(f"a clip needs at least two frames, got {settings.frames}")
    return ShardFolder(Path(output), settings, "clips", "clip", make_shard)


def make_shard(settings: ClipSettings, index: int, count: int, assets, renderer, tick):
    """Images, depths and descriptions of one shard; ``tick(1)`` is called after every clip."""
    rng = np.random.default_rng([settings.seed, index])
    names, weights = mixture(settings.kinds or None)
    shape = (count, settings.frames, settings.height, settings.width)
    rgb, depth = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float16)
    about: list[dict] = []
    failures = 0
    while len(about) < count:
        kind, other = (str(name) for name in rng.choice(names, 2, p=weights))
        seed = int(rng.integers(2**31))
        try:
            frames, entry = render_clip(assets, renderer, kind, seed, settings.frames, other)
        except DataError:  # no way for a camera in many scenes: unlucky, or a kind without any
            failures += 1
            if failures > MAX_FAILURES:
                raise
            continue
        clip = len(about)
        for i, frame in enumerate(frames):
            rgb[clip, i], depth[clip, i] = frame.rgb, np.minimum(frame.depth, FARTHEST)
        about.append(entry)
        tick(1)
    return rgb, depth, about


def render_clip(
    assets: Assets, renderer: Renderer, kind: str, seed: int, count: int, other: str
) -> tuple[list[Frame], dict]:
    """``count`` frames of a clip and what ``info.json`` says of it.

    ``other`` is the kind of scene to which a cut may lead. Raises DataError where no camera path is
    found in many scenes of a kind.
    """
    rng = np.random.default_rng([seed, 4])
    rate, numbers = float(rng.choice(RATES)), kept_frames(count, rng)
    times = numbers / rate
    exposure = random_exposure(times, random_look(rng), rng)
    cut = count
    if count >= 2 * MIN_PART and rng.random() < CUTS:
        cut = int(rng.integers(MIN_PART, count - MIN_PART + 1))
    part = _first_part(assets, renderer, kind, seed, numbers[cut - 1] + 1, rate, rng)
    kind, moving = part.scene.kind, bool(part.movers)
    frames = list(_shoot(part, renderer, range(cut), numbers, times, exposure, rng))
    if cut < count:
        length = numbers[-1] - numbers[cut] + 1
        part = _part_after_cut(part.scene, assets, renderer, other, seed + 1, length, rate, rng)
        moving |= bool(part.movers)
        frames += _shoot(part, renderer, range(cut, count), numbers, times, exposure, rng)
    cameras = [frame.intrinsics for frame in frames]
    return frames, {
        "kind": kind, "seed": seed, "stamps": times.tolist(), "moving": moving,
        "cuts": [cut] if cut < count else [],
        "intrinsics": [[k.fx, k.fy, k.cx, k.cy] for k in cameras],
        "poses": [frame.pose.tolist() for frame in frames],
    }  # fmt: skip


@dataclass(frozen=True)
class _Part:
    """Frames between cuts: the loaded scene, the camera at each time, and what moves."""

    scene: Scene
    path: list[CameraPose]
    movers: list[Mover]


def _first_part(assets, renderer: Renderer, kind: str, seed: int, length: int, rate: float, rng):
    scene, path = find_path(assets, renderer, kind, seed, length, rate, STARTS)
    return _staged(scene, path, assets, renderer, rate, rng)


def _part_after_cut(scene, assets, renderer: Renderer, other: str, seed, length, rate, rng):
    """From elsewhere in the same scene, or from another scene."""
    path = None
    if rng.random() < 0.5:
        path = path_in(scene, renderer, length, rate, rng, STARTS)
    if path is None:
        return _first_part(assets, renderer, other, seed, length, rate, rng)
    return _staged(scene, path, assets, renderer, rate, rng)


def _staged(scene: Scene, path: list[CameraPose], assets, renderer: Renderer, rate, rng) -> _Part:
    """Hold the camera as some hand, vehicle or tripod does, and let objects move before it."""
    way = rng.random()
    if way < TRIPODS:
        path = [path[0]] * len(path)
    elif way < TRIPODS + SHAKES:
        path = shaken(path, rate, motion_for(scene.kind).sway / 4, rng)
    movers: list[Mover] = []
    if rng.random() < MOVING:
        key = int(rng.integers(len(path) // 4, 3 * len(path) // 4 + 1))
        with renderer.at_size(SEARCH_SIZE, 1):
            depth = renderer.render(path[key])[1]
        number = int(rng.integers(1, MAX_MOVERS + 1))
        movers = find_movers(scene, assets, depth, key, path, rate, number, rng)
    return _Part(scene, path, movers)


def _shoot(
    part: _Part,
    renderer: Renderer,
    frames: range,
    numbers: np.ndarray,
    times: np.ndarray,
    exposure: Exposure,
    rng: np.random.Generator,
) -> Iterator[Frame]:
    """Photograph the frames of one part, of which only those with the given numbers arrived."""
    exposure.restart()
    for i in frames:
        at = numbers[i] - numbers[frames[0]]
        moving = [mover.at(at) for mover in part.movers]
        pose = part.path[at]
        radiance, depth = renderer.render(pose, np.concatenate(moving) if moving else None)
        look, gain = exposure.of(radiance, i, times[i])
        yield shoot(radiance, depth, pose, look, rng, gain)
