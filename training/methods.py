"""What each method adds to D³epth at tiny size: ``python -m training.methods --config RECIPE``.

FiffDepth, ApDepth and one-step video depth with their ablations, from the same model, on the same
images, with every seed, beside controls of as many steps: stage 2, depth latents by their absolute
error alone, ApDepth without a prior. ApDepth's stage 2 comes on top of its stage 1. Writes ``methods.md``,
``methods.json`` and ``methods.png`` after each run that is finished; the same command goes on where
it was stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from depth_distill_ros.errors import ConfigError
from training.methods_report import write_methods
from training.trials import (
    Part,
    Reports,
    Trials,
    Variants,
    choose,
    finished_runs,
    run_trials,
    trials_command,
)

_FOLDER = "config/training"
_TEACHER = "--teacher={output}/video-teacher-seed{first}/0-video_teacher/model"


def _fiffdepth(*overrides: str) -> tuple[Part, ...]:
    return (Part("fiffdepth", f"{_FOLDER}/tiny_fiffdepth.yaml", overrides),)


def _apdepth(recipe: str, *overrides: str) -> tuple[Part, ...]:
    return (Part("apdepth", f"{_FOLDER}/{recipe}.yaml", overrides),)


def _video(*overrides: str) -> tuple[Part, ...]:
    return (Part("video_stage1", f"{_FOLDER}/tiny_video.yaml", (_TEACHER, *overrides)),)


IMAGES: dict[str, tuple[Part, ...] | str] = {
    "d3epth-tiny": "d3epth-tiny",
    "stage2-more": (Part("stage2", f"{_FOLDER}/tiny_methods_stage2.yaml"),),
    "latents": _fiffdepth("--pseudo_labels=off", "--gradient_weight=0", "--trajectory_weight=0"),
    "fiffdepth": _fiffdepth(),
    "fiffdepth-direct": _fiffdepth("--pseudo_labels=direct"),
    "fiffdepth-no-photos": _fiffdepth("--pseudo_labels=off"),
    "fiffdepth-no-gradient": _fiffdepth("--gradient_weight=0"),
    "fiffdepth-no-trajectory": _fiffdepth("--trajectory_weight=0"),
    "apdepth-stage1": _apdepth("tiny_apdepth"),
    "apdepth-no-prior": _apdepth("tiny_apdepth", "--prior="),
}
"""Rows of the first table, from d3epth-tiny; a name is a model as it is."""

IMAGES_NEXT = {
    "apdepth": _apdepth(
        "tiny_apdepth_stage2", "--model={output}/apdepth-stage1-seed{seed}/0-apdepth/model"
    ),
}
"""Rows that go on from those."""

TEACHER = {"video-teacher": (Part("video_teacher", f"{_FOLDER}/tiny_video_teacher.yaml"),)}
"""One for all seeds of the students; its row is what it gives in one step."""

VIDEOS: dict[str, tuple[Part, ...] | str] = {
    "d3epth-tiny": "d3epth-tiny",
    "d3epth-tiny-stream": "d3epth-tiny-stream",
    "video": _video(),
    "video-stochastic": _video("--start=noise"),
    "video-no-gradient": _video("--gradient_share=0"),
    "video-all-layers": _video("--train_temporal=true"),
}
"""Rows of the second table."""

VIDEOS_NEXT = {
    "video-head": (
        Part(
            "video_stage2",
            f"{_FOLDER}/tiny_video_stage2.yaml",
            ("--model={output}/video-seed{seed}/0-video_stage1/model",),
        ),
    ),
}

KNOWN: Variants = {**IMAGES, **IMAGES_NEXT, **TEACHER, **VIDEOS, **VIDEOS_NEXT}


@dataclass(frozen=True)
class MethodsRecipe:
    """What to train, how often, and on what to compare.

    Attributes:
        output: folder of all runs and the tables.
        variants: rows, see ``KNOWN``; a row that another one goes on from must have been trained
            or be among them.
        seeds: of initialisation and data order.
        overrides: more arguments for every training, such as ``--run.steps=2``.
        processes: trainings at a time; the cores are shared out among them.
        launcher: what starts a training module; empty for this Python.
        frames: sequences to evaluate images on.
        shards: rendered shards, which no training has seen.
        clips: rendered clips, which no training has seen.
        sequence: with poses, to evaluate videos on; empty for none.
    """

    output: str
    variants: tuple[str, ...] = tuple(KNOWN)
    seeds: tuple[int, ...] = (1, 2, 3)
    overrides: tuple[str, ...] = ()
    processes: int = 1
    launcher: str = ""
    frames: str = ""
    shards: str = ""
    clips: str = ""
    sequence: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.methods``."""
    return trials_command(MethodsRecipe, compare, __doc__, arguments)


def compare(recipe: MethodsRecipe) -> Path:
    """Train, evaluate and report; returns the Markdown file.

    Raises:
        ConfigError: unknown variants, or nothing to evaluate on.
        DataError: a training or an evaluation failed; the message names its log.
    """
    page, groups = Path(recipe.output) / "methods.md", _groups(recipe)
    if not groups:
        raise ConfigError("give frames, shards, clips or sequence: what the rows are compared on")
    done: dict[str, Reports] = {"images": {}, "videos": {}}

    def finished(group: str, reports: Reports) -> None:
        done[group] |= reports
        if done[group]:
            write_methods(page, done["images"], done["videos"], list(KNOWN))

    for group, trials, rows, seeds in groups:  # the page shows what is there before all is
        finished(group, finished_runs(trials, rows, seeds))
    for group, trials, rows, seeds in groups:
        run_trials(trials, rows, seeds, partial(finished, group))
    return page


def _groups(recipe: MethodsRecipe) -> list[tuple[str, Trials, Variants, tuple[int, ...]]]:
    """Table, runs, rows and seeds, in the order in which rows go on from others."""
    chosen = choose(recipe.variants, KNOWN)
    trials = {group: _trials(recipe, group) for group in ("images", "videos")}
    found = [
        (group, trials[group], {name: rows[name] for name in rows if name in chosen}, seeds)
        for group, rows, seeds in (
            ("images", IMAGES, recipe.seeds),
            ("images", IMAGES_NEXT, recipe.seeds),
            ("videos", TEACHER, recipe.seeds[:1]),
            ("videos", VIDEOS, recipe.seeds),
            ("videos", VIDEOS_NEXT, recipe.seeds),
        )
    ]
    return [each for each in found if each[1].evaluations and each[2]]


def _trials(recipe: MethodsRecipe, group: str) -> Trials:
    stills = {"--frames": recipe.frames, "--shards": recipe.shards}
    given = [f"{name}={place}" for name, place in stills.items() if place]
    evaluations = {"evaluation": given} if given else {}
    if group == "videos":
        places = {"clips": recipe.clips, "frames": recipe.sequence}
        evaluations = {
            name: [f"--{name}={place}", "--metrics=depth,tae,boundary"]
            for name, place in places.items()
            if place
        }
    return Trials(
        output=Path(recipe.output),
        evaluations=evaluations,
        overrides=recipe.overrides,
        processes=recipe.processes,
        launcher=recipe.launcher,
        first=recipe.seeds[0],
    )


if __name__ == "__main__":
    sys.exit(main())
