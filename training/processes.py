"""The processes of a run, one a device: who this one is, and what they do together.

``accelerate launch`` (or torchrun) starts them and says by environment variables whether the
trained network is copied to each (DDP) or sharded over them (FSDP). How the network is wrapped and
precision is handled is decided here and in :mod:`training.optimisation`, not by accelerate's own
wrappers, so that one loop, one checkpoint format and the same numbers come out of all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from accelerate import PartialState
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from depth_distill_ros.errors import UserError
from training.objective import Objective
from training.sharding import shard

Value = TypeVar("Value")

# The others wait while one renders scenes or writes a large checkpoint to slow storage.
_PATIENCE = timedelta(hours=1)


def process_state() -> PartialState:
    """Join the processes that the launcher started; alone without a launcher.

    Without a GPU they talk through gloo: accelerate itself does that only where its launcher was
    told ``--cpu``, which then starts a single process.
    """
    cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    launched = int(os.environ.get("LOCAL_RANK", -1)) >= 0
    kind = torch.accelerator.current_accelerator(check_available=True)
    cpu = cpu or (launched and (kind is None or kind.type == "mps"))
    return PartialState(cpu=cpu, timeout=_PATIENCE)


class Processes:
    """What a training loop needs of its fellow processes.

    Attributes:
        device: where this process computes.
        rank: its number over all machines.
        count: how many there are.
        sharded: whether the trained network is sharded over them (``accelerate launch
            --use_fsdp``) instead of copied to each.
    """

    def __init__(self) -> None:
        state = process_state()
        self.device: torch.device = state.device
        self.rank, self.count = state.process_index, state.num_processes
        self.is_main, self.is_local_main = state.is_main_process, state.is_local_main_process
        asked = os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
        self.sharded = asked and self.count > 1

    def wrap(self, objective: Objective) -> nn.Module:
        """The objective on this process' device, its gradients averaged over all processes."""
        objective.to(self.device)
        if self.count == 1:
            return objective
        if self.device.type == "cuda":
            _synchronise_batch_norms(objective)
        if self.sharded:
            return shard(objective, self.device, self.count)
        return DistributedDataParallel(
            objective,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )

    def synchronised(self, wrapped: nn.Module, now: bool) -> AbstractContextManager:
        """A context for one backward pass: gradients are averaged in it, or kept to be added to."""
        if self.sharded:
            wrapped.set_requires_gradient_sync(now)
            return nullcontext()
        return nullcontext() if now or self.count == 1 else wrapped.no_sync()

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, float64 on the CPU, the same to the last bit on each."""
        values = values.detach().cpu().double()
        if self.count == 1:
            return values
        values = values.to(self.device)
        dist.all_reduce(values)
        return values.cpu()

    def gather(self, value: Value) -> list[Value]:
        """The values of all processes, in order of rank, on each of them."""
        if self.count == 1:
            return [value]
        values: list = [None] * self.count
        dist.all_gather_object(values, value)
        return values

    def on_main(self, task: Callable[[], None]) -> None:
        """Run a task on the main process; the others wait.

        Raises:
            UserError: the one that the task raised, on all processes, so that none waits forever.
        """
        failure: list[UserError | None] = [None]
        if self.is_main:
            try:
                task()
            except UserError as error:
                failure = [error]
        if self.count > 1:
            dist.broadcast_object_list(failure, src=0)
        if failure[0] is not None:
            raise failure[0]


def _synchronise_batch_norms(objective: Objective) -> None:
    """Trained batch norms take the statistics of the whole micro-batch; CUDA only, as in torch."""
    for parent in objective.modules():
        for name, child in parent.named_children():
            trained = any(parameter.requires_grad for parameter in child.parameters(False))
            if isinstance(child, nn.modules.batchnorm._BatchNorm) and trained:
                setattr(parent, name, nn.SyncBatchNorm.convert_sync_batchnorm(child))
