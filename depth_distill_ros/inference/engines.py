"""What runs a network: PyTorch, or a graph in ONNX Runtime. One interface, and what it is about.

An engine takes images that have its network's size already, so all engines share the code before
and behind it. Which one is taken, and why: ``choice``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from depth_distill_ros.errors import OutOfMemoryError, UserError

Memory = list[Any]
"""What a stream remembers, arrays of the engine's own kind. Frames are their last dimension but one."""


class EngineError(UserError):
    """An engine that cannot be used here; the message says why, and what to do."""


@dataclass(frozen=True)
class ModelInfo:
    """What is asked about a model while it runs.

    Attributes:
        name: from its configuration.
        resolution: (height, width) whose area images are resized to.
        multiple: pixels that the sides of the network's input are multiples of.
        temporal_window: frames of a stream that it sees at once; 0: each image by itself.
        temporal_layers: attentions in time that follow each other.
        frames: of a video that it is meant to see at once; 1: it takes images.
        overlap: frames that two neighbouring windows of a video share.
        parameters: how many numbers it has.
    """

    name: str
    resolution: tuple[int, int]
    multiple: int
    temporal_window: int
    temporal_layers: int
    frames: int
    overlap: int
    parameters: int


class Engine(Protocol):
    """Runs one model on one device.

    Attributes:
        info: about the model.
        device: "cpu", "cuda" or "cuda:N".
        label: what runs the network, with its version and precision.

    Images are uint8 RGB (B, h, w, 3) with sides in multiples of ``info.multiple``; disparities
    float32 (B, h', w') in [0, 1], NaN where the network gave no finite value. What does not fit the
    device's memory raises OutOfMemoryError, after which the engine can be used again.
    """

    info: ModelInfo
    device: str
    label: str

    def infer(self, pixels: np.ndarray) -> np.ndarray:
        """Disparities of images, each by itself."""
        ...

    def clip(self, pixels: np.ndarray, stamps: Sequence[float]) -> np.ndarray:
        """Disparities of a video's frames, whose times are in seconds, seen at once."""
        ...

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> tuple[np.ndarray, list[tuple[Memory, Memory]]]:
        """The next frame of each of B streams.

        Args:
            pixels: one image a stream.
            ages: float32 (B, M), seconds since each remembered frame, inf where there is none.
            memories: of M frames, of each stream; None: there is none yet.

        Returns:
            The disparities; and for each stream its memory, and what of this frame ``remember``
            takes.
        """
        ...

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None:
        """Put a frame's entry into a place of a memory."""
        ...

    def device_memory(self) -> tuple[int, int] | None:
        """Used and total bytes of the GPU's memory; None on a CPU, or where nobody tells."""
        ...


def out_of_memory(device: str, pixels: np.ndarray) -> OutOfMemoryError:
    """What a user reads where images (B, h, w, 3) do not fit."""
    shape = f"{len(pixels)} image(s) of {pixels.shape[2]}x{pixels.shape[1]} pixels"
    return OutOfMemoryError(
        f"the memory of {device} does not suffice for {shape} at once: "
        "use a smaller model, fewer cameras, or free memory"
    )
