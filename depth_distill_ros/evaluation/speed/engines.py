"""Networks as they come, folded, and folded in an engine: what engines gain, network for network.

The engine is ONNX Runtime on a CPU, in float32; on a GPU a CUDA graph, in the given precision, against
kernels that Python launches one by one.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.networks import (
    FAST,
    SMALL,
    STUDENT,
    folded_unet,
    random_images,
    random_latents,
    ready,
    stock_unet,
)
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folding import fold

OPSET = 20


def engines(device: str, precision: str, side: int, preset: str = STUDENT) -> Comparison:
    """One UNet step: stock and eager, folded, and folded in an engine.

    Args:
        device: where.
        precision: on a GPU.
        side: of the image, pixels.
        preset: whose UNet.

    Raises:
        ConfigError: ONNX Runtime or what exports to it is not installed.
    """
    precision = _precision(device, precision)
    latents = random_latents(device, precision, side)
    stock = Part("stock, eager", *stock_unet(preset, latents), graph=False)
    network = ready(folded_unet(preset), device, precision)
    eager, engine = _eager_and_engine("folded", network, latents)
    ratios = {
        "stock_eager_over_folded_eager": (stock.name, eager.name),
        "stock_eager_over_folded_engine": (stock.name, engine.name),
    }
    title = f"one UNet step of {preset} at {side}x{side}, by engine"
    return Comparison(title, (stock, eager, engine), ratios, device, precision)


def whole_engines(
    device: str, precision: str, side: int, presets: Sequence[str] = (FAST, SMALL)
) -> Comparison:
    """An image's disparity by folded students, eager and in an engine; as ``engines``.

    Args:
        presets: of the fast student and of the small one.
    """
    precision = _precision(device, precision)
    images = random_images(device, precision, side, side)
    parts, ratios = [], {}
    for name, preset in zip(("student", "small_student"), presets, strict=True):
        network = ready(fold(DepthModel.from_preset(preset)), device, precision)
        eager, engine = _eager_and_engine(preset, network, images)
        parts += [eager, engine]
        ratios[f"{name}_eager_over_engine"] = (eager.name, engine.name)
    title = f"an image of {side}x{side}, pixels to disparity, by engine"
    return Comparison(title, tuple(parts), ratios, device, precision)


def _precision(device: str, precision: str) -> str:
    return precision if device.startswith("cuda") else "fp32"


def _eager_and_engine(name: str, network: nn.Module, example: torch.Tensor) -> tuple[Part, Part]:
    eager = Part(f"{name}, eager", network, (example,), (network,), graph=False)
    if example.is_cuda:
        return eager, Part(f"{name}, CUDA graph", network, (example,), (network,))
    session = onnx_session(network, example)
    inputs = {session.get_inputs()[0].name: example.contiguous().numpy()}
    return eager, Part(f"{name}, ONNX Runtime", lambda: session.run(None, inputs), model=eager)


def onnx_session(network: nn.Module, example: torch.Tensor) -> Any:
    """A network of one tensor, exported for that tensor's shape, in ONNX Runtime on the CPU.

    Raises:
        ConfigError: a package lacks.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            f"comparing engines needs {error.name}: pip install 'depth_distill_ros[onnx]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision, aloud
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "network.onnx"
        program = torch.onnx.export(
            network, (example,), dynamo=True, opset_version=OPSET, verbose=False
        )
        program.save(path, external_data=True)
        del program
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
