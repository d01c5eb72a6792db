"""Trainings side by side: variants, each of one or more parts, with every seed, and what they score.

Each part is a training command with its recipe. Everything goes on where it was stopped: a part that
has a model and a run that has a report are kept.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from depth_distill_ros.errors import ConfigError, DataError, UserError, refuse
from training.config import parse_recipe

Recipe = TypeVar("Recipe")

Reports = dict[tuple[str, int], dict[str, dict]]
"""By variant and seed: what ``d3epth evaluate --output`` wrote, by the name of the evaluation."""


@dataclass(frozen=True)
class Part:
    """One training of a variant.

    Attributes:
        command: module below ``training``.
        recipe: its file.
        overrides: further arguments, in which ``{seed}`` stands for the run's, ``{first}`` and
            ``{output}`` for those of the trials.
    """

    command: str
    recipe: str
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trials:
    """What all runs have in common.

    Attributes:
        output: folder of all runs; one is in ``<variant>-seed<seed>``.
        evaluations: arguments of ``d3epth evaluate`` beside model and output, by a name.
        overrides: further arguments of every training.
        processes: trainings at a time; the cores are shared out among them.
        launcher: what starts a training module; empty for this Python.
        first: seed of what is trained once for all.
    """

    output: Path
    evaluations: Mapping[str, Sequence[str]]
    overrides: tuple[str, ...] = ()
    processes: int = 1
    launcher: str = ""
    first: int = 1


Variants = Mapping[str, Sequence[Part] | str]
"""Parts by the name of the variant; the later ones get the model of the one before as ``--model``. A
model's name instead of parts: it is evaluated as it is, once."""


def trials_command(
    recipe: type[Recipe],
    run: Callable[[Recipe], object],
    description: str,
    arguments: Sequence[str] | None,
) -> int:
    """The main of a command that trains and compares; returns the exit status.

    Args:
        recipe: the command's recipe class.
        run: what it does with one; it may raise UserError.
        description: for ``--help``.
        arguments: the command line; None takes the process'.
    """
    settings, _ = parse_recipe(recipe, description, arguments, resumable=False)
    try:
        run(settings)
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped; the same command goes on", file=sys.stderr)
        return 130
    return 0


def run_trials(
    trials: Trials,
    variants: Variants,
    seeds: Sequence[int],
    finished: Callable[[Reports], object] = lambda reports: None,
) -> Reports:
    """Train and evaluate all variants with all seeds.

    Args:
        trials: what they have in common.
        variants: which.
        seeds: of initialisation and data order.
        finished: called with the reports so far after each run.

    Raises:
        DataError: a training or an evaluation failed; the message names its log.
    """
    reports = finished_runs(trials, variants, seeds)
    jobs = [job for job in _jobs(variants, seeds) if job not in reports]
    with ThreadPoolExecutor(trials.processes) as pool, tqdm(total=len(jobs), unit="run") as bar:
        pending = {pool.submit(_run, trials, variants, *job): job for job in jobs}
        try:
            for done in as_completed(pending):
                reports[pending[done]] = done.result()
                finished(reports)
                bar.update()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return reports


def finished_runs(trials: Trials, variants: Variants, seeds: Sequence[int]) -> Reports:
    """Reports of the runs that have been trained and evaluated."""
    found = {}
    for job in _jobs(variants, seeds):
        files = {name: _report(trials, *job, name) for name in trials.evaluations}
        if all(file.is_file() for file in files.values()):
            found[job] = {name: _read(file) for name, file in files.items()}
    return found


def _jobs(variants: Variants, seeds: Sequence[int]) -> list[tuple[str, int]]:
    """Seed by seed, so that the rows of a run that was stopped early are comparable."""
    return [
        (name, seed)
        for seed in seeds
        for name, parts in variants.items()
        if seed == seeds[0] or not isinstance(parts, str)
    ]


def _report(trials: Trials, variant: str, seed: int, evaluation: str) -> Path:
    return trials.output / f"{variant}-seed{seed}" / f"{evaluation}.json"


def _read(report: Path) -> dict:
    return json.loads(report.read_text(encoding="utf-8"))


def _run(trials: Trials, variants: Variants, variant: str, seed: int) -> dict[str, dict]:
    """Train all parts of a variant with one seed, then evaluate; what is finished is kept."""
    folder = trials.output / f"{variant}-seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    parts = variants[variant]
    parts, model = ((), parts) if isinstance(parts, str) else (parts, None)
    for number, part in enumerate(parts):
        run = folder / f"{number}-{part.command}"
        if not (run / "model" / "config.json").is_file():
            _call(trials, _training(trials, part, run, model, seed), run)
        model = str(run / "model")
    found = {}
    for name, arguments in trials.evaluations.items():
        report = _report(trials, variant, seed, name)
        if not report.is_file():
            command = [sys.executable, "-m", "depth_distill_ros.cli", "evaluate", "--model", model]
            _call(trials, [*command, *arguments, "--output", str(report)], folder / name)
        found[name] = _read(report)
    return found


def choose(
    names: Sequence[str], known: Mapping[str, Any], aliases: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The variants of these names, each once.

    Raises:
        ConfigError: there is none, or an unknown one among them.
    """
    aliases = aliases or {}
    chosen = dict.fromkeys(aliases.get(name, name) for name in names)
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        words = ", ".join([*known, *aliases])
        raise ConfigError(f"unknown variants {', '.join(unknown) or '(none)'}: choose from {words}")
    return {name: known[name] for name in chosen}


def _training(trials: Trials, part: Part, run: Path, model: str | None, seed: int) -> list[str]:
    launcher = shlex.split(trials.launcher) or [sys.executable, "-m"]
    command = [*launcher, f"training.{part.command}", "--config", part.recipe]
    command += [f"--run.output={run}", f"--run.seed={seed}", "--resume"]
    command += [f"--model={model}"] if model is not None else []
    known = {"seed": seed, "first": trials.first, "output": trials.output}
    own = (text.format(**known) for text in part.overrides)
    return [*command, *trials.overrides, *own]


def _call(trials: Trials, command: Sequence[str], log: Path) -> None:
    """Run a command to its end, its output in ``<log>.log``; DataError when it fails."""
    log = log.with_name(log.name + ".log")
    threads = max(1, (os.cpu_count() or 1) // trials.processes)
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    with open(log, "ab") as file:
        status = subprocess.run(command, stdout=file, stderr=file, env=environment).returncode
    if status:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise DataError(f"{shlex.join(command)} ended with {status}, see {log}: {lines[-1:]}")
