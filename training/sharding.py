"""FSDP: the trained network sharded over processes, block by block; whole tensors in and out of it.

Frozen networks stay whole on every process: their weights take no optimiser state, and gathering
them at every step would cost more than it saves. Shards are float32, autocast chooses the
precision of the arithmetic: the numbers are those of DDP.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from training.objective import Objective


def shard(objective: Objective, device: torch.device, processes: int) -> nn.Module:
    """Shard the trained parameters of an objective in place, in units of its ``blocks``.

    The initial weights are those of the first process.
    """
    for tensor in objective.state_dict().values():
        dist.broadcast(tensor, src=0)
    mesh = init_device_mesh(device.type, (processes,))
    frozen = {p for p in objective.parameters() if not p.requires_grad}
    for block in objective.blocks():
        fully_shard(block, mesh=mesh, ignored_params=frozen)
    return fully_shard(objective, mesh=mesh, ignored_params=frozen)


def whole(tensor: Tensor) -> Tensor:
    """The whole of a sharded tensor, on every process at once; any other tensor as it is."""
    tensor = tensor.detach()
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


@torch.no_grad()
def fill(target: Tensor, values: Tensor) -> None:
    """Copy a whole tensor, which every process has, into a tensor that may be sharded."""
    target.copy_(part_of(values, target))


def part_of(values: Tensor, like: Tensor) -> Tensor:
    """A whole tensor, which every process has, on the device and in the shards of another one."""
    values = values.to(like.device)
    if not isinstance(like, DTensor):
        return values
    return distribute_tensor(values, like.device_mesh, like.placements, src_data_rank=None)


def assemble(objective: Objective, keep: bool) -> None:
    """Replace the sharded parameters by whole ones, for saving; on every process at once.

    Args:
        objective: a sharded objective, which cannot be trained any further; any other is left
            as it is.
        keep: whether this process needs them; elsewhere the parameters are left empty.
    """
    for name, parameter in list(objective.named_parameters()):
        if isinstance(parameter, DTensor):
            values = whole(parameter).cpu()
            owner, _, leaf = name.rpartition(".")
            module = objective.get_submodule(owner)
            setattr(module, leaf, nn.Parameter(values if keep else values.new_empty(0)))
