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

from depth_distill_ros.errors import DataError, UserError

KEEP = 2
_PARTS = ("weights", "optimizer", "averages")
_UNFINISHED = (".writing-", ".removing-")
_MARGIN = 2**20  # for the JSON file and the folders


class CheckpointError(UserError):
    """A checkpoint that cannot be written: the disk is full, or a file may not be that large."""


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

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        parts = (getattr(self, name) for name in _PARTS)
        return sum(tensor.nbytes for part in parts for tensor in part.values())


def save_checkpoint(run_folder: Path, checkpoint: Checkpoint) -> Path:
    """Write ``checkpoints/step-XXXXXXXX`` and remove all but the newest two.

    The folder gets its name only once all of it is on the disk; those before are touched only
    then. A checkpoint of the same step is left as it is.

    Raises:
        CheckpointError: it does not fit on the disk.
    """
    parent = run_folder / "checkpoints"
    parent.mkdir(parents=True, exist_ok=True)
    target = parent / f"step-{checkpoint.step:08d}"
    if not target.exists():
        check_space(run_folder, checkpoint.size)
        scratch = Path(tempfile.mkdtemp(prefix=_UNFINISHED[0], dir=parent))
        try:
            _write(scratch, checkpoint)
            os.rename(scratch, target)
            _flush(parent)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"the checkpoint of step {checkpoint.step} cannot be written: {error}. "
                f"{_what_is_left(run_folder)}"
            ) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    for old in list_checkpoints(run_folder)[:-KEEP]:
        _remove(old)
    return target


def check_space(run_folder: Path, needed: int) -> None:
    """Raise CheckpointError unless the disk of a run has room for that many bytes."""
    free = shutil.disk_usage(run_folder).free
    if free < needed + _MARGIN:
        raise CheckpointError(
            f"the disk of {run_folder} is full: checkpoints need {_size(needed + _MARGIN)} more, "
            f"{_size(free)} are free. {_what_is_left(run_folder)}"
        )


def list_checkpoints(run_folder: Path) -> list[Path]:
    """Finished checkpoints of a run, oldest first."""
    return sorted((run_folder / "checkpoints").glob("step-*"))


def remove_unfinished(run_folder: Path) -> None:
    """Remove what a process that was killed has left half written or half removed."""
    for prefix in _UNFINISHED:
        for folder in (run_folder / "checkpoints").glob(f"{prefix}*"):
            shutil.rmtree(folder)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read a checkpoint folder.

    Raises:
        DataError: a file is missing or damaged.
    """
    try:
        state = json.loads((folder / "state.json").read_text())
        tensors = {name: load_file(folder / f"{name}.safetensors") for name in _PARTS}
    except (OSError, ValueError, SafetensorError) as error:
        raise DataError(
            f"the checkpoint {folder} cannot be read ({error}): delete it to go on from the one "
            "before"
        ) from error
    return Checkpoint(step=state.pop("step"), state=state, **tensors)


def _write(folder: Path, checkpoint: Checkpoint) -> None:
    for name in _PARTS:
        tensors = {k: v.detach().cpu().contiguous() for k, v in getattr(checkpoint, name).items()}
        save_file(tensors, folder / f"{name}.safetensors")
    state = {"step": checkpoint.step, **checkpoint.state}
    (folder / "state.json").write_text(json.dumps(state, indent=2))
    for path in (*folder.iterdir(), folder):
        _flush(path)


def _flush(path: Path) -> None:
    """Have the system write a file or folder to the disk: a rename must not overtake its content."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(folder: Path) -> None:
    """Remove a folder whose name must not outlive any of its files."""
    doomed = Path(tempfile.mkdtemp(prefix=_UNFINISHED[1], dir=folder.parent))
    os.rename(folder, doomed)
    shutil.rmtree(doomed)


def _what_is_left(run_folder: Path) -> str:
    found = list_checkpoints(run_folder)
    if not found:
        return "There is no checkpoint yet: make room and start again"
    return f"{found[-1]} is whole: make room and go on with --resume"


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"
