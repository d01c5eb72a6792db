"""A training that tests start in processes of their own: a few convolutions on real shards."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from training.command import run_command
from training.config import CommonConfig
from training.losses.masking import masked_mean
from training.objective import Objective


@dataclass(frozen=True)
class SmallRecipe(CommonConfig):
    """Recipe of the small training.

    Attributes:
        ballast: further weights, which make checkpoints large.
        pause: seconds that a forward pass waits.
        nan_at: forward pass, from 1, whose loss is not a number.
        nan_gradient_at: forward pass, from 1, whose gradient is not.
    """

    ballast: int = 8
    pause: float = 0.0
    nan_at: int = 0
    nan_gradient_at: int = 0


class SmallObjective(Objective):
    """Disparity from brightness; masked, noisy, with an epoch's memory."""

    def __init__(self, recipe: SmallRecipe):
        super().__init__()
        torch.manual_seed(recipe.run.seed)
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.Conv2d(8, 1, 1)
        self.ballast = nn.Parameter(torch.randn(recipe.ballast))
        self.still = nn.BatchNorm2d(3)
        self.freeze(self.still)
        self._recipe, self._calls = recipe, 0
        self._epochs: list[float] = []

    def blocks(self):
        return [self.middle]

    def counts(self, batch):
        return {"pixels": batch["valid"].sum()}

    def forward(self, batch, generators, counts):
        self._calls += 1
        time.sleep(self._recipe.pause)
        shape = batch["rgb"].shape[1:]
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        features = self.middle(self.first(self.still(batch["rgb"] + 0.01 * noise)).relu()).relu()
        error = (self.last(features) - batch["disparity"]).square()
        loss = masked_mean(error, batch["valid"].float(), counts["pixels"])
        loss = loss + 0.01 * self.ballast.square().mean()
        if self._calls == self._recipe.nan_at:
            loss = loss * torch.nan
        if self._calls == self._recipe.nan_gradient_at:
            loss = loss + (0 * self.last.bias.sum()).sqrt()  # 0, with a slope of 0 · ∞
        return {"loss": loss}

    def end_epoch(self, means):
        self._epochs.append(means["loss"])

    def extra_state(self):
        return {"epochs": self._epochs}

    def load_extra_state(self, state):
        self._epochs = state["epochs"]

    def save_model(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.tolist() for k, v in self.state_dict().items() if k != "ballast"}
        (folder / "weights.json").write_text(json.dumps(weights))


def main(arguments=None) -> int:
    """As the commands of ``training``."""
    return run_command(SmallRecipe, SmallObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
