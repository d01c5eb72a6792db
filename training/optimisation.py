"""AdamW over an objective's trained parameters: learning rates, precision, clipping, averages."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from depth_distill_ros.errors import ConfigError
from training.config import CommonConfig, OptimizerConfig, RunConfig
from training.objective import Objective
from training.processes import Processes
from training.sharding import whole

_PRECISIONS = {"no": None, "bf16": torch.bfloat16, "fp16": torch.float16}
_SMALLEST_SCALE = 2.0**-10


class Optimisation:
    """One optimiser step at a time; gradients of micro-batches add up in between.

    Attributes:
        parameters: trained parameters by name, sharded where the objective is.
        optimizer: AdamW.
        averages: exponential moving average of the parameters, by name; empty without one.
    """

    def __init__(self, objective: Objective, processes: Processes, recipe: CommonConfig):
        self._config, self._run = recipe.optimizer, recipe.run
        self._device_type = processes.device.type
        scaled = recipe.run.mixed_precision == "fp16"
        if scaled and processes.sharded:
            raise ConfigError("run.mixed_precision fp16 does not go with FSDP: take bf16")
        self.scaler = torch.amp.GradScaler(self._device_type, enabled=scaled)
        self.parameters = {n: p for n, p in objective.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(
            _parameter_groups(objective, self.parameters),
            betas=self._config.betas,
            weight_decay=self._config.weight_decay,
        )
        averaged = self.parameters if recipe.run.ema else {}
        self.averages: dict[str, Tensor] = {n: p.detach().clone() for n, p in averaged.items()}

    @property
    def rate(self) -> float:
        """The largest learning rate of the last step."""
        return max(group["lr"] for group in self.optimizer.param_groups)

    def autocast(self) -> AbstractContextManager:
        """The context of a forward pass."""
        return autocast_of(self._run, self._device_type)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss."""
        self.scaler.scale(loss).backward()

    def gradient_norm(self) -> Tensor:
        """The norm of all gradients, a scalar, the same on all processes; unscales them."""
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        return whole(get_total_norm(gradients))

    def is_broken(self, norm: float) -> bool:
        """Whether a gradient norm means that the step must not be taken.

        In fp16 overflows are a matter of course: the scaler skips those steps and lowers its
        scale, until that is absurdly small.
        """
        if self.scaler.is_enabled():
            return not np.isfinite(norm) and self.scaler.get_scale() < _SMALLEST_SCALE
        return not np.isfinite(norm)

    def step(self, step: int, norm: Tensor) -> None:
        """Apply the gradients, whose norm was measured, and clear them.

        Args:
            step: steps done before.
            norm: of ``gradient_norm``.
        """
        rate = self._config.learning_rate * schedule(self._config, step, self._run.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["rate_scale"]
        if self._config.clip:
            clip_grads_with_norm_(self.parameters.values(), self._config.clip, norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self._average(step)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        decay = min(self._run.ema, (1 + step) / (10 + step))  # short memory while little is learnt
        for name, value in self.averages.items():
            value.lerp_(self.parameters[name].detach(), 1 - decay)

    @torch.no_grad()
    def take_averages(self) -> None:
        """Put the averages, if there are any, in the parameters' place."""
        for name, value in self.averages.items():
            self.parameters[name].copy_(value)


def autocast_of(run: RunConfig, device_type: str) -> AbstractContextManager:
    """The context that a run's ``mixed_precision`` asks for."""
    dtype = _PRECISIONS[run.mixed_precision]
    return torch.autocast(device_type, dtype=dtype, enabled=dtype is not None)


def schedule(config: OptimizerConfig, step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: linear warm-up, then the decay asked for."""
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    if config.schedule == "cosine":
        return config.final_ratio + (1 - config.final_ratio) * (1 + np.cos(np.pi * done)) / 2
    if config.schedule == "exponential":
        return config.final_ratio**done
    return 1.0


def _parameter_groups(objective: Objective, parameters: dict[str, nn.Parameter]) -> list[dict]:
    scales: dict[float, list[nn.Parameter]] = {}
    for name, parameter in parameters.items():
        scales.setdefault(objective.rate_scale(name), []).append(parameter)
    return [{"params": group, "rate_scale": scale} for scale, group in scales.items()]
