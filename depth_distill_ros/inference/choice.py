"""Which engine runs a model here, and why."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.engine_folder import engines_of, read_facts
from depth_distill_ros.inference.engines import Engine, EngineError
from depth_distill_ros.models import hub

ENGINES = ("auto", "torch", "onnxruntime")
PRECISIONS = ("float32", "float16", "bfloat16")
_PREFERENCE = ("tensorrt", "cuda", "cpu")
_FASTEST = {"cpu": ("int8", "fp32", "fp16")}
_FASTEST_ON_GPU = ("fp16", "fp32", "int8")
"""Precisions by provider: who exports a faster one wants it. A CPU computes fp16 in float32, slower."""

_GPU_FILES = ("/dev/nvidiactl", "/dev/nvhost-gpu", "/dev/nvmap")
"""One of them is there where NVIDIA's driver is, the last two on a Jetson."""


def open_engine(
    name_or_folder: str | Path | None, device: str, engine: str, precision: str
) -> tuple[Engine, str]:
    """The engine of a model, and the reason in words; see ``DepthEstimator.from_pretrained``."""
    for value, words, what in ((engine, ENGINES, "engine"), (precision, PRECISIONS, "precision")):
        if value not in words:
            raise ConfigError(f"there is no {what} '{value}': use {', '.join(words)}")
    folder = hub.resolve(name_or_folder)
    reason = "asked for"
    if engine != "torch":
        try:
            return _exported(folder, device, engine == "onnxruntime")
        except EngineError as error:
            if engine == "onnxruntime":
                raise
            reason = str(error)
    from depth_distill_ros.inference.torch_engine import TorchEngine, choose_device
    from depth_distill_ros.models.depth_model import DepthModel

    choose_device(device)  # a wrong device is refused before weights are read
    return TorchEngine(DepthModel.from_pretrained(folder), device, precision), reason


def _exported(folder: Path, device: str, wanted: bool) -> tuple[Engine, str]:
    """The best accepted engine in the cache for a model and device."""
    from depth_distill_ros.inference.onnx_engine import OnnxEngine

    kinds = _kinds(device, wanted)
    reason = EngineError(
        "there is no exported engine of this model for this device: see `d3epth export`"
    )
    usable = []
    for path in engines_of(hub.model_digest(folder)):
        try:
            facts = read_facts(path)
        except EngineError as error:
            reason = error
            continue
        # One of a single size would refuse images of other shapes: it has to be asked for.
        if facts.provider in kinds and (wanted or facts.size is None):
            usable.append((facts, path))
    # The best provider first, of its engines those for any size, and of these the fastest.
    usable.sort(
        key=lambda one: (
            kinds.index(one[0].provider),
            one[0].size is not None,
            _FASTEST.get(one[0].provider, _FASTEST_ON_GPU).index(one[0].precision),
        )
    )
    for _, path in usable:
        try:
            engine = OnnxEngine(path, device)
        except EngineError as error:
            reason = error
            continue
        error = engine.facts.accepted["max_relative_error"]
        return engine, f"exported, and within {error:.1e} of PyTorch when it was compared"
    raise reason


def _kinds(device: str, wanted: bool) -> tuple[str, ...]:
    """Providers that serve a device, the best one first."""
    if device == "cpu":
        return ("cpu",)
    if device == "auto" and not wanted and not any(Path(file).exists() for file in _GPU_FILES):
        return ("cpu",)
    if device == "auto":
        # An engine on the CPU would be slower here than PyTorch on the GPU.
        return _PREFERENCE if wanted or _torch_is_for_cpus() else _PREFERENCE[:2]
    if device.split(":")[0] == "cuda":
        return _PREFERENCE[:2]
    raise ConfigError(f"there is no device '{device}': use auto, cpu, cuda or cuda:N")


def _torch_is_for_cpus() -> bool:
    """Whether this PyTorch, which is not imported for it, can use no GPU."""
    try:
        return metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return True
