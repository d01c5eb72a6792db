"""Typed recipes: frozen dataclasses, filled from YAML with dotted overrides, unknown keys refused."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from jsonargparse import ActionConfigFile, ArgumentParser

Recipe = TypeVar("Recipe")


@dataclass(frozen=True)
class DataConfig:
    """Rendered shards to learn from.

    Attributes:
        folder: shards as written by ``python -m training.scenes``.
        render: images to render into ``folder`` when it holds none; 0 never renders.
        render_seed: seed of those scenes.
        tier: asset tier of those scenes.
        kinds: scene kinds of those scenes.
        size: (height, width) of the training images.
        crop_min: smallest share of each side that the random zoom crop keeps; 1 turns it off.
        flip: mirror half of the images (the only augmentation of Lotus).
    """

    folder: str = "runs/scenes"
    render: int = 0
    render_seed: int = 0
    tier: Literal["procedural", "full"] = "procedural"
    kinds: tuple[str, ...] = ("indoor", "outdoor", "tabletop")
    size: tuple[int, int] = (192, 256)
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
        batch_size: images a step and process, before accumulation.
        accumulation: micro-batches a step.
        seed: of every random draw; each is a function of the seed and the step alone, so a
            resumed run continues as if it had never stopped.
        mixed_precision: "no", "bf16" or "fp16".
        save_every: steps between checkpoints (the last step is always saved).
        log_every: steps between TensorBoard entries.
        workers: loader processes; 0 loads in the training process.
        ema: decay of the running average of the weights that is saved as the model; 0 for none.
    """

    output: str
    steps: int = 4000
    batch_size: int = 8
    accumulation: int = 1
    seed: int = 42
    mixed_precision: Literal["no", "bf16", "fp16"] = "no"
    save_every: int = 500
    log_every: int = 10
    workers: int = 0
    ema: float = 0.0


@dataclass(frozen=True)
class CommonConfig:
    """What every recipe has: a run, its data, its optimiser."""

    run: RunConfig
    data: DataConfig = field(default_factory=DataConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)


def parse_recipe(
    recipe: type[Recipe], description: str, arguments: Sequence[str] | None = None
) -> tuple[Recipe, bool]:
    """Read ``--config FILE.yaml`` and dotted overrides such as ``--run.steps 10``.

    Args:
        recipe: the dataclass to fill.
        description: first line of ``--help``.
        arguments: the command line; None takes the process'.

    Returns:
        The recipe, and whether ``--resume`` was given. Wrong or unknown keys end the process
        with status 2 and a message that names them.
    """
    parser = ArgumentParser(prog=_program(recipe), description=description)
    parser.add_argument("--config", action=ActionConfigFile, help="a recipe in YAML")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_class_arguments(recipe, None, fail_untyped=True)
    parsed = parser.instantiate(parser.parse_args(arguments))
    fields = {f.name: getattr(parsed, f.name) for f in dataclasses.fields(recipe)}
    return recipe(**fields), parsed.resume


def _program(recipe: type) -> str:
    return f"python -m {recipe.__module__}" if recipe.__module__ != "__main__" else sys.argv[0]


def to_plain(recipe: object) -> dict:
    """A recipe as nested dictionaries of plain values, as YAML and JSON have them."""

    def plain(value: object) -> object:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items()}
        return [plain(item) for item in value] if isinstance(value, list | tuple) else value

    return plain(dataclasses.asdict(recipe))
