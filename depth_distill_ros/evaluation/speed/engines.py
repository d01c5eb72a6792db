"""The student's UNet as it comes, folded, and folded in an engine: what engines gain, network for network."""

from __future__ import annotations

import logging
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.networks import (
    STUDENT,
    folded_unet,
    random_latents,
    ready,
    stock_unet,
)
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part

OPSET = 20


def engines(device: str, precision: str, side: int, preset: str = STUDENT) -> Comparison:
    """One UNet step: stock and eager, folded, and folded in an engine.

    The engine is ONNX Runtime on a CPU, in float32; on a GPU a CUDA graph of the folded network, in
    the given precision, against kernels that Python launches one by one.

    Args:
        device: where.
        precision: on a GPU.
        side: of the image, pixels.
        preset: whose UNet.

    Raises:
        ConfigError: ONNX Runtime or what exports to it is not installed.
    """
    on_gpu = device.startswith("cuda")
    precision = precision if on_gpu else "fp32"
    latents = random_latents(device, precision, side)
    stock = Part("stock, eager", *stock_unet(preset, latents), graph=False)
    network = ready(folded_unet(preset), device, precision)
    eager = Part("folded, eager", network, (latents,), (network,), graph=False)
    if on_gpu:
        engine = Part("folded, CUDA graph", network, (latents,), (network,))
    else:
        engine = _onnx_part(network, latents, eager)
    ratios = {
        "stock_eager_over_folded_eager": (stock.name, eager.name),
        "stock_eager_over_folded_engine": (stock.name, engine.name),
    }
    title = f"one UNet step of {preset} at {side}x{side}, by engine"
    return Comparison(title, (stock, eager, engine), ratios, device, precision)


def _onnx_part(network: nn.Module, latents: torch.Tensor, eager: Part) -> Part:
    session = onnx_session(network, latents)
    inputs = {session.get_inputs()[0].name: latents.contiguous().numpy()}
    return Part("folded, ONNX Runtime", lambda: session.run(None, inputs), model=eager)


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
