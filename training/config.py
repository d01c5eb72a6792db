"""Typed recipes: frozen dataclasses, filled from YAML with dotted overrides, unknown keys refused."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from jsonargparse import ActionConfigFile, ArgumentParser

Recipe = TypeVar("Recipe")


ClipKind = Literal["clips", "virtual_kitti_clips", "video_frames"]
StillKind = Literal["shards", "hypersim", "virtual_kitti", "frames", "stream"]
DataKind = Literal[StillKind, ClipKind]


@dataclass(frozen=True)
class FeedConfig:
    """One of several data sets to learn from.

    Attributes:
        kind: as in :class:`DataConfig`.
        folder: as in :class:`DataConfig`.
        share: of the images, relative to the other shares.
        size: (height, width) of the training images; None takes ``data.size``.
        list: as in :class:`DataConfig`.
    """

    kind: DataKind
    folder: str
    share: float = 1.0
    size: tuple[int, int] | None = None
    list: str = ""


@dataclass(frozen=True)
class DataConfig:
    """What to learn from: one data set, or several in ``mix``.

    Attributes:
        kind: "shards" are rendered scenes; "hypersim" and "virtual_kitti" are official layouts or
            what their preparation commands wrote; "frames" is a folder of RGB-D sequences of your
            own; "stream" is any prepared data set. For methods that learn from clips:
            "clips" are rendered streams of frames, "virtual_kitti_clips" stretches of the drives,
            "video_frames" folders of images, one a video, without depth.
        folder: where the data set lies; a prepared one may also be a URL.
        list: file with the frames to take of an official layout, one a line; empty takes all of
            the training split.
        mix: several data sets instead of ``kind``, ``folder`` and ``list``. Marigold and Lotus
            take Hypersim for 90 % and Virtual KITTI for 10 % of their batches.
        block: images in a row of one data set, where there are several: 16 in Marigold and Lotus;
            0 is a whole batch.
        cache: folder for shards that are fetched from a URL; empty is the user's cache folder.
        cache_gb: what that folder may hold of each data set.
        render: rendered scenes to make in ``folder`` when it holds none; 0 never renders.
        render_seed: seed of those scenes.
        tier: asset tier of those scenes.
        kinds: scene kinds of those scenes.
        size: (height, width) of the training images.
        frames: of a clip that a sample takes.
        crop_min: smallest share of each side that the random zoom crop keeps; 1 turns it off.
        flip: mirror half of the images (the only augmentation of Lotus).
    """

    kind: DataKind = "shards"
    folder: str = "runs/scenes"
    list: str = ""
    mix: tuple[FeedConfig, ...] = ()
    block: int = 0
    cache: str = ""
    cache_gb: float = 50.0
    render: int = 0
    render_seed: int = 0
    tier: Literal["procedural", "full"] = "procedural"
    kinds: tuple[str, ...] = ("indoor", "outdoor", "tabletop")
    size: tuple[int, int] = (192, 256)
    frames: int = 16
    crop_min: float = 1.0
    flip: bool = True


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW with warm-up. Lotus: 3e-5, constant, weight decay 1e-2, gradient norm clipped at 1.

    Attributes:
        learning_rate: peak rate.
        schedule: "constant", "cosine" to ``final_ratio``, or "exponential" to it.
        warmup_steps: linear warm-up from zero.
        final_ratio: of the learning rate at the last step.
        clip: largest gradient norm; 0 turns clipping off.
    """

    learning_rate: float = 3e-5
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "cosine", "exponential"] = "constant"
    warmup_steps: int = 0
    final_ratio: float = 0.01
    clip: float = 1.0


@dataclass(frozen=True)
class RunConfig:
    """One training run.

    Attributes:
        output: folder of the run: ``checkpoints/``, ``logs/`` (TensorBoard) and ``model/``.
        steps: optimiser steps.
        batch_size: images an optimiser step, over all processes: the batch of the papers.
        micro_batch: images a process holds at once; gradients accumulate until the batch is
            full. 0 is the whole share of a process. It changes memory and speed, not the result.
        seed: of every random draw; each is a function of the seed and the step alone, so a
            resumed run continues as if it had never stopped.
        mixed_precision: "no", "bf16" or "fp16". A CPU without arithmetic for bfloat16 takes "no"
            in its place (``training.precision``).
        save_every: steps between checkpoints (the last step is always saved).
        log_every: steps between TensorBoard entries.
        workers: loader processes; 0 loads in the training process.
        ema: decay of the running average of the weights that is saved as the model; 0 for none.
        max_skipped: share of samples that may be unreadable before the run stops. They are
            replaced by the next readable one and listed in ``skipped.jsonl`` of the output.
    """

    output: str
    steps: int = 4000
    batch_size: int = 8
    micro_batch: int = 0
    seed: int = 42
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    save_every: int = 500
    log_every: int = 10
    workers: int = 0
    ema: float = 0.0
    max_skipped: float = 0.01


@dataclass(frozen=True)
class SpeedConfig:
    """Memory against time; none of it changes what is computed but for rounding.

    Attributes:
        gradient_checkpointing: compute the activations of the trained UNet, and of a decoder
            that gradients pass, again in the backward pass instead of keeping them.
        frozen_dtype: in which frozen networks (teacher, autoencoder, prior) are kept and
            compute. They hand float32 back; losses are always in float32. float16 is refused
            where gradients pass them.
        channels_last: memory layout of the convolutions' weights, which their outputs follow.
        compile: ``torch.compile`` the blocks of the trained and the teacher's UNet.
        cache: folder of latents and teacher predictions made by ``python -m training.cache``
            for this recipe of stage 1; empty computes them at every step. Features of the
            teacher are always computed.
    """

    gradient_checkpointing: bool = False
    frozen_dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    channels_last: bool = False
    compile: bool = False
    cache: str = ""


@dataclass(frozen=True)
class CommonConfig:
    """What every recipe has: a run, its data, its optimiser."""

    run: RunConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    speed: SpeedConfig = field(default_factory=SpeedConfig)


def parse_recipe(
    recipe: type[Recipe],
    description: str,
    arguments: Sequence[str] | None = None,
    resumable: bool = True,
) -> tuple[Recipe, bool]:
    """Read ``--config FILE.yaml`` and dotted overrides such as ``--run.steps 10``.

    Args:
        recipe: the dataclass to fill.
        description: first line of ``--help``.
        arguments: the command line; None takes the process'.
        resumable: whether the command has ``--resume``.

    Returns:
        The recipe, and whether ``--resume`` was given. Wrong or unknown keys end the process
        with status 2 and a message that names them.
    """
    parser = ArgumentParser(prog=_program(recipe), description=description)
    parser.add_argument("--config", action=ActionConfigFile, help="a recipe in YAML")
    if resumable:
        parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_class_arguments(recipe, None, fail_untyped=True)
    parsed = parser.instantiate(parser.parse_args(arguments))
    fields = {f.name: getattr(parsed, f.name) for f in dataclasses.fields(recipe)}
    return recipe(**fields), resumable and parsed.resume


def _program(recipe: type) -> str:
    return f"python -m {recipe.__module__}" if recipe.__module__ != "__main__" else sys.argv[0]


def to_plain(recipe: object) -> dict:
    """A recipe as nested dictionaries of plain values, as YAML and JSON have them."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return plain(dataclasses.asdict(recipe))
