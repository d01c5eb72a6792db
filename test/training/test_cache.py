"""Training from a cache: the same losses as without, no teacher, and no cache of something else."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.models.depth_model import DepthModel
from training.cache import main, make_cache
from training.config import DataConfig, RunConfig, SpeedConfig
from training.data.batches import Feed, StepBatches
from training.data.shards import Shards
from training.latent_cache import feeds_of, is_whole, jobs_of, shard_path, stored_settings
from training.shares import Share
from training.stage1 import Stage1Objective, Stage1Recipe
from training.stage2 import Stage2Objective, Stage2Recipe

RECIPE = Path(__file__).parents[2] / "config" / "training" / "debug_stage1.yaml"
DISTILLED = {"feature_kd_weight": 0.0, "posterior": "mean"}


def recipe_of(shards: Path, **fields) -> Stage1Recipe:
    return Stage1Recipe(
        run=RunConfig(output="unused", batch_size=2, steps=12),
        data=DataConfig(folder=str(shards), size=(64, 128)),
        student="tiny",
        teacher="random:tiny-teacher",
        **fields,
    )


def losses_of(recipe: Stage1Recipe, feeds) -> list[dict[str, float]]:
    """Losses of the first two batches, with the noise of their places."""
    objective = Stage1Objective(recipe).eval()
    batches = StepBatches(feeds_of(objective, feeds, recipe), recipe.data, recipe.run)
    found = []
    for micro in (batches[0], batches[1]):
        generators = [torch.Generator().manual_seed(place) for place in micro.places]
        counts = objective.counts(micro.tensors)
        with torch.no_grad():
            losses = objective(micro.tensors, generators, counts)
        found.append({name: float(value) for name, value in losses.items()})
    return found


@pytest.fixture(scope="module")
def cached(shards, tmp_path_factory) -> Path:
    """Latents and predictions in float32, five samples a shard."""
    folder = tmp_path_factory.mktemp("cache")
    recipe = recipe_of(shards, **DISTILLED)
    outcome = make_cache(recipe, folder, dtype=torch.float32, shard_size=5, progress=False)
    assert outcome.complete and outcome.made == 24
    return folder


@pytest.mark.parametrize("fields", [{}, DISTILLED, {"latent_kd_weight": 0.0, **DISTILLED}])
def test_losses_from_the_cache_are_those_without(fields, shards, cached):
    feeds = [Feed(Shards(shards))]
    recipe = recipe_of(shards, **fields)
    online = losses_of(recipe, feeds)
    from_cache = dataclasses.replace(recipe, speed=SpeedConfig(cache=str(cached)))
    assert online[0].keys() == losses_of(from_cache, feeds)[0].keys()
    for one, other in zip(online, losses_of(from_cache, feeds), strict=True):
        assert one == pytest.approx(other, rel=1e-5)
    assert online[0] != online[1]


def test_predictions_from_the_cache_need_no_teacher(shards, cached, monkeypatch):
    recipe = recipe_of(shards, speed=SpeedConfig(cache=str(cached)), **DISTILLED)
    names = [name for name, _ in Stage1Objective(recipe).named_parameters()]
    assert not [name for name in names if name.startswith("teacher.unet.")]
    drawn = dataclasses.replace(recipe, posterior="sample")  # another prediction at every step
    names = [name for name, _ in Stage1Objective(drawn).named_parameters()]
    assert [name for name in names if name.startswith("teacher.unet.")]


def test_half_precision_halves_the_files_and_rounds_the_losses(shards, cached, tmp_path):
    recipe = recipe_of(shards, **DISTILLED)
    make_cache(recipe, tmp_path, shard_size=5, progress=False)
    sizes = [shard_path(folder, 0).stat().st_size for folder in (cached, tmp_path)]
    assert sizes[1] < 0.55 * sizes[0]
    feeds = [Feed(Shards(shards))]
    for one, other in zip(
        losses_of(recipe, feeds),
        losses_of(dataclasses.replace(recipe, speed=SpeedConfig(cache=str(tmp_path))), feeds),
        strict=True,
    ):
        assert one == pytest.approx(other, rel=2e-3)


def test_samples_that_cannot_be_read_are_skipped_alike(shards, tmp_path):
    class Damaged(Shards):
        def __getitem__(self, index):
            if index in (3, 4, 17):
                raise DataError("torn")
            return super().__getitem__(index)

    recipe = recipe_of(shards, latent_kd_weight=0.0, **DISTILLED)
    recipe = dataclasses.replace(recipe, speed=SpeedConfig(cache=str(tmp_path)))
    online = [Feed(Damaged(shards))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.cache.open_feeds", lambda data: online)
        make_cache(recipe, tmp_path, progress=False)
    read = feeds_of(Stage1Objective(recipe), online, recipe)
    for number in range(12):
        plain, cached = (StepBatches(f, recipe.data, recipe.run)[number] for f in (online, read))
        assert plain.names == cached.names
        assert [s.name for s in plain.skipped] == [s.name for s in cached.skipped]


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        ({"teacher": "random:tiny"}, "encoder|predictions"),
        ({"data": {"size": (32, 64)}}, "feeds"),
        ({"data": {"flip": False}}, "flip"),
    ],
)
def test_a_cache_of_something_else_is_refused(change, difference, shards, cached):
    fields = {k: v for k, v in change.items() if k != "data"}
    recipe = recipe_of(shards, speed=SpeedConfig(cache=str(cached)), **DISTILLED)
    data = dataclasses.replace(recipe.data, **change.get("data", {}))
    recipe = dataclasses.replace(recipe, data=data, **fields)
    with pytest.raises(ConfigError, match=difference):
        feeds_of(Stage1Objective(recipe), [Feed(Shards(shards))], recipe)


def test_another_autoencoder_under_the_same_name_is_refused(shards, tmp_path):
    def save(seed: int) -> None:
        DepthModel.from_preset("tiny", seed=seed).save_pretrained(tmp_path / "teacher")

    recipe = recipe_of(shards, latent_kd_weight=0.0, **DISTILLED)
    speed = SpeedConfig(cache=str(tmp_path / "cache"))
    recipe = dataclasses.replace(recipe, teacher=str(tmp_path / "teacher"), speed=speed)
    save(1)
    make_cache(recipe, tmp_path / "cache", progress=False)
    feeds = [Feed(Shards(shards))]
    assert len(feeds_of(Stage1Objective(recipe), feeds, recipe)[0].source) == 24
    save(2)
    with pytest.raises(ConfigError, match="other settings .encoder"):
        feeds_of(Stage1Objective(recipe), feeds, recipe)


def test_an_incomplete_cache_is_refused(shards, tmp_path):
    recipe = recipe_of(shards, latent_kd_weight=0.0, **DISTILLED)
    recipe = dataclasses.replace(recipe, speed=SpeedConfig(cache=str(tmp_path)))
    outcome = make_cache(recipe, tmp_path, Share(0, 2), shard_size=10, progress=False)
    assert outcome.missing == 10  # shards 0 and 2 of three are there
    with pytest.raises(DataError, match="lacks 10 samples"):
        feeds_of(Stage1Objective(recipe), [Feed(Shards(shards))], recipe)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("--data.crop_min", "0.7"), "crop_min"),
        (("--feature_kd_weight", "0"), "posterior to mean"),
        (("--data.folder", "nowhere", "--data.render", "0"), "nowhere"),
        (("--part", "3/2"), "part of the work"),
    ],
)
def test_what_cannot_be_cached_is_said_in_one_line(overrides, message, shards, tmp_path, capsys):
    arguments = ["--config", str(RECIPE), "--output", str(tmp_path), "--data.folder", str(shards)]
    assert main([*arguments, *overrides]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error


def test_other_trainings_refuse_a_cache(shards, cached):
    recipe = Stage2Recipe(
        run=RunConfig(output="unused"), model="random:tiny", speed=SpeedConfig(cache=str(cached))
    )
    with pytest.raises(ConfigError, match="only stage 1"):
        feeds_of(Stage2Objective(recipe), [Feed(Shards(shards))], recipe)


def test_two_launched_processes_share_the_work_and_survive_a_kill(shards, tmp_path, capsys):
    arguments = f"--config {RECIPE} --output {tmp_path} --data.folder {shards} --shard-size 1"

    def start(rank: int) -> subprocess.Popen:
        launched = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": 2}
        address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        environment = {k: str(v) for k, v in {**launched, **address}.items()}
        return subprocess.Popen(
            [sys.executable, "-m", "training.cache", *arguments.split()],
            env={**os.environ, **environment},
        )

    port = 20000 + os.getpid() % 20000
    processes = [start(rank) for rank in range(2)]
    while not shard_path(tmp_path, 0).exists():
        assert processes[0].poll() is None
        time.sleep(0.02)
    processes[0].send_signal(signal.SIGKILL)
    processes[0].wait()
    assert processes[1].wait() == 0
    jobs = [job for _, job in jobs_of(stored_settings(tmp_path))]
    assert all(is_whole(tmp_path, job) for job in jobs if job.index % 2), "rank 1's share"
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.safetensors")}
    assert main(arguments.split()) == 0
    assert "complete: all 24 samples are there" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == at for path, at in before.items() if at)
    assert len(list(tmp_path.glob("latents-*"))) == 24
    assert np.all([is_whole(tmp_path, job) for job in jobs])
