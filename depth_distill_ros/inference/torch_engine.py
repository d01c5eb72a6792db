"""The network in PyTorch: on every device, in every size, with folded weights."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.cuda_graph import GraphedFunction
from depth_distill_ros.inference.engines import ModelInfo, out_of_memory
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import TEMPORAL_PLACES, Memory
from depth_distill_ros.models.folding import FoldedModel, fold
from depth_distill_ros.models.layout import to_channels_last
from depth_distill_ros.models.temporal import ATTENTIONS

Precision = Literal["float32", "float16", "bfloat16"]
Result = TypeVar("Result")


class TorchEngine:
    """An `Engine`: a `DepthModel`, folded where it can be. On a GPU `infer` replays a folded one as a
    CUDA graph; others copy constants from the host, which no graph can.

    Args:
        model: moved to the device.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: of weights and arithmetic. In float32 stay the ways from bytes and to disparities,
            the statistics that a prior's map is standardised with, the ages of a stream's frames, and in
            float16 the prior (`FoldedModel.lower`).

    Raises ConfigError where the device does not exist.
    """

    def __init__(self, model: DepthModel, device: str = "auto", precision: Precision = "float32"):
        self.device = choose_device(device)
        self.info = info_of(model)
        self.label = f"torch {torch.__version__}, {precision}"
        network, self._dtype = _lowered(model.eval().to(self.device), getattr(torch, precision))
        self._model = to_channels_last(network)
        self._graphs = None
        if self.device.startswith("cuda") and isinstance(network, FoldedModel):
            # Of the network and not of this engine: a circle would keep the GPU's memory.
            whole = functools.partial(disparities, self._model, self._dtype)
            self._graphs = GraphedFunction(whole, self.device)

    def infer(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`."""
        if self._graphs is not None:
            return self._within_memory(pixels, lambda: self._graphs(pixels))
        return self._run(pixels, lambda images: (self._model(images), None))[0]

    def clip(self, pixels: np.ndarray, stamps: Sequence[float]) -> np.ndarray:
        """See `Engine`."""
        if self.info.frames == 1:  # it has learnt to see each by itself
            return self.infer(pixels)
        if not self.info.temporal_window:
            return self._run(pixels, lambda x: (self._model(x, frames=len(x)), None))[0]
        times = torch.tensor([stamps], dtype=torch.float64, device=self.device)
        return self._run(
            pixels, lambda x: (self._model.forward_clip(x[None], times, joint=True)[0], None)
        )[0]

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> tuple[np.ndarray, list[tuple[Memory, Memory]]]:
        """See `Engine`."""

        def network(images: torch.Tensor) -> tuple[torch.Tensor, list[tuple[Memory, Memory]]]:
            room = (1, *images.shape[-2:], ages.shape[1] + 1)
            known = [memory or self._model.new_memory(*room) for memory in memories]
            since = torch.from_numpy(ages).to(self.device)
            output, entries = self._model.step(images, since, _joined(known))
            each = [[tensor[number, None] for tensor in entries] for number in range(len(known))]
            return output, list(zip(known, each, strict=True))

        return self._run(pixels, network)

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None:
        """See `Engine`."""
        with torch.inference_mode():
            for room, new in zip(memory, entry, strict=True):
                room[..., slot, :] = new[..., 0, :]

    def device_memory(self) -> tuple[int, int] | None:
        """See `Engine`."""
        if not self.device.startswith("cuda"):
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free, total

    def _run(
        self, pixels: np.ndarray, network: Callable[[torch.Tensor], tuple[torch.Tensor, object]]
    ) -> tuple[np.ndarray, object]:
        """The disparities of a network's maps (B, 1, h', w'), and what else it gives."""

        def run() -> tuple[np.ndarray, object]:
            output, more = network(_images(torch.from_numpy(pixels).to(self.device), self._dtype))
            return _unit(output).cpu().numpy(), more

        return self._within_memory(pixels, run)

    def _within_memory(self, pixels: np.ndarray, run: Callable[[], Result]) -> Result:
        """What `run` gives for these pixels. Raises OutOfMemoryError."""
        try:
            with torch.inference_mode():
                return run()
        except (RuntimeError, MemoryError) as error:
            if not _lacks_memory(error):
                raise
        # Outside the handler, whose traceback would keep the tensors of the failed pass alive.
        if self._graphs is not None:
            self._graphs.clear()
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        raise out_of_memory(self.device, pixels)


def disparities(network: nn.Module, dtype: torch.dtype, pixels: torch.Tensor) -> torch.Tensor:
    """All that `TorchEngine.infer` does on a device: bytes (B, h, w, 3) to float32 (B, h', w')."""
    return _unit(network(_images(pixels, dtype)))


def _images(pixels: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Bytes (B, h, w, 3) to what a network takes: (B, 3, h, w) in [-1, 1], channels last."""
    images = pixels.permute(0, 3, 1, 2).to(torch.float32).div_(127.5).sub_(1.0).to(dtype)
    return images.contiguous(memory_format=torch.channels_last)


def _unit(maps: torch.Tensor) -> torch.Tensor:
    """Maps (B, 1, h, w) about [-1, 1] to float32 (B, h, w) in [0, 1]."""
    return maps[:, 0].float().add_(1.0).mul_(0.5).clamp_(0.0, 1.0)


def info_of(model: DepthModel) -> ModelInfo:
    """What is asked about a model while it runs."""
    config = model.config
    return ModelInfo(
        name=config.name,
        resolution=tuple(config.resolution),
        multiple=model.multiple,
        temporal_window=model.temporal_window,
        temporal_layers=len(TEMPORAL_PLACES) * ATTENTIONS if model.temporal_window else 0,
        frames=config.frames,
        overlap=config.overlap,
        parameters=sum(values.numel() for values in model.parameters()),
    )


def choose_device(device: str) -> str:
    """The device to run on: "auto" is CUDA where there is any, else the CPU.

    Raises:
        ConfigError: the name is unknown, or CUDA was asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"there is no device '{device}': use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device '{device}' was asked for, but this PyTorch finds no CUDA GPU: "
            "use device auto or cpu, or install a CUDA build (make TORCH=cuda)"
        )
    return device


def _lowered(model: DepthModel, dtype: torch.dtype) -> tuple[nn.Module, torch.dtype]:
    """The network in a precision, folded where it can be, and in which type it takes images."""
    try:
        return fold(model).lower(dtype), torch.float32
    except ConfigError:  # a network of videos, or of another make: it runs as it is
        return model.to(dtype), dtype


def _joined(memories: Sequence[Memory]) -> Memory:
    """The memories of several streams as one batch; that of one stream as it is."""
    if len(memories) == 1:
        return memories[0]
    return [torch.cat(parts) for parts in zip(*memories, strict=True)]


def _lacks_memory(error: Exception) -> bool:
    """CUDA has a class for it; the CPU's allocators say so in words of their own."""
    words = ("can't allocate memory", "not enough memory", "could not create a memory object")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error) for word in words
    )
