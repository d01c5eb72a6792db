"""Speed and memory of a recipe on this machine: ``python -m training.profile --recipe FILE``.

Runs the recipe's own training loop for a few steps, saving nothing, and prints images a second,
where the time goes, what takes the memory, and whether that fits a GPU of 24 GiB. On a CPU the
memory is that of the process, which stands in for a GPU's.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml

from depth_distill_ros.errors import ConfigError, UserError, refuse
from training.config import CommonConfig, parse_recipe
from training.data.open import open_feeds
from training.latent_cache import feeds_of
from training.memory import BUDGET, GIB, MemoryUse, measure, peak_resident, reset_peak, resident
from training.precision import suited
from training.processes import Processes, process_state
from training.timing import PHASES, recording
from training.trainer import trial_steps

COMMANDS = {
    "stage1": "Stage1",
    "stage2": "Stage2",
    "teacher": "Teacher",
    "prior": "Prior",
    "autoencoder": "Autoencoder",
    "stem": "Stem",
    "stream": "Stream",
    "fiffdepth": "FiffDepth",
    "apdepth": "ApDepth",
    "video_teacher": "VideoTeacher",
    "video_stage1": "VideoStage1",
    "video_stage2": "VideoStage2",
}
"""Training commands, and what the names of their recipe and objective begin with."""


@dataclass(frozen=True)
class Profile:
    """What was measured.

    Attributes:
        images: of one optimiser step, over all processes.
        seconds: of one optimiser step.
        phases: seconds of one optimiser step by what they went to, on the first process.
        memory: of each process.
        device: what it ran on.
    """

    images: int
    seconds: float
    phases: dict[str, float]
    memory: list[MemoryUse]
    device: str

    def table(self) -> str:
        """The measurements as text."""
        lines = [f"{'phase':<12} {'s/step':>9} {'share':>7}"]
        rest = max(0.0, self.seconds - sum(self.phases.values()))
        for name, seconds in {**self.phases, "other": rest}.items():
            lines.append(f"{name:<12} {seconds:9.3f} {seconds / self.seconds:7.1%}")
        rate = self.images / self.seconds
        lines += [
            f"{'total':<12} {self.seconds:9.3f}  {rate:.3g} images/s ({self.images} a step)",
            "",
            f"{'memory':<24} {'GiB':>7}",
        ]
        most = max(self.memory, key=lambda use: use.peak)
        for field in ("trained", "frozen", "gradients", "optimizer", "activations"):
            lines.append(f"{_MEMORY_NAMES[field]:<24} {getattr(most, field) / GIB:7.2f}")
        lines.append(f"{'peak':<24} {most.peak / GIB:7.2f}")
        if len(self.memory) > 1:
            peaks = ", ".join(f"{use.peak / GIB:.2f}" for use in self.memory)
            lines.append(f"peak of each process: {peaks}")
        if most.baseline:
            whole, building = (most.peak + most.baseline) / GIB, most.building / GIB
            lines.append(
                f"resident, Python and libraries included: {whole:.2f} GiB, while the networks "
                f"were built {building:.2f} GiB"
            )
        return "\n".join([*lines, "", self._verdict(most)])

    def _verdict(self, use: MemoryUse) -> str:
        answer = "fits" if use.fits else "does not fit"
        needed = f"{use.total / GIB:.2f} of {BUDGET / GIB:.0f} GiB with the CUDA context"
        proxy = "" if self.device == "cuda" else ", going by the memory of this CPU process"
        return f"{answer} a 24 GB GPU: {needed}{proxy}"


_MEMORY_NAMES = {
    "trained": "trained weights, average",
    "frozen": "frozen weights",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "activations": "activations, workspace",
}


def profile(command: str, recipe: CommonConfig, steps: int = 5, warmup: int = 2) -> Profile:
    """Measure a recipe.

    Args:
        command: whose recipe it is, one of ``COMMANDS``.
        recipe: it trains with its own batch, data and settings.
        steps: optimiser steps to average over.
        warmup: steps before them, which count for memory only.

    Raises:
        UserError: whatever the command itself would refuse.
    """
    baseline = resident()
    processes = Processes()
    with process_state().main_process_first():  # it may render
        feeds = open_feeds(recipe.data)
    objective = objective_class(command)(recipe)
    feeds = feeds_of(objective, feeds, recipe)
    with tempfile.TemporaryDirectory(prefix="profile-") as scratch, recording() as recorder:
        run = dataclasses.replace(recipe.run, output=scratch, steps=warmup + steps)
        building = peak_resident()
        reset_peak(processes.device)
        loop = trial_steps(objective, feeds, dataclasses.replace(recipe, run=run))
        for done, optimisation in enumerate(loop):  # noqa: B007
            if done == warmup:
                start, phases = time.perf_counter(), dict(recorder.seconds)
        seconds = (time.perf_counter() - start) / steps
        memory = measure(objective, optimisation, processes.device, baseline, building)
    spent = {
        name: (recorder.seconds.get(name, 0.0) - phases.get(name, 0.0)) / steps for name in PHASES
    }
    return Profile(
        recipe.run.batch_size, seconds, spent, processes.gather(memory), processes.device.type
    )


def objective_class(command: str) -> type:
    """The objective of a training command."""
    return getattr(importlib.import_module(f"training.{command}"), f"{COMMANDS[command]}Objective")


def recipe_class(command: str) -> type[CommonConfig]:
    """The recipe of a training command."""
    return getattr(importlib.import_module(f"training.{command}"), f"{COMMANDS[command]}Recipe")


def find_command(path: Path) -> str:
    """The training command whose recipe a file is: its name ends in it, or the keys are its own.

    Raises:
        ConfigError: the file cannot be read, or is no command's recipe.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"the recipe {path} cannot be read: {error}") from error
    keys = set(content) if isinstance(content, dict) else set()
    named = [name for name in COMMANDS if path.stem == name or path.stem.endswith(f"_{name}")]
    for command in sorted(named, key=len, reverse=True) or COMMANDS:
        if keys and keys <= {field.name for field in dataclasses.fields(recipe_class(command))}:
            return command
    raise ConfigError(f"{path} is the recipe of none of {', '.join(COMMANDS)}: give --command")


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.profile``."""
    parser = argparse.ArgumentParser(
        prog="python -m training.profile",
        description=__doc__.split("\n\n")[1],
        epilog="Further arguments override the recipe, such as --run.micro_batch 2.",
        allow_abbrev=False,
    )
    parser.add_argument("--recipe", type=Path, required=True, metavar="FILE")
    parser.add_argument("--command", choices=COMMANDS, help="whose recipe it is [by its keys]")
    parser.add_argument("--steps", type=int, default=5, help="optimiser steps to measure [5]")
    parser.add_argument("--warmup", type=int, default=2, help="steps before that [2]")
    options, overrides = parser.parse_known_args(arguments)
    try:
        if options.steps < 1 or options.warmup < 0 or options.steps + options.warmup < 2:
            raise ConfigError(
                "--steps must be at least 1, --warmup not negative, and both together 2: memory is "
                "highest from the second step on, when the optimiser has its state"
            )
        command = options.command or find_command(options.recipe)
        recipe, _ = parse_recipe(
            recipe_class(command), __doc__, ["--config", str(options.recipe), *overrides]
        )
        recipe = suited(recipe, process_state().device.type)
        result = profile(command, recipe, options.steps, options.warmup)
    except UserError as error:
        return refuse(error)
    if Processes().is_main:
        size = "×".join(map(str, recipe.data.size))
        device = torch.cuda.get_device_name() if result.device == "cuda" else "CPU"
        print(f"{command}, {size}, micro-batch {recipe.run.micro_batch or 'whole'}, {device}\n")
        print(result.table())
    return 0


if __name__ == "__main__":
    sys.exit(main())
