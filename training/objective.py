"""What a training method brings to the loop: its networks and the wiring of its losses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.feature_taps import named_blocks
from training.data.batches import Feed
from training.data.views import Batch

Losses = dict[str, torch.Tensor]
Counts = dict[str, torch.Tensor]


class Objective(nn.Module):
    """Networks and losses of a method.

    Parameters that require a gradient are trained, and every one of them must take part in every
    forward pass; frozen modules stay as they are, in evaluation mode.
    """

    def __init__(self):
        super().__init__()
        self._frozen: list[nn.Module] = []

    def freeze(self, *modules: nn.Module) -> None:
        """Keep modules out of training: no gradients for their weights, evaluation mode always."""
        for module in modules:
            self._frozen.append(module.requires_grad_(False).eval())

    @property
    def frozen(self) -> tuple[nn.Module, ...]:
        """What ``freeze`` was given."""
        return tuple(self._frozen)

    def train(self, mode: bool = True) -> Objective:
        """Training mode for all but the frozen modules."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def trained_buffers(self) -> dict[str, torch.Tensor]:
        """Buffers by name, but for those of frozen modules."""
        frozen = {id(b) for module in self._frozen for b in module.buffers()}
        return {n: b for n, b in self.named_buffers() if id(b) not in frozen}

    def rate_scale(self, parameter_name: str) -> float:
        """Share of the recipe's learning rate that a parameter trains with."""
        return 1.0

    def blocks(self) -> list[nn.Module]:
        """The parts of the trained network that FSDP gathers one at a time."""
        return []

    def feeds(self, feeds: Sequence[Feed]) -> Sequence[Feed]:
        """What the method takes its samples from, given the data sets of its recipe.

        Raises:
            DataError: what it needs beside them is missing.
        """
        return feeds

    def counts(self, batch: Batch) -> Counts:
        """Denominators of the losses that average over valid elements only.

        Args:
            batch: a micro-batch, on any device.

        Returns:
            Tensors by name, of one shape for all micro-batches. ``forward`` is given their mean
            over all micro-batches of the step and all processes.
        """
        return {}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """Scalar losses of a micro-batch by name; the entry "loss" is differentiated.

        The mean of each loss over the step's micro-batches must be the loss of the whole batch.

        Args:
            batch: see :data:`training.data.batches.Batch`.
            generators: one an image, on the CPU: what is random about a sample is drawn from its
                own, so that it does not depend on what it shares a micro-batch with.
            counts: mean over the step's micro-batches of what ``counts`` gives.
        """
        raise NotImplementedError

    def cache_settings(self) -> dict[str, Any] | None:
        """What a cache must have been made with to train from it; None: nothing can be cached."""
        return None

    def end_step(self, means: dict[str, float]) -> None:
        """Called after each optimiser step with the mean of every loss over the whole batch."""

    def end_epoch(self, means: dict[str, float]) -> None:
        """Called with the mean of every loss over the epoch that ended, alike on all processes."""

    def extra_state(self) -> dict:
        """Plain values that a checkpoint must carry beside the weights."""
        return {}

    def load_extra_state(self, state: dict) -> None:
        """Take back what ``extra_state`` gave."""

    def save_model(self, folder: Path) -> None:
        """Write the trained model for inference."""
        raise NotImplementedError


class ModelObjective(Objective):
    """A method that trains a depth model: ``self.model``, which says what it predicts and how."""

    model: DepthModel

    def blocks(self) -> list[nn.Module]:
        """The UNet's blocks."""
        return list(named_blocks(self.model.unet).values())

    def save_model(self, folder: Path) -> None:
        """Save the whole model."""
        self.model.save_pretrained(folder)
