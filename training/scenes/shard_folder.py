"""A folder of rendered shards: resumable, reproducible, made by several processes and machines.

What a shard holds follows from the data set's settings and the shard's number alone, so the number
of workers, processes and machines does not matter and a data set can be made longer later.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from training.parallel import run_in_processes
from training.scenes.assets import Assets, Tier, load_assets
from training.scenes.catalogue import mixture
from training.scenes.files import replace_file
from training.scenes.renderer import Renderer
from training.shares import Job, Outcome, Share, one_core_each, run_share, split

FORMAT = 1
SUPERSAMPLING = 1.5
ONE_CORE = {"LP_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

# settings, number and size of a shard, assets, renderer, and what to call with each finished sample
MakeShard = Callable[
    ["ShardSettings", int, int, Assets, Renderer, Callable[[int], object]],
    tuple[np.ndarray, np.ndarray, list[dict]],
]


@dataclass(frozen=True)
class ShardSettings:
    """What decides the content of a data set; kept in its ``dataset.json``."""

    width: int
    height: int
    seed: int
    tier: Tier
    kinds: tuple[str, ...]
    shard_size: int
    format: int = FORMAT


@dataclass(frozen=True)
class ShardFolder:
    """A data set in the folder ``output``: what its shards are called and how one is made.

    ``make`` is a function of a module, as worker processes call it; it returns images, depths and
    one description a sample. Files of a shard are written whole, the descriptions last.
    """

    output: Path
    settings: ShardSettings
    stem: str
    unit: str
    make: MakeShard

    def paths(self, index: int) -> tuple[Path, Path, Path]:
        """The files of images, depths and descriptions of one shard."""
        names = ("rgb.npy", "depth.npy", "info.json")
        return tuple(self.output / f"{self.stem}-{index:05d}-{name}" for name in names)

    def render(self, count: int, share: Share, workers: int = 1, progress: bool = True) -> Outcome:
        """Render one process' share of the shards of ``count`` samples; finished ones are kept.

        Raises DataError for a folder that holds another data set, unknown kinds, assets that were
        not fetched, or a machine without EGL.
        """
        settings = self.settings
        mixture(settings.kinds or None)  # refuse unknown kinds before any work
        sides = (settings.width, settings.height)
        if count < 1 or settings.shard_size < 1 or workers < 1 or min(sides) < 16:
            raise DataError(
                "count and workers must be at least 1 and images at least 16 pixels wide"
            )
        self._claim()

        def work(todo: list[Job], tick) -> None:
            if workers == 1:
                one_core_each(share, tuple(ONE_CORE))
                assets, renderer = _prepare(settings)
                for job in todo:
                    self._write(job, assets, renderer, tick)
            else:
                _render_parallel(self, todo, workers, tick)

        jobs = split(count, settings.shard_size)
        return run_share(jobs, self._is_finished, work, share, progress, self.unit)

    def _write(self, job: Job, assets: Assets, renderer: Renderer, tick) -> None:
        rgb, depth, about = self.make(self.settings, job.index, job.size, assets, renderer, tick)
        rgb_path, depth_path, info_path = self.paths(job.index)
        replace_file(rgb_path, lambda file: np.save(file, rgb))
        replace_file(depth_path, lambda file: np.save(file, depth))
        replace_file(info_path, lambda file: file.write(json.dumps(about).encode()))

    def _claim(self) -> None:
        """Create the folder, or check that it holds a part of the very same data set."""
        path = self.output / "dataset.json"
        wanted = json.loads(json.dumps(asdict(self.settings)))
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8"))
            if found != wanted:
                different = [k for k in {**wanted, **found} if found.get(k) != wanted.get(k)]
                raise DataError(
                    f"{self.output} holds {self.unit}s rendered with other settings "
                    f"({', '.join(different)}): choose another folder, or the same settings to "
                    "continue"
                )
            return
        self.output.mkdir(parents=True, exist_ok=True)
        replace_file(path, lambda file: file.write(json.dumps(wanted, indent=1).encode()))

    def _is_finished(self, job: Job) -> bool:
        paths = self.paths(job.index)
        if not all(path.is_file() for path in paths):
            return False
        try:
            return len(json.loads(paths[2].read_text(encoding="utf-8"))) == job.size
        except ValueError:
            return False  # damaged: rendered again


def _prepare(settings: ShardSettings) -> tuple[Assets, Renderer]:
    assets = load_assets(settings.tier)
    return assets, Renderer(assets, (settings.width, settings.height), SUPERSAMPLING)


_worker: dict = {}


def _start_worker(settings: ShardSettings, ticks) -> None:
    cv2.setNumThreads(1)
    _worker["assets"], _worker["renderer"] = _prepare(settings)
    _worker["tick"] = ticks.put


def _work(folder: ShardFolder, job: Job) -> None:
    folder._write(job, _worker["assets"], _worker["renderer"], _worker["tick"])


def _render_parallel(folder: ShardFolder, todo: list[Job], workers: int, tick) -> None:
    """Share the shards out over processes of one core each."""
    load_assets(folder.settings.tier)  # a missing cache is refused here, not in every worker
    before = {name: os.environ.get(name) for name in ONE_CORE}
    os.environ.update(ONE_CORE)
    calls = [(folder, job) for job in todo]
    try:
        run_in_processes(_work, calls, workers, _start_worker, folder.settings, tick)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
