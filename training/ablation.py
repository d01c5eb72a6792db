"""The ablations of D³epth's Tables 3 and 4: ``python -m training.ablation --config RECIPE``.

Trains every variant with every seed by the commands of stage 1 and stage 2, several at a time,
evaluates each model, and writes a table of means and spreads, and a plot. Every part goes on
where it was stopped. By default all variants get the same number of optimiser steps; two stages
share them, half each.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import ConfigError
from training.ablation_report import write_report
from training.trials import Part, Trials, choose, run_trials, trials_command

_NO_KD = ("--latent_kd_weight=0", "--feature_kd_weight=0")
_UNTRAINED = ("stage1", 0.0, _NO_KD)


@dataclass(frozen=True)
class Stage:
    """One training of a variant: the stage, its share of the steps, what differs from the recipe."""

    stage: str
    share: float
    overrides: tuple[str, ...] = ()


VARIANTS: dict[str, tuple[Stage, ...]] = {
    "baseline": (Stage("stage1", 1.0, _NO_KD),),
    "shallow": (Stage("stage1", 1.0, ("--pairs=shallow",)),),
    "intermediate": (Stage("stage1", 1.0, ("--pairs=intermediate",)),),
    "full": (Stage("stage1", 1.0, ("--pairs=full",)),),
    "ssi": (Stage(*_UNTRAINED), Stage("stage2", 1.0, ("--losses=ssi",))),
    "hybrid": (Stage(*_UNTRAINED), Stage("stage2", 1.0, ("--losses=hybrid",))),
    "two-stage": (
        Stage("stage1", 0.5, ("--pairs=full",)),
        Stage("stage2", 0.5, ("--losses=hybrid",)),
    ),
    "two-stage-long": (
        Stage("stage1", 1.0, ("--pairs=full",)),
        Stage("stage2", 1.0, ("--losses=hybrid",)),
    ),
}
"""Rows of the two tables. A first stage of no steps saves the student as it was initialised.

The long one has twice the steps of the others: all of them in each stage, as the paper's model.
"""

EQUAL_BUDGET = tuple(name for name in VARIANTS if name != "two-stage-long")

ALIASES = {"kd": "full"}
"""Table 4 shows the same model as Table 3 under another name: its "Vanilla KD" is "Full KD"."""


@dataclass(frozen=True)
class AblationRecipe:
    """What to train, how often, and on what to compare.

    Attributes:
        output: folder of all runs, the table and the plot.
        stage1: recipe file of stage 1; it names student, teacher and data.
        stage2: recipe file of stage 2; its ``model`` is replaced.
        overrides: more arguments for every training, such as ``--data.size=[128,160]``.
        variants: rows to train, see ``VARIANTS``; "kd" is another name of "full".
        seeds: of initialisation and data order; the teacher is the same for all.
        steps: optimiser steps of every variant.
        processes: trainings at a time; the cores are shared out among them.
        launcher: what starts a training module, for example ``accelerate launch -m``; empty for
            this Python.
        frames: sequences to evaluate on, as ``d3epth evaluate --frames``.
        shards: rendered shards to evaluate on, which no training has seen.
    """

    output: str
    stage1: str
    stage2: str
    overrides: tuple[str, ...] = ()
    variants: tuple[str, ...] = EQUAL_BUDGET
    seeds: tuple[int, ...] = (1, 2, 3)
    steps: int = 4000
    processes: int = 1
    launcher: str = ""
    frames: str = ""
    shards: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.ablation``."""
    return trials_command(AblationRecipe, run_ablation, __doc__, arguments)


def run_ablation(recipe: AblationRecipe) -> Path:
    """Train, evaluate and report; returns the Markdown file.

    Raises:
        ConfigError: unknown variants, or nothing to evaluate on.
        DataError: a training or an evaluation failed; the message names its log.
    """
    variants = _checked_variants(recipe)
    places = {"frames": recipe.frames, "shards": recipe.shards}
    given = [f"--{name}={place}" for name, place in places.items() if place]
    trials = Trials(
        output=Path(recipe.output),
        evaluations={"evaluation": given},
        processes=recipe.processes,
        launcher=recipe.launcher,
    )
    parts = {name: [_trained(recipe, part) for part in VARIANTS[name]] for name in variants}
    reports = run_trials(trials, parts, recipe.seeds)
    found = {job: report["evaluation"] for job, report in reports.items()}
    return write_report(Path(recipe.output), found, variants, recipe.seeds, recipe.steps)


def _checked_variants(recipe: AblationRecipe) -> tuple[str, ...]:
    names = tuple(choose(recipe.variants, VARIANTS, ALIASES))
    if not recipe.frames and not recipe.shards:
        raise ConfigError("give frames, shards, or both: what the variants are compared on")
    if recipe.steps < 2 or recipe.processes < 1 or not recipe.seeds:
        raise ConfigError("steps must be at least 2, processes and seeds at least 1")
    return names


def _trained(recipe: AblationRecipe, part: Stage) -> Part:
    steps = f"--run.steps={round(recipe.steps * part.share)}"
    overrides = (steps, *recipe.overrides, *part.overrides)
    return Part(part.stage, getattr(recipe, part.stage), overrides)


if __name__ == "__main__":
    sys.exit(main())
