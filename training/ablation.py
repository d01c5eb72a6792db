"""The ablations of D³epth's Tables 3 and 4: ``python -m training.ablation --config RECIPE``.

Trains every variant with every seed by the commands of stage 1 and stage 2, several at a time,
evaluates each model, and writes a table of means and spreads, and a plot. Every part goes on
where it was stopped. By default all variants get the same number of optimiser steps; two stages
share them, half each.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from depth_distill_ros.errors import ConfigError, DataError, UserError, refuse
from training.ablation_report import write_report
from training.config import parse_recipe

_NO_KD = ("--latent_kd_weight=0", "--feature_kd_weight=0")
_UNTRAINED = ("stage1", 0.0, _NO_KD)


@dataclass(frozen=True)
class Part:
    """One training of a variant: the stage, its share of the steps, what differs from the recipe."""

    stage: str
    share: float
    overrides: tuple[str, ...] = ()


VARIANTS: dict[str, tuple[Part, ...]] = {
    "baseline": (Part("stage1", 1.0, _NO_KD),),
    "shallow": (Part("stage1", 1.0, ("--pairs=shallow",)),),
    "intermediate": (Part("stage1", 1.0, ("--pairs=intermediate",)),),
    "full": (Part("stage1", 1.0, ("--pairs=full",)),),
    "ssi": (Part(*_UNTRAINED), Part("stage2", 1.0, ("--losses=ssi",))),
    "hybrid": (Part(*_UNTRAINED), Part("stage2", 1.0, ("--losses=hybrid",))),
    "two-stage": (
        Part("stage1", 0.5, ("--pairs=full",)),
        Part("stage2", 0.5, ("--losses=hybrid",)),
    ),
    "two-stage-long": (
        Part("stage1", 1.0, ("--pairs=full",)),
        Part("stage2", 1.0, ("--losses=hybrid",)),
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
    recipe, _ = parse_recipe(AblationRecipe, __doc__, arguments, resumable=False)
    try:
        run_ablation(recipe)
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def run_ablation(recipe: AblationRecipe) -> Path:
    """Train, evaluate and report; returns the Markdown file.

    Raises:
        ConfigError: unknown variants, or nothing to evaluate on.
        DataError: a training or an evaluation failed; the message names its log.
    """
    variants = _checked_variants(recipe)
    output = Path(recipe.output)
    # seed by seed, so that the rows of a run that was stopped early are comparable
    jobs = [(variant, seed) for seed in recipe.seeds for variant in variants]
    reports: dict[tuple[str, int], dict] = {}
    with ThreadPoolExecutor(recipe.processes) as pool, tqdm(total=len(jobs), unit="run") as bar:
        pending = {pool.submit(_run_job, recipe, *job): job for job in jobs}
        try:
            for done in as_completed(pending):
                reports[pending[done]] = done.result()
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return write_report(output, reports, variants, recipe.seeds, recipe.steps)


def _checked_variants(recipe: AblationRecipe) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(ALIASES.get(name, name) for name in recipe.variants))
    unknown = [name for name in names if name not in VARIANTS]
    if unknown or not names:
        known = ", ".join([*VARIANTS, *ALIASES])
        raise ConfigError(f"unknown variants {', '.join(unknown) or '(none)'}: choose from {known}")
    if not recipe.frames and not recipe.shards:
        raise ConfigError("give frames, shards, or both: what the variants are compared on")
    if recipe.steps < 2 or recipe.processes < 1 or not recipe.seeds:
        raise ConfigError("steps must be at least 2, processes and seeds at least 1")
    return names


def _run_job(recipe: AblationRecipe, variant: str, seed: int) -> dict:
    """Train all parts of a variant with one seed, then evaluate; finished parts are kept."""
    folder = Path(recipe.output) / f"{variant}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    model: Path | None = None
    for number, part in enumerate(VARIANTS[variant]):
        run = folder / f"{number}-{part.stage}"
        if not (run / "model" / "config.json").is_file():
            _call(recipe, _training_command(recipe, part, run, model, seed), run)
        model = run / "model"
    report = folder / "evaluation.json"
    if not report.is_file():
        command = [sys.executable, "-m", "depth_distill_ros.cli", "evaluate", "--model", str(model)]
        for name in ("frames", "shards"):
            if getattr(recipe, name):
                command += [f"--{name}", getattr(recipe, name)]
        _call(recipe, [*command, "--output", str(report)], folder / "evaluation")
    return json.loads(report.read_text(encoding="utf-8"))


def _training_command(
    recipe: AblationRecipe, part: Part, run: Path, model: Path | None, seed: int
) -> list[str]:
    launcher = shlex.split(recipe.launcher) or [sys.executable, "-m"]
    command = [*launcher, f"training.{part.stage}", "--config", getattr(recipe, part.stage)]
    command += [f"--run.output={run}", f"--run.seed={seed}"]
    command += [f"--run.steps={round(recipe.steps * part.share)}", "--resume"]
    command += [f"--model={model}"] if model is not None else []
    return [*command, *recipe.overrides, *part.overrides]


def _call(recipe: AblationRecipe, command: Sequence[str], log: Path) -> None:
    """Run a command to its end, its output in ``<log>.log``; DataError when it fails."""
    log = log.with_name(log.name + ".log")
    threads = max(1, (os.cpu_count() or 1) // recipe.processes)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    with open(log, "ab") as file:
        status = subprocess.run(command, stdout=file, stderr=file, env=environment).returncode
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DataError(f"{shlex.join(command)} ended with {status}, see {log}: {lines[-1:]}")


if __name__ == "__main__":
    sys.exit(main())
