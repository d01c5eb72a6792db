"""An exported graph in ONNX Runtime, on a CPU or GPU. PyTorch is not imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from depth_distill_ros.inference.engine_folder import (
    INFER,
    PROVIDERS,
    REMEMBER,
    STEP,
    EngineFacts,
    read_facts,
)
from depth_distill_ros.inference.engines import EngineError, Memory, out_of_memory
from depth_distill_ros.inference.onnx_streams import DeviceStreams, HostStreams, Streams

Result = TypeVar("Result")


class OnnxEngine:
    """An `Engine`: the graphs in a folder of `d3epth export`.

    Args:
        folder: the folder.
        device: "auto", "cpu", "cuda" or "cuda:N"; whether it is a GPU, the graph's provider says.
        compared: refuse graphs whose numbers have not been compared with PyTorch's under this
            version of ONNX Runtime.

    Raises:
        EngineError: ONNX Runtime or its provider is missing, or the graph cannot be used.
    """

    def __init__(self, folder: Path, device: str = "auto", compared: bool = True):
        self._folder, self._facts = folder, read_facts(folder)
        self._runtime = _import_runtime()
        if compared:
            _check_accepted(self._facts, self._runtime.__version__)
        _check_provider(self._facts.provider, self._runtime.get_available_providers())
        self.info = self._facts.info
        on_gpu = self._facts.provider != "cpu"
        self.device = (device if device.startswith("cuda") else "cuda") if on_gpu else "cpu"
        kind = "" if self._facts.provider == "cpu" else f", {self._facts.provider}"
        self.label = f"onnxruntime {self._runtime.__version__}{kind}, {self._facts.precision}"
        # At once, so that another engine can be taken where one of them cannot be opened.
        self._infer = self._session(INFER, self._facts.provider)
        self._streams = self._open_streams() if self.info.temporal_window else None

    @property
    def facts(self) -> EngineFacts:
        """What the folder says about itself."""
        return self._facts

    def infer(self, pixels: np.ndarray) -> np.ndarray:
        """See `Engine`. Raises EngineError for a size that the graph was not made for."""
        return self._run(pixels, lambda: self._infer.run(None, {"pixels": pixels})[0])

    def clip(self, pixels: np.ndarray, stamps: Sequence[float]) -> np.ndarray:
        """See `Engine`: no exported model sees several frames at once."""
        return self.infer(pixels)

    def step(
        self, pixels: np.ndarray, ages: np.ndarray, memories: Sequence[Memory | None]
    ) -> tuple[np.ndarray, list[tuple[Memory, Memory]]]:
        """See `Engine`. Raises EngineError for a size that the graph was not made for."""
        return self._run(pixels, lambda: self._streams.step(pixels, ages, memories))

    def remember(self, memory: Memory, slot: int, entry: Memory) -> None:
        """See `Engine`."""
        self._streams.remember(memory, slot, entry)

    def device_memory(self) -> tuple[int, int] | None:
        """See `Engine`: ONNX Runtime does not tell."""
        return None

    def _new_memory(self, size: Sequence[int], frames: int) -> Memory:
        layout = self._facts.memory
        heads, channels = layout["heads"], layout["channels"]
        dtype = np.float16 if self._facts.precision == "fp16" else np.float32
        return [
            np.zeros(
                (1, layout["entries"], size[0] // s, size[1] // s, heads, frames, channels), dtype
            )
            for s in layout["strides"]
        ]

    def _open_streams(self) -> Streams:
        step = self._session(STEP, self._facts.provider)
        if self._facts.provider == "cpu":
            return HostStreams(step, self._new_memory)
        remember = self._session(REMEMBER, "cuda")  # nothing that TensorRT would gain by building
        place = ("cuda", self._device_number)
        return DeviceStreams(step, remember, self._new_memory, self._runtime, place)

    @property
    def _device_number(self) -> int:
        return int(self.device.partition(":")[2] or 0)

    def _session(self, name: str, provider: str) -> Any:
        options = self._runtime.SessionOptions()
        options.log_severity_level = 3
        # Threads that spin while they wait take the cores from cameras and from other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if threads := os.environ.get("OMP_NUM_THREADS", ""):
            options.intra_op_num_threads = int(threads) if threads.isdecimal() else 0
        path = self._folder / name
        try:
            session = self._runtime.InferenceSession(str(path), options, self._providers(provider))
        except Exception as error:  # the runtime has a class of its own for each of its failures
            raise EngineError(
                f"ONNX Runtime cannot open {path} ({_first_line(error)}): run `d3epth export` again"
            ) from error
        _check_not_replaced(provider, session.get_providers())
        return session

    def _providers(self, kind: str) -> list:
        providers: list = [PROVIDERS["cpu"]]
        place = {"device_id": self._device_number}
        if kind != "cpu":
            providers.insert(0, (PROVIDERS["cuda"], place))
        if kind == "tensorrt":
            # The files' names have the GPU's architecture and the versions in them.
            folder = str(self._folder / "tensorrt")
            cache = {
                **place,
                "trt_engine_cache_enable": True,
                "trt_engine_cache_path": folder,
                # What was timed for one shape is not timed again for the next.
                "trt_timing_cache_enable": True,
                "trt_timing_cache_path": folder,
                "trt_fp16_enable": self._facts.precision == "fp16",
            }
            providers.insert(0, (PROVIDERS["tensorrt"], cache))
        return providers

    def _run(self, pixels: np.ndarray, run: Callable[[], Result]) -> Result:
        size = self._facts.size
        if size is not None and pixels.shape[1:3] != size:
            raise EngineError(
                f"this engine was made for {size[1]}x{size[0]} pixels, and the images are "
                f"{pixels.shape[2]}x{pixels.shape[1]} for the network: export with --size dynamic"
            )
        try:
            return run()
        except Exception as error:
            if not _lacks_memory(error):
                raise
        raise out_of_memory(self.device, pixels)


def runtime_version() -> str:
    """ONNX Runtime's. Raises EngineError where there is none."""
    return _import_runtime().__version__


def _import_runtime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineError(
            "ONNX Runtime is not installed: pip install 'depth_distill_ros[onnx]', or [gpu] for "
            f"NVIDIA GPUs ({error})"
        ) from error
    return onnxruntime


def _check_accepted(facts: EngineFacts, version: str) -> None:
    if facts.accepted is None:
        raise EngineError(
            "the exported engine has not passed the comparison with PyTorch: run `d3epth export`"
        )
    if facts.runtime != version:
        raise EngineError(
            f"the exported engine was compared with PyTorch under onnxruntime {facts.runtime}, and "
            f"this is {version}: run `d3epth export` again"
        )


def _check_provider(kind: str, available: Sequence[str]) -> None:
    if PROVIDERS[kind] not in available:
        raise EngineError(
            f"the engine needs ONNX Runtime's {PROVIDERS[kind]}, and this build has "
            f"{', '.join(available)}: pip install 'depth_distill_ros[gpu]', with the CUDA that it "
            "was built for"
        )


def _check_not_replaced(kind: str, running: Sequence[str]) -> None:
    """Where a GPU's libraries cannot be loaded the runtime logs it, and goes on by the CPU."""
    if PROVIDERS[kind] not in running:
        raise EngineError(
            f"ONNX Runtime cannot use its {PROVIDERS[kind]} here: no GPU, or a driver, CUDA, cuDNN or "
            "TensorRT of other versions than it was built for"
        )


def _lacks_memory(error: Exception) -> bool:
    words = ("Failed to allocate memory", "bad_alloc", "out of memory", "bad allocation")
    return isinstance(error, MemoryError) or any(word in str(error) for word in words)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
