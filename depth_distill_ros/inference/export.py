"""A model as graphs for ONNX Runtime, and whether their numbers are those of PyTorch.

In the graph are: bytes to [-1, 1], encoder, prior, UNet, decoder or head, and the map's way to
[0, 1]. Outside stays what depends on the image's size and is done once for all engines: area
averages down to the network's size, and the way back up, where the node knows edges.
"""

from __future__ import annotations

import dataclasses
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.comparison import TOLERANCE, largest_error, network_pixels
from depth_distill_ros.inference.engine_folder import (
    INFER,
    REMEMBER,
    STEP,
    EngineFacts,
    engine_cache,
    write_facts,
)
from depth_distill_ros.inference.engines import EngineError
from depth_distill_ros.inference.onnx_engine import OnnxEngine, runtime_version
from depth_distill_ros.inference.quantisation import quantise, variations
from depth_distill_ros.inference.torch_engine import TorchEngine, info_of
from depth_distill_ros.models import hub
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import LEVEL_STRIDES, TEMPORAL_PLACES
from depth_distill_ros.models.folding import FoldedModel, fold
from depth_distill_ros.models.temporal import ENTRIES

OPSET = 20
_EXAMPLE = (96, 128)
_LARGEST_SIDE = 4096


@dataclass(frozen=True)
class ExportOptions:
    """What to export.

    Attributes:
        model: as in ``DepthModel.from_pretrained``.
        precision: of weights and arithmetic; "int8", for CPUs and models without a temporal head, leaves
            some in float32 (``quantisation``).
        size: (height, width) that the network sees, for engines that are fastest with one size;
            None: any.
        provider: what will run it: "cpu", "cuda" or "tensorrt".
        output: the folder; None is the cache, where ``DepthEstimator`` looks.
    """

    model: str | None = None
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    size: tuple[int, int] | None = None
    provider: str = "cpu"
    output: Path | None = None


def export_model(
    options: ExportOptions, images: Sequence[np.ndarray], say: Callable[[str], None] = print
) -> Path:
    """Export a model and compare the result with PyTorch; returns its folder.

    Args:
        options: what.
        images: uint8 RGB (H, W, 3), of any size: what the comparison is made with, and what ranges in
            int8 are taken from.
        say: takes lines about the progress.

    Raises:
        ModelError, ConfigError: the model cannot be used, or is one of videos; it or the provider
            does not go with int8.
        EngineError: packages are missing, or the numbers differ too much; nothing is left then.
    """
    runtime = runtime_version()
    source = hub.resolve(options.model)
    model = DepthModel.from_pretrained(source)
    _check_int8(options, model)
    facts = _facts(options, model, hub.model_digest(source), runtime)
    target = options.output or engine_cache() / facts.name
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".exporting-") as scratch:
        staged = Path(scratch) / "engine"
        staged.mkdir()
        say(f"exporting {facts.info.name}, {options.precision}")
        write_graphs(model, staged, options.precision, options.size)
        if options.precision == "int8":
            say("measuring the ranges of its activations")
            quantise(staged / INFER, _calibration(facts, images), staged / INFER)
        write_facts(staged, facts)
        say(f"comparing with PyTorch on {len(images)} images")
        error, errors = _compare(staged, model, images)
        tolerance = TOLERANCE[options.precision]
        if not error <= tolerance:
            raise EngineError(
                f"the exported engine differs from PyTorch by {error:.1e} of the largest disparity, "
                f"more than {tolerance:.0e}: it is not used"
            )
        accepted = {**errors, "tolerance": tolerance, "images": len(images)}
        write_facts(staged, dataclasses.replace(facts, accepted=accepted))
        if target.exists():
            shutil.rmtree(target)
        staged.rename(target)
    say(f"within {error:.1e} of PyTorch ({tolerance:.0e} is allowed): {target}")
    return target


def _check_int8(options: ExportOptions, model: DepthModel) -> None:
    if options.precision != "int8":
        return
    if options.provider != "cpu":
        raise ConfigError(f"--precision int8 is for CPUs: use fp16 for {options.provider}")
    if model.temporal_window:
        raise ConfigError(
            f"--precision int8 is for models that take each image by itself, and {model.config.name} "
            "has a memory: use fp32"
        )


def _calibration(facts: EngineFacts, images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """What the network sees of images and of variations of them, uint8 (1, h, w, 3)."""
    for rgb in images:
        for one in variations(rgb):
            yield network_pixels(one, facts)


def _compare(
    folder: Path, model: DepthModel, images: Sequence[np.ndarray]
) -> tuple[float, dict[str, float]]:
    """The error that ``TOLERANCE`` is about, and what of errors is written down."""
    engines = OnnxEngine(folder, compared=False), TorchEngine(model, "cpu")
    error = largest_error(*engines, images)
    errors = {"max_relative_error": error}
    if engines[0].facts.precision == "int8":
        error = errors["mean_relative_error"] = largest_error(*engines, images, of=np.mean)
    return error, errors


def write_graphs(
    model: DepthModel, folder: Path, precision: str, size: tuple[int, int] | None
) -> None:
    """Write ``infer.onnx``, and of a model with a temporal head ``step.onnx`` and ``remember.onnx``.
    For int8 they are in float32 yet.

    Raises EngineError where the packages that export are missing, or this PyTorch cannot export it.
    """
    folded = fold(model)
    if precision == "fp16":
        folded.lower(torch.float16)
    layout = _Shapes(folded, size)
    _write(_Infer(folded), layout.pixels(), folder / INFER, ("pixels",), ("disparity",))
    if folded.temporal_window:
        memory = [f"memory_{number}" for number in range(len(TEMPORAL_PLACES))]
        entry = [f"entry_{number}" for number in range(len(TEMPORAL_PLACES))]
        names = ("pixels", "ages", *memory), ("disparity", *entry)
        _write(_Step(folded), layout.step(), folder / STEP, *names)
        names = ("slot", *memory, *entry), [f"new_{name}" for name in memory]
        _write(_Remember(), layout.remember(), folder / REMEMBER, *names)


class _Infer(nn.Module):
    """Bytes (B, H, W, 3) to disparities (B, h, w)."""

    def __init__(self, model: FoldedModel):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        return _unit(self.model(_images(pixels)))


class _Step(nn.Module):
    """The same with ages (B, M) and a stream's memory (B, ENTRIES, rows, columns, heads, M, d)."""

    def __init__(self, model: FoldedModel):
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor, ages: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        known = [maps.flatten(2, 3) for maps in memory]
        disparity, entries = self.model.step(_images(pixels), ages, known)
        shaped = [
            entry.unflatten(2, maps.shape[2:4]) for entry, maps in zip(entries, memory, strict=True)
        ]
        return _unit(disparity), *shaped


class _Remember(nn.Module):
    """Memories with an entry of each in the place ``slot`` (1,): all of them, then all entries."""

    def forward(self, slot: Tensor, *values: Tensor) -> tuple[Tensor, ...]:
        memory, entries = values[: len(values) // 2], values[len(values) // 2 :]
        here = torch.arange(memory[0].shape[-2]) == slot
        pairs = zip(memory, entries, strict=True)
        return tuple(torch.where(here[:, None], new, old) for old, new in pairs)


def _images(pixels: Tensor) -> Tensor:
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1.0


def _unit(maps: Tensor) -> Tensor:
    return ((maps[:, 0].float() + 1.0) * 0.5).clamp(0.0, 1.0)


Example = tuple[tuple[Tensor, ...], dict | tuple | None]
"""Arguments, and which of their sides may change."""


class _Shapes:
    """Example inputs of the graphs. The number of images, and of remembered frames, is free."""

    def __init__(self, model: FoldedModel, size: tuple[int, int] | None):
        self._model, self._dynamic = model, size is None
        self._size = size or _EXAMPLE
        if any(side % model.multiple for side in self._size):
            raise ConfigError(
                f"--size {self._size[0]}x{self._size[1]}: the sides must be multiples of "
                f"{model.multiple}"
            )
        self._batch = torch.export.Dim("batch", min=1, max=64)
        most = _LARGEST_SIDE // model.multiple
        self._sides = [torch.export.Dim(name, min=1, max=most) for name in ("rows", "columns")]

    def pixels(self) -> Example:
        example = torch.zeros(2, *self._size, 3, dtype=torch.uint8)
        return (example,), (self._places(0, {1: 1, 2: 1}),)

    def step(self) -> Example:
        frames = 3
        (pixels,), (sides,) = self.pixels()
        memory, places = [], []
        room = self._model.new_memory(2, *self._size, frames + 1)
        past = torch.export.Dim("past", min=1, max=256)
        for maps, (_, level) in zip(room, TEMPORAL_PLACES, strict=True):
            stride = LEVEL_STRIDES[level]
            memory.append(maps.unflatten(2, [side // stride for side in self._size]))
            places.append({**self._places(0, {2: stride, 3: stride}), 5: past})
        ages = torch.zeros(2, frames)
        dynamic = (sides, {0: self._batch, 1: past}, tuple(places))
        return (pixels, ages, *memory), dynamic

    def remember(self) -> Example:
        (_, _, *memory), (_, _, places) = self.step()
        entries = [maps[..., :1, :] for maps in memory]
        free = [{side: at for side, at in one.items() if side != 5} for one in places]
        return (torch.tensor([1]), *memory, *entries), (None, (*places, *free))

    def _places(self, batch: int, strides: dict[int, int]) -> dict:
        """Free dimensions: the batch, and sides in steps of ``multiple`` / stride."""
        free: dict = {batch: self._batch}
        if self._dynamic:
            for (dimension, stride), side in zip(strides.items(), self._sides, strict=True):
                free[dimension] = self._model.multiple // stride * side
        return free


def _write(
    network: nn.Module,
    example: Example,
    path: Path,
    inputs: Sequence[str],
    outputs: Sequence[str],
) -> None:
    arguments, dynamic = example
    # It would say of each operator of torchvision, which is not needed, that it is not there.
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.inference_mode(False), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network.eval(),
                arguments,
                path,
                dynamo=True,
                dynamic_shapes=dynamic,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=OPSET,
                external_data=_size(network) > 2**30,
                optimize=True,  # folded casts of bounds: ONNX Runtime fuses activations only then
                verbose=False,
            )
    except ImportError as error:
        raise EngineError(
            f"what exports graphs is not installed: pip install 'depth_distill_ros[onnx]' ({error})"
        ) from error
    except torch.onnx.errors.OnnxExporterError as error:
        raise EngineError(
            f"PyTorch {torch.__version__} cannot export this model: use a newer one (2.13 is tested)"
        ) from error


def _size(network: nn.Module) -> int:
    return sum(p.numel() * p.element_size() for p in network.parameters())


def _facts(options: ExportOptions, model: DepthModel, digest: str, runtime: str) -> EngineFacts:
    memory = {}
    if model.temporal_window:
        head = model.head.config
        memory = {
            "strides": [LEVEL_STRIDES[level] for _, level in TEMPORAL_PLACES],
            "entries": ENTRIES,
            "heads": head.temporal_heads,
            "channels": head.width // head.temporal_heads,
        }
    return EngineFacts(
        info_of(model),
        digest,
        options.precision,
        options.size,
        OPSET,
        {"torch": torch.__version__, "onnxruntime": runtime},
        options.provider,
        memory,
        None,
        runtime,
    )
