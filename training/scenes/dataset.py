"""Training images by the thousand: sharded, resumable, reproducible, on several processes.

A shard is three files, the last of which marks it as finished:

- ``shard-00000-rgb.npy``    uint8 (n, H, W, 3)
- ``shard-00000-depth.npy``  float16 (n, H, W), planar z in metres; 0 is sky, infinitely far
- ``shard-00000-info.json``  a list of n objects: kind, seed, fx, fy, cx, cy, pose (4×4, camera to
  world, optical frame)

:mod:`training.scenes.shard_folder` says how the work is shared out and resumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.scenes.assets import Assets, Tier
from training.scenes.camera import is_useful
from training.scenes.catalogue import build_scene, mixture
from training.scenes.frame import shoot
from training.scenes.photograph import random_look
from training.scenes.renderer import Renderer
from training.scenes.shard_folder import ShardFolder, ShardSettings
from training.shares import Share, split

SHARD_SIZE = 240
VIEWS_A_SCENE, MAX_TRIES = 12, 24
FARTHEST = 60000.0  # metres that float16 holds


@dataclass(frozen=True)
class Settings(ShardSettings):
    """What decides the content of a data set of images."""

    shard_size: int = SHARD_SIZE


def render_dataset(
    output: str | Path,
    count: int,
    size: tuple[int, int] = (256, 192),
    seed: int = 0,
    tier: Tier = "full",
    workers: int = 1,
    kinds: tuple[str, ...] | None = None,
    shard_size: int = SHARD_SIZE,
    progress: bool = True,
) -> list[Path]:
    """Render ``count`` images into the folder ``output``; finished shards are kept.

    ``size`` is (width, height); ``kinds`` are families or members such as ``indoor/office``.
    Returns the info files. Raises DataError for a folder that holds another data set, unknown
    kinds, assets that were not fetched, or a machine without EGL.
    """
    folder = image_folder(output, Settings(*size, seed, tier, tuple(kinds or ()), shard_size))
    folder.render(count, Share(), workers, progress)
    return [folder.paths(job.index)[2] for job in split(count, shard_size)]


def image_folder(output: str | Path, settings: Settings) -> ShardFolder:
    """A data set of images, to be rendered by one process or by several."""
    return ShardFolder(Path(output), settings, "shard", "image", make_shard)


def make_shard(settings: Settings, index: int, count: int, assets, renderer, tick):
    """Images, depths and descriptions of one shard; ``tick(1)`` is called after every image."""
    rng = np.random.default_rng([settings.seed, index])
    names, weights = mixture(settings.kinds or None)
    shape = (count, settings.height, settings.width)
    rgb, depth = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.float16)
    info: list[dict] = []
    while len(info) < count:
        kind, seed = str(rng.choice(names, p=weights)), int(rng.integers(2**31))
        for frame, scene_kind in views(assets, renderer, kind, seed):
            if len(info) == count:
                break
            rgb[len(info)], depth[len(info)] = frame.rgb, np.minimum(frame.depth, FARTHEST)
            k = frame.intrinsics
            info.append(
                {
                    "kind": scene_kind, "seed": seed, "fx": k.fx, "fy": k.fy, "cx": k.cx,
                    "cy": k.cy, "pose": frame.pose.tolist(),
                }
            )  # fmt: skip
            tick(1)
    return rgb, depth, info


def views(assets: Assets, renderer: Renderer, kind: str, seed: int, limit: int = VIEWS_A_SCENE):
    """Yield (frame, kind of scene): up to ``limit`` useful stills of one scene."""
    scene = build_scene(assets, kind, seed)
    renderer.load(scene)
    rng = np.random.default_rng([seed, 1])
    found = 0
    for _ in range(MAX_TRIES):
        if found == limit:
            return
        pose = scene.sample_camera(rng)
        radiance, depth = renderer.render(pose)
        if is_useful(depth, scene.near_limit):
            found += 1
            yield shoot(radiance, depth, pose, random_look(rng), rng), scene.kind
