"""The shared main of every training command: recipe in, trained model out, errors in one line."""

from __future__ import annotations

import atexit
import errno
import sys
from collections.abc import Callable, Sequence
from typing import TypeVar

from accelerate import PartialState

from depth_distill_ros.errors import UserError, refuse
from training.config import CommonConfig, parse_recipe
from training.data.open import open_feeds
from training.interruption import Interrupted
from training.latent_cache import feeds_of
from training.objective import Objective
from training.precision import suited
from training.processes import process_state
from training.trainer import train

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
        The exit status: 0; 2 after a user's mistake, which is printed in one line; 130 or 143 when
        SIGINT or SIGTERM came.
    """
    settings, resume = parse_recipe(recipe, description, arguments)
    try:
        state = process_state()
        asked, settings = settings, suited(settings, state.device.type)
        if settings != asked and state.is_main_process:
            print(
                "this CPU has no arithmetic for bfloat16: training in float32, which is faster here"
            )
        with state.main_process_first():  # it may render
            feeds = open_feeds(settings.data)
        objective = build(settings)
        model = train(objective, feeds_of(objective, feeds, settings), settings, resume)
    except UserError as error:
        return refuse(error)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return refuse(UserError(f"the disk is full: {error}. Make room and go on with --resume"))
    except KeyboardInterrupt:
        print("stopped; --resume goes on from the last checkpoint", file=sys.stderr)
        return 130
    except Interrupted as stop:
        return _leave(state, str(stop), stop.status)
    return _leave(state, f"model: {model}", 0)


def _leave(state: PartialState, message: str, status: int) -> int:
    """End well on all processes at once: one message, and they part in good order."""
    if state.is_main_process:
        print(message)
    atexit.register(state.destroy_process_group)
    return status
