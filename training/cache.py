"""Cache what stage 1 learns from: ``python -m training.cache --config RECIPE --output DIR``.

Latents of every image and disparity map (as posterior moments), and the teacher's predictions
where the recipe wants them without features, are computed once and read by trainings with
``speed.cache: DIR``. Launchers (accelerate launch, torchrun) share the work out over processes,
--part over machines without one; what is finished is skipped.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from depth_distill_ros.errors import ConfigError, DataError, UserError, refuse
from training.config import parse_recipe
from training.data.batches import Feed, collate
from training.data.open import open_feeds
from training.data.views import Batch, View, view_sample
from training.latent_cache import (
    claim,
    data_settings,
    is_whole,
    jobs_of,
    network_settings,
    shard_path,
)
from training.latents import draw_inputs, frozen_encoding
from training.objective import Objective
from training.optimisation import autocast_of
from training.processes import process_state
from training.scenes.files import replace_file
from training.shares import Job, Outcome, Share, report, run_share
from training.speed import apply_speed
from training.stage1 import TASKS, Stage1Recipe, load_frozen

SHARD_SIZE = 256
_WHOLE = slice(None)
_VIEWS = (View(_WHOLE, _WHOLE, False), View(_WHOLE, _WHOLE, True))


class FrozenNetworks(Objective):
    """The networks that a cache is made with: an encoder, and the teacher where it predicts."""

    def __init__(self, recipe: Stage1Recipe, predictions: bool):
        super().__init__()
        teacher, _, own = load_frozen(recipe, with_unet=predictions)
        self.autoencoder = teacher.autoencoder if recipe.latents == "teacher" else own
        self.prior = teacher.prior
        self.prior_latents = teacher.prior_latents
        self.teacher = teacher if predictions else None
        self.freeze(*(m for m in (self.autoencoder, self.prior, self.teacher) if m is not None))

    def forward(self, batch: Batch) -> Batch:
        """What is cached of a batch, in float32."""
        known = frozen_encoding(self, batch)
        if self.teacher is not None:
            latents = draw_inputs(self.autoencoder, known, None)
            with torch.inference_mode():
                taught = self.teacher.predict_latents(latents.inputs, TASKS).float()
            known["prediction"] = torch.cat(taught.chunk(len(TASKS)), dim=1)
        return known


def wants_predictions(recipe: Stage1Recipe) -> bool:
    """Whether a recipe learns the teacher's predictions without its features.

    Raises:
        ConfigError: it does, but of latents that are drawn anew at every step.
    """
    if recipe.feature_kd_weight or not recipe.latent_kd_weight:
        return False
    if recipe.posterior != "mean":
        raise ConfigError(
            "the teacher's predictions are of the latents, which this recipe draws anew at every "
            "step: set posterior to mean to cache them, or --no-predictions to cache latents only"
        )
    return True


def make_cache(
    recipe: Stage1Recipe,
    folder: Path,
    share: Share | None = None,
    predictions: bool | None = None,
    dtype: torch.dtype = torch.float16,
    batch: int = 4,
    shard_size: int = SHARD_SIZE,
    progress: bool = True,
) -> Outcome:
    """Compute one process' share of a cache.

    Args:
        recipe: of the training that will read it.
        folder: of the cache.
        share: which shards are this process'; None is all of them.
        predictions: cache the teacher's too; None decides by the recipe.
        dtype: in which moments and predictions are stored.
        batch: images at once.
        shard_size: samples a file.
        progress: show a bar.

    Raises:
        ConfigError: the recipe cannot be cached, or the folder holds another cache.
        DataError: a data set is missing or damaged.
    """
    if predictions is None:
        predictions = wants_predictions(recipe)
    with process_state().local_main_process_first():  # it may render
        feeds = open_feeds(recipe.data)
    settings = data_settings(feeds, recipe.data)
    networks = FrozenNetworks(recipe, predictions)
    prompt = networks.teacher.prompt if predictions else None
    settings |= network_settings(recipe.teacher, networks.autoencoder, networks.prior, prompt)
    settings |= {"shard_size": shard_size, "dtype": str(dtype).removeprefix("torch.")}
    claim(folder, settings)
    speed = dataclasses.replace(recipe.speed, gradient_checkpointing=False)
    apply_speed(networks, speed)
    device = process_state().device
    encode = _encoder(networks.to(device), recipe, device)
    parts = {job.index: number for number, job in jobs_of(settings)}

    def work(todo: list[Job], tick: Callable[[int], object]) -> None:
        for job in todo:
            feed = feeds[parts[job.index]]
            tensors = _shard(feed, job, recipe, encode, batch, dtype, tick)
            replace_file(shard_path(folder, job.index), lambda f, t=tensors: f.write(save(t)))

    jobs = [job for _, job in jobs_of(settings)]
    return run_share(jobs, lambda job: is_whole(folder, job), work, share or Share(), progress)


def _encoder(
    networks: FrozenNetworks, recipe: Stage1Recipe, device: torch.device
) -> Callable[[Batch], Batch]:
    def encode(batch: Batch) -> Batch:
        with autocast_of(recipe.run, device.type):
            known = networks({name: value.to(device) for name, value in batch.items()})
        return {name: value.cpu() for name, value in known.items()}

    return encode


def _shard(
    feed: Feed,
    job: Job,
    recipe: Stage1Recipe,
    encode: Callable[[Batch], Batch],
    batch: int,
    dtype: torch.dtype,
    tick: Callable[[int], object],
) -> dict[str, Tensor]:
    """The tensors of one file."""
    size = feed.size or recipe.data.size
    views = _VIEWS if recipe.data.flip else _VIEWS[:1]
    tensors = {"readable": torch.zeros(job.size, dtype=torch.bool)}
    waiting: list[tuple[int, int, Batch]] = []

    def flush() -> None:
        known = encode(collate([sample for _, _, sample in waiting])) if waiting else {}
        for name, values in known.items():
            kept = values.to(dtype) if values.is_floating_point() else values
            shape = (job.size, len(views), *values.shape[1:])
            store = tensors.setdefault(name, torch.zeros(shape, dtype=kept.dtype))
            for (row, view, _), value in zip(waiting, kept, strict=True):
                store[row, view] = value
        waiting.clear()

    for row in range(job.size):
        sample = _read(feed, job.first + row)
        if sample is not None:
            tensors["readable"][row] = True
            for number, view in enumerate(views):
                waiting.append((row, number, view_sample(*sample, size, view)))
                if len(waiting) == batch:
                    flush()
        tick(1)
    flush()
    return tensors


def _read(feed: Feed, index: int) -> tuple[np.ndarray, np.ndarray] | None:
    try:
        return feed.source[index]
    except DataError as error:
        print(f"not cached: {feed.source.name(index)}: {error}", file=sys.stderr)
        return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.cache``."""
    parser = argparse.ArgumentParser(
        prog="python -m training.cache",
        description=__doc__.split("\n\n")[1],
        epilog="Further arguments override the recipe, such as --data.folder DIR.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True, metavar="RECIPE", help="recipe of stage 1")
    parser.add_argument("--output", type=Path, metavar="DIR", help="[speed.cache of the recipe]")
    parser.add_argument("--part", default="", metavar="I/N", help="the I-th of N machines' part")
    parser.add_argument("--batch", type=int, default=4, help="images at once [4]")
    parser.add_argument("--dtype", choices=("float16", "float32"), default="float16")
    parser.add_argument("--shard-size", type=int, default=SHARD_SIZE, help="samples a file [256]")
    parser.add_argument("--no-predictions", action="store_true", help="cache latents only")
    options, overrides = parser.parse_known_args(arguments)
    try:
        if min(options.batch, options.shard_size) < 1:
            raise ConfigError("--batch and --shard-size must be at least 1")
        recipe, _ = parse_recipe(Stage1Recipe, __doc__, ["--config", options.config, *overrides])
        folder = options.output or (Path(recipe.speed.cache) if recipe.speed.cache else None)
        if folder is None:
            raise ConfigError("say where the cache goes: --output DIR")
        share = Share.from_environment(options.part)
        predictions = False if options.no_predictions else None
        outcome = make_cache(
            recipe, folder, share, predictions, getattr(torch, options.dtype), options.batch,
            options.shard_size,
        )  # fmt: skip
    except UserError as error:
        return refuse(error)
    report(outcome, share, str(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
