"""The shared main of every training command: recipe in, trained model out, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from depth_distill_ros.errors import UserError, refuse
from training.config import CommonConfig, DataConfig, parse_recipe
from training.data.shards import Shards
from training.trainer import Objective, train

Recipe = TypeVar("Recipe", bound=CommonConfig)


def run_command(
    recipe: type[Recipe],
    build: Callable[[Recipe], Objective],
    description: str,
    arguments: Sequence[str] | None = None,
) -> int:
    """Parse the command line, build the objective, train.

    Args:
        recipe: the command's recipe class.
        build: makes the objective of a recipe; it may raise UserError before the first step.
        description: first line of ``--help``.
        arguments: the command line; None takes the process'.

    Returns:
        The exit status: 0, or 2 after a user's mistake, which is printed in one line.
    """
    settings, resume = parse_recipe(recipe, description, arguments)
    try:
        source = open_source(settings.data)
        model = train(build(settings), source, settings, resume)
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    print(f"model: {model}")
    return 0


def open_source(data: DataConfig) -> Shards:
    """The shards of a recipe; they are rendered first where the recipe asks for it."""
    if data.render and not any(Path(data.folder).glob("shard-*-rgb.npy")):
        from training.scenes.dataset import render_dataset

        render_dataset(
            output=Path(data.folder),
            count=data.render,
            size=(data.size[1], data.size[0]),
            seed=data.render_seed,
            tier=data.tier,
            workers=1,
            kinds=data.kinds,
        )
    return Shards(data.folder)
