"""Checkpoints of a training run: safetensors and JSON, whole or absent, never half written."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from depth_distill_ros.errors import DataError

_KEEP = 2


@dataclass
class Checkpoint:
    """All that a run needs to go on as if it had never stopped.

    Attributes:
        step: optimiser steps done.
        weights: trained parameters and buffers by name.
        optimizer: optimiser state by parameter name, ``<name>/<quantity>``.
        averages: the exponential moving average of the weights, empty when there is none.
        state: plain values: loss-weight history, running epoch means, the recipe.
    """

    step: int
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    averages: dict[str, torch.Tensor] = field(default_factory=dict)
    state: dict = field(default_factory=dict)


def save_checkpoint(run_folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoints/step-XXXXXXXX`` and remove all but the newest two."""
    parent = run_folder / "checkpoints"
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / f"step-{checkpoint.step:08d}"
    scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
    try:
        for name in ("weights", "optimizer", "averages"):
            tensors = {
                k: v.detach().cpu().contiguous() for k, v in getattr(checkpoint, name).items()
            }
            save_file(tensors, scratch / f"{name}.safetensors")
        state = {"step": checkpoint.step, **checkpoint.state}
        (scratch / "state.json").write_text(json.dumps(state, indent=2))
        if target.exists():
            shutil.rmtree(target)
        os.replace(scratch, target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    for old in list_checkpoints(run_folder)[:-_KEEP]:
        shutil.rmtree(old)
    return target


def list_checkpoints(run_folder: Path) -> list[Path]:
    """Finished checkpoints of a run, oldest first."""
    return sorted((run_folder / "checkpoints").glob("step-*"))


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        DataError: a file is missing or damaged.
    """
    try:
        state = json.loads((folder / "state.json").read_text())
        tensors = {
            name: load_file(folder / f"{name}.safetensors")
            for name in ("weights", "optimizer", "averages")
        }
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(
            f"the checkpoint {folder} cannot be read ({error}): delete it to go on from the one "
            "before"
        ) from error
    return Checkpoint(step=state.pop("step"), state=state, **tensors)


def optimizer_tensors(
    optimizer: torch.optim.Optimizer, names: dict[int, str]
) -> dict[str, torch.Tensor]:
    """The optimiser's state as named tensors; ``names`` maps ``id(parameter)`` to its name."""
    tensors = {}
    for parameter, quantities in optimizer.state.items():
        for quantity, value in quantities.items():
            tensors[f"{names[id(parameter)]}/{quantity}"] = torch.as_tensor(value)
    return tensors


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    parameters: dict[str, torch.nn.Parameter],
    tensors: dict[str, torch.Tensor],
) -> None:
    """Put tensors of ``optimizer_tensors`` back, on the parameters' devices."""
    for key, value in tensors.items():
        name, quantity = key.rsplit("/", 1)
        parameter = parameters[name]
        # AdamW keeps its step count on the CPU whatever the device
        device = "cpu" if quantity == "step" else parameter.device
        optimizer.state[parameter][quantity] = value.to(device)
