"""Training images by the thousand: sharded, resumable, reproducible, on several processes.

A shard is three files, the last of which marks it as finished:

- ``shard-00000-rgb.npy``    uint8 (n, H, W, 3)
- ``shard-00000-depth.npy``  float16 (n, H, W), planar z in metres; 0 is sky, infinitely far
- ``shard-00000-info.json``  a list of n objects: kind, seed, fx, fy, cx, cy, pose (4×4, camera to
  world, optical frame)

What a shard holds follows from the data set's seed and the shard's number alone, so the number of
workers, processes and machines does not matter and a data set can be made longer later.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from training.parallel import run_in_processes
from training.scenes.assets import Assets, Tier, load_assets
from training.scenes.camera import is_useful
from training.scenes.catalogue import build_scene, mixture
from training.scenes.files import replace_file
from training.scenes.frame import shoot
from training.scenes.photograph import random_look
from training.scenes.renderer import Renderer
from training.shares import Job, Outcome, Share, one_core_each, run_share, split

FORMAT = 1
SHARD_SIZE = 240
VIEWS_A_SCENE, MAX_TRIES = 12, 24
SUPERSAMPLING = 1.5
ONE_CORE = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Settings:
    """What decides the content of a data set."""

    width: int
    height: int
    seed: int
    tier: str
    kinds: tuple[str, ...]
    shard_size: int = SHARD_SIZE
    format: int = FORMAT


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
    settings = Settings(*size, seed, tier, tuple(kinds or ()), shard_size)
    render_share(output, count, settings, Share(), workers, progress)
    return [_paths(Path(output), job.index)[2] for job in split(count, shard_size)]


def render_share(
    output: str | Path,
    count: int,
    settings: Settings,
    share: Share,
    workers: int = 1,
    progress: bool = True,
) -> Outcome:
    """Render one process' share of the shards of ``count`` images, with ``workers`` processes.

    Raises DataError as ``render_dataset`` does.
    """
    output = Path(output)
    mixture(settings.kinds or None)  # refuse unknown kinds before any work
    sides = (settings.width, settings.height)
    if count < 1 or settings.shard_size < 1 or workers < 1 or min(sides) < 16:
        raise DataError("count and workers must be at least 1 and images at least 16 pixels wide")
    _claim_folder(output, settings)

    def work(todo: list[Job], tick) -> None:
        if workers == 1:
            one_core_each(share, tuple(ONE_CORE))
            assets, renderer = _prepare(settings)
            for job in todo:
                render_shard(output, settings, job.index, job.size, assets, renderer, tick)
        else:
            _render_parallel(output, settings, todo, workers, tick)

    jobs = split(count, settings.shard_size)
    return run_share(
        jobs, lambda job: _is_finished(output, job.index, job.size), work, share, progress
    )


def render_shard(
    output, settings: Settings, index: int, count: int, assets, renderer, tick
) -> None:
    """Render one shard and write its files; ``tick(1)`` is called after every image."""
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
            rgb[len(info)], depth[len(info)] = frame.rgb, np.minimum(frame.depth, 60000)
            k = frame.intrinsics
            info.append(
                {
                    "kind": scene_kind, "seed": seed, "fx": k.fx, "fy": k.fy, "cx": k.cx,
                    "cy": k.cy, "pose": frame.pose.tolist(),
                }
            )  # fmt: skip
            tick(1)
    rgb_path, depth_path, info_path = _paths(output, index)
    replace_file(rgb_path, lambda file: np.save(file, rgb))
    replace_file(depth_path, lambda file: np.save(file, depth))
    replace_file(info_path, lambda file: file.write(json.dumps(info).encode()))


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


def _claim_folder(output: Path, settings: Settings) -> None:
    """Create the folder, or check that it holds a part of the very same data set."""
    path = output / "dataset.json"
    wanted = json.loads(json.dumps(asdict(settings)))
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != wanted:
            different = [k for k in wanted if found.get(k) != wanted[k]]
            raise DataError(
                f"{output} holds images rendered with other settings ({', '.join(different)}): "
                "choose another folder, or the same settings to continue"
            )
        return
    output.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(json.dumps(wanted, indent=1).encode()))


def _paths(output: Path, index: int) -> tuple[Path, Path, Path]:
    stem = f"shard-{index:05d}"
    names = ("rgb.npy", "depth.npy", "info.json")
    return tuple(Path(output) / f"{stem}-{name}" for name in names)


def _is_finished(output: Path, index: int, count: int) -> bool:
    paths = _paths(output, index)
    if not all(path.is_file() for path in paths):
        return False
    try:
        return len(json.loads(paths[2].read_text(encoding="utf-8"))) == count
    except ValueError:
        return False  # damaged: rendered again


def _prepare(settings: Settings) -> tuple[Assets, Renderer]:
    assets = load_assets(settings.tier)
    return assets, Renderer(assets, (settings.width, settings.height), SUPERSAMPLING)


_worker: dict = {}


def _start_worker(settings: Settings, ticks) -> None:
    cv2.setNumThreads(1)
    _worker["assets"], _worker["renderer"] = _prepare(settings)
    _worker["tick"] = ticks.put


def _work(output, settings: Settings, index: int, count: int) -> None:
    render_shard(
        output, settings, index, count, _worker["assets"], _worker["renderer"], _worker["tick"]
    )


def _render_parallel(output, settings: Settings, todo: list[Job], workers: int, tick) -> None:
    """Share the shards out over processes of one core each."""
    load_assets(settings.tier)  # a missing cache is refused here, not once in every worker
    before = {name: os.environ.get(name) for name in ONE_CORE}
    os.environ.update(ONE_CORE)
    calls = [(output, settings, job.index, job.size) for job in todo]
    try:
        run_in_processes(_work, calls, workers, _start_worker, settings, tick)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
