"""Memory against time, applied to an objective in one place: what ``speed.*`` of a recipe means.

The trained parameters, the optimiser and the losses stay in float32. Frozen networks may be kept
in half precision: they then compute in it, whatever autocast says, and hand float32 back.
"""

from __future__ import annotations

import functools
import os
import tempfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.feature_taps import named_blocks
from depth_distill_ros.models.layout import to_channels_last
from training.config import SpeedConfig
from training.losses.precision import autocast_off
from training.objective import Objective

_ENTRIES = ("forward", "encode", "decode", "latents")
_COMPILED_VARIANTS = 64  # one code object serves the blocks of student and teacher at all widths


class Applied:
    """What was done to an objective that a saved model must not show.

    Half precision would round the frozen networks that are saved with a student, and the layers
    that a student shares with its teacher; their float32 weights are kept on the disk meanwhile.

    Args:
        folder: on that disk; None is the system's own for temporary files.
    """

    def __init__(self, folder: Path | None = None):
        self._folder = folder
        self._lowered: list[ModelMixin] = []
        self._exact: list[tuple[Tensor, Tensor]] = []

    def lower(self, network: ModelMixin, dtype: torch.dtype, saved: Collection[int]) -> None:
        """Put a frozen network into half precision; ``saved``: ids of the tensors to remember."""
        for tensor in (*network.parameters(), *network.buffers()):
            if id(tensor) in saved:
                self._exact.append((tensor, _on_disk(tensor.detach(), self._folder)))
        _lower_precision(network, dtype)
        self._lowered.append(network)

    def restore(self) -> None:
        """Put the float32 weights back, to save the model."""
        for network in self._lowered:
            for name in _ENTRIES:
                network.__dict__.pop(name, None)
        for tensor, exact in self._exact:
            tensor.data = exact.to(tensor.device)


def _on_disk(tensor: Tensor, folder: Path | None) -> Tensor:
    """A copy in a file that is gone as soon as nobody holds the copy, however the process ends."""
    if not tensor.numel():
        return tensor.clone()
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".exact-") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, tensor.nbytes)  # else a full disk kills: SIGBUS
        except OSError as error:
            raise ConfigError(
                f"the float32 weights of frozen networks do not fit on the disk ({error}): make "
                "room, or set speed.frozen_dtype to float32"
            ) from error
        copy = torch.from_file(file.name, shared=True, size=tensor.numel(), dtype=tensor.dtype)
    return copy.view(tensor.shape).copy_(tensor)


def apply_speed(objective: Objective, speed: SpeedConfig, folder: Path | None = None) -> Applied:
    """Apply a recipe's ``speed`` settings to an objective, before its optimiser is made.

    ``folder``: for weights that only the saved model needs, see :class:`Applied`.

    Gradient checkpointing covers every diffusers network that gradients pass, so a frozen decoder
    too. ``torch.compile`` works on the blocks of the UNets one by one: feature taps, which sit on
    the blocks, stay outside what is compiled, and equal blocks share the compiled code.
    """
    applied = Applied(folder)
    frozen = frozen_networks(objective)
    dtype = getattr(torch, speed.frozen_dtype)
    if dtype != torch.float32:
        model = getattr(objective, "model", nn.Module())
        saved = set(map(id, (*model.parameters(), *model.buffers())))
        for network in frozen:
            applied.lower(network, dtype, saved)
    if speed.channels_last:
        to_channels_last(objective)
    for network in _networks([objective]):
        if speed.gradient_checkpointing and network._supports_gradient_checkpointing:
            network.enable_gradient_checkpointing()
        if speed.compile and isinstance(network, UNet2DConditionModel):
            _compile_blocks(network)
    return applied


def frozen_networks(objective: Objective) -> list[ModelMixin]:
    """Whole networks that an objective has frozen; frozen layers of a trained one do not count."""
    return _networks(objective.frozen)


def _networks(modules: Iterable[nn.Module]) -> list[ModelMixin]:
    """The diffusers networks in modules, each once, without networks that are part of another."""
    found: dict[int, ModelMixin] = {}
    for module in modules:
        if isinstance(module, ModelMixin):
            found[id(module)] = module
        else:
            found |= {id(network): network for network in _networks(module.children())}
    return list(found.values())


def as_target(tensor: Tensor) -> Tensor:
    """A tensor that the backward pass may keep: what inference mode made is copied."""
    return tensor.clone() if tensor.is_inference() else tensor


def _lower_precision(network: ModelMixin, dtype: torch.dtype) -> None:
    """Keep a frozen network in half precision and let it compute in it.

    Batch normalisation stays in float32: its running variances may exceed what float16 holds.
    """
    for module in network.modules():
        if not isinstance(module, _BatchNorm):
            for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
                tensor.data = tensor.data.to(dtype) if tensor.is_floating_point() else tensor.data
    for name in _ENTRIES:
        entry = getattr(network, name, None)
        if callable(entry):
            setattr(network, name, _own_precision(entry, dtype))


def _own_precision(entry: Callable, dtype: torch.dtype) -> Callable:
    @functools.wraps(entry)
    def call(*arguments, **named):
        tensors = [a for a in (*arguments, *named.values()) if isinstance(a, Tensor)]
        if dtype == torch.float16 and any(t.requires_grad for t in tensors):
            raise ConfigError(
                "gradients pass a frozen network here, and in float16 most of them would be zero: "
                "set speed.frozen_dtype to bfloat16 or float32"
            )
        lower = functools.partial(_cast, dtype=dtype)
        with autocast_off(tensors[0].device.type if tensors else "cpu"):
            output = entry(*map(lower, arguments), **{k: lower(v) for k, v in named.items()})
        return _cast(output, torch.float32)

    return call


def _cast(value, dtype: torch.dtype):
    """Floating-point tensors of a diffusers output, a tuple, or alone, in another type."""
    if isinstance(value, Tensor):
        return value.to(dtype) if value.is_floating_point() else value
    if isinstance(value, DiagonalGaussianDistribution):
        return DiagonalGaussianDistribution(value.parameters.to(dtype))
    if isinstance(value, tuple):
        return tuple(_cast(item, dtype) for item in value)
    if isinstance(value, dict):  # diffusers' outputs are ordered dictionaries
        return type(value)(**{key: _cast(item, dtype) for key, item in value.items()})
    return value


def _compile_blocks(unet: UNet2DConditionModel) -> None:
    config = torch._dynamo.config
    config.cache_size_limit = max(config.cache_size_limit, _COMPILED_VARIANTS)
    for block in named_blocks(unet).values():
        block.forward = torch.compile(block.forward, dynamic=False)
