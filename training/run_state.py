"""Where a run stands: its step, epoch means, weights and optimiser, to and from a checkpoint."""

from __future__ import annotations

from torch import Tensor

from depth_distill_ros.errors import DataError
from training.checkpoint import Checkpoint
from training.config import CommonConfig, to_plain
from training.objective import Objective
from training.optimisation import Optimisation
from training.resume import check_recipe
from training.sharding import fill, part_of, whole


class RunState:
    """The state of a run; checkpoints hold whole tensors, however they are sharded here.

    Attributes:
        step: optimiser steps done.
    """

    def __init__(self, objective: Objective, optimisation: Optimisation, recipe: CommonConfig):
        self.step = 0
        self._objective, self._optimisation, self._recipe = objective, optimisation, recipe
        self._epoch_sums: dict[str, float] = {}
        self._epoch_count = 0

    @property
    def size(self) -> int:
        """Bytes of a checkpoint, about: weights, two moments of AdamW, the average."""
        copies = 3 + bool(self._recipe.run.ema)
        return copies * sum(p.numel() * p.element_size() for p in self._weights().values())

    def end_step(self, means: dict[str, float], epoch_steps: int) -> None:
        """Count a step and its losses, and close the epoch when it has that many steps."""
        self.step += 1
        self._objective.end_step(means)
        for name, value in means.items():
            self._epoch_sums[name] = self._epoch_sums.get(name, 0.0) + value
        self._epoch_count += 1
        if self._epoch_count == epoch_steps:
            count = self._epoch_count
            self._objective.end_epoch({k: v / count for k, v in self._epoch_sums.items()})
            self._epoch_sums, self._epoch_count = {}, 0

    def checkpoint(self, keep: bool) -> Checkpoint:
        """A checkpoint of now; to be called on all processes at once.

        Args:
            keep: whether this process will write it; on the others its tensors are missing.
        """
        names = {id(p): n for n, p in self._optimisation.parameters.items()}
        moments = {
            f"{names[id(parameter)]}/{quantity}": value
            for parameter, quantities in self._optimisation.optimizer.state.items()
            for quantity, value in quantities.items()
        }
        return Checkpoint(
            step=self.step,
            weights=_gather(self._weights(), keep),
            optimizer=_gather(moments, keep),
            averages=_gather(self._optimisation.averages, keep),
            state={
                "recipe": to_plain(self._recipe),
                "objective": self._objective.extra_state(),
                "epoch_sums": self._epoch_sums,
                "epoch_count": self._epoch_count,
                "scaler": self._optimisation.scaler.state_dict(),
            },
        )

    def restore(self, saved: Checkpoint) -> list[str]:
        """Take the state of a checkpoint; returns what the recipe has changed since.

        Raises:
            ConfigError: the recipe was another one.
            DataError: the checkpoint holds other weights than the objective trains.
        """
        run = self._recipe.run
        changes = check_recipe(saved.state["recipe"], to_plain(self._recipe), run.output)
        optimisation = self._optimisation
        _fill(self._weights(), saved.weights, "weights")
        _fill(optimisation.averages, saved.averages, "averages")
        for key, value in saved.optimizer.items():
            name, quantity = key.rsplit("/", 1)
            parameter = optimisation.parameters[name]
            # AdamW keeps its step count on the CPU whatever the device
            restored = value if quantity == "step" else part_of(value, parameter)
            optimisation.optimizer.state[parameter][quantity] = restored
        if optimisation.scaler.is_enabled() and saved.state.get("scaler"):
            optimisation.scaler.load_state_dict(saved.state["scaler"])
        self._objective.load_extra_state(saved.state["objective"])
        self._epoch_sums = saved.state["epoch_sums"]
        self._epoch_count = saved.state["epoch_count"]
        self.step = saved.step
        return changes

    def _weights(self) -> dict[str, Tensor]:
        """What is learnt: parameters, and the running statistics of normalisation layers."""
        return {**self._optimisation.parameters, **self._objective.trained_buffers()}


def _gather(tensors: dict[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors in main memory, one at a time, so that no device has to hold them all."""
    gathered = {}
    for name, tensor in tensors.items():
        full = whole(tensor)
        if keep:
            gathered[name] = full.cpu()
    return gathered


def _fill(targets: dict[str, Tensor], values: dict[str, Tensor], what: str) -> None:
    missing = targets.keys() - values.keys()
    wrong = [k for k in targets.keys() & values.keys() if targets[k].shape != values[k].shape]
    if missing or wrong:
        named = ", ".join(sorted([*missing, *wrong])[:5])
        raise DataError(f"the {what} of the checkpoint are of another network: {named}")
    for name, target in targets.items():
        fill(target, values[name])
