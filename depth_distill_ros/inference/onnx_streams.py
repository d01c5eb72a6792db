"""The streams of an exported engine: what they remember lies where the graph runs.

On a CPU that is the host's arrays, which the graph reads as they are and a frame's entry is written into.
On a GPU it is memory of the device, which is bound to the graph and never comes to the host: of a full-size
model it is 200 MB a stream, both ways with every frame otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from depth_distill_ros.inference.engines import Memory

Answer = tuple[np.ndarray, list[tuple[Memory, Memory]]]
"""Of `Engine.step`."""

NewMemory = Callable[[tuple[int, int], int], Memory]
"""Arrays of zeros for one stream, of a size in pixels and a number of frames."""


class Streams(Protocol):
    """The two methods of an `Engine` that deal with memory."""

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> Answer: ...

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None: ...


class HostStreams:
    """Streams of a graph on the CPU, all in one pass.

    Args:
        session: of ``step.onnx``.
        new_memory: for streams that have none.
    """

    def __init__(self, session: Any, new_memory: NewMemory):
        self._session, self._new_memory = session, new_memory

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> Answer:
        """See `Engine`."""
        size, frames = pixels.shape[1:3], ages.shape[1]
        known = [memory or self._new_memory(size, frames) for memory in memories]
        joined = (
            known[0] if len(known) == 1 else [np.concatenate(p) for p in zip(*known, strict=True)]
        )
        named = {f"memory_{number}": array for number, array in enumerate(joined)}
        inputs = {"pixels": pixels, "ages": ages, **named}
        disparity, *entries = self._session.run(None, inputs)
        each = [[array[number, None] for array in entries] for number in range(len(known))]
        return disparity, list(zip(known, each, strict=True))

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None:
        """See `Engine`."""
        for room, new in zip(memory, entry, strict=True):
            room[..., slot, :] = new[..., 0, :]


class DeviceStreams:
    """Streams whose memory is OrtValues on a device, one pass a stream.

    Args:
        session: of ``step.onnx``.
        remember: the session of ``remember.onnx``, which puts an entry into its place.
        new_memory: for streams that have none.
        runtime: the module onnxruntime.
        device: its name for the device, and the number.
    """

    def __init__(
        self,
        session: Any,
        remember: Any,
        new_memory: NewMemory,
        runtime: Any,
        device: tuple[str, int],
    ):
        self._session, self._remember = session, remember
        self._new_memory, self._runtime, self._device = new_memory, runtime, device

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> Answer:
        """See `Engine`."""
        disparities, kept = [], []
        for number, given in enumerate(memories):
            memory = given or self._on_device(self._new_memory(pixels.shape[1:3], ages.shape[1]))
            here = slice(number, number + 1)
            inputs = {"pixels": pixels[here], "ages": ages[here], **_named("memory", memory)}
            disparity, *entry = self._run(self._session, inputs, ("disparity",))
            disparities.append(disparity.numpy())
            kept.append((memory, entry))
        return np.concatenate(disparities), kept

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None:
        """See `Engine`."""
        inputs = {"slot": np.array([slot]), **_named("memory", memory), **_named("entry", entry)}
        memory[:] = self._run(self._remember, inputs)

    def _on_device(self, arrays: Memory) -> Memory:
        return [self._runtime.OrtValue.ortvalue_from_numpy(one, *self._device) for one in arrays]

    def _run(self, session: Any, inputs: dict[str, Any], to_host: Sequence[str] = ()) -> list[Any]:
        """OrtValues of a graph's outputs, on the device but for those that are named.

        Outputs are the arena's, which hands out what was freed: nothing is allocated once it is warm.
        """
        binding = session.io_binding()
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                binding.bind_cpu_input(name, np.ascontiguousarray(value))
            else:
                binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            place = () if output.name in to_host else self._device
            binding.bind_output(output.name, *place)
        session.run_with_iobinding(binding)
        return binding.get_outputs()


def _named(name: str, values: Memory) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, value in enumerate(values)}
