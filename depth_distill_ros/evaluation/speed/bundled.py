"""A model from a camera's image to its disparity, as the node runs it: pre- and post-processing included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from depth_distill_ros.errors import UserError
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part
from depth_distill_ros.inference.engines import EngineError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.export import ExportOptions, export_model
from depth_distill_ros.inference.onnx_engine import OnnxEngine

IMAGE = (640, 480)
"""Width and height of a usual camera's image."""


def from_pixels(
    model: str | None,
    device: str,
    size: tuple[int, int],
    engine: str = "auto",
    say: Callable[[str], None] = print,
) -> Comparison:
    """A uint8 image of (width, height) to disparity of its size.

    Args:
        model: its name or folder; None is the default model.
        device: where.
        size: (width, height) of the image.
        engine: "torch", "onnxruntime", or "auto": both, where both can.
        say: takes a line about why one cannot.

    Raises:
        ModelError: the model does not exist.
        EngineError: the engine that was asked for cannot be used.
    """
    image = np.random.default_rng(0).integers(0, 256, (*reversed(size), 3), dtype=np.uint8)
    estimators = []
    if engine != "onnxruntime":
        estimators.append(DepthEstimator.from_pretrained(model, device, "torch"))
    if engine != "torch":
        try:
            estimators.append(_exported(model, device, image))
        except UserError as error:
            if engine == "onnxruntime":
                raise
            say(f"without ONNX Runtime: {error}")
    parts = tuple(Part(one.engine.label, one, (image,), graph=False) for one in estimators)
    ratios = {}
    if len(parts) == 2:
        ratios["model_torch_over_onnxruntime"] = tuple(part.name for part in parts)
    title = f"{estimators[0].name}, an image of {size[0]}x{size[1]} to its disparity"
    return Comparison(title, parts, ratios, device)


def _exported(model: str | None, device: str, image: np.ndarray) -> DepthEstimator:
    """By the cache's engine or, on a CPU, one that is made for this and compared with PyTorch."""
    try:
        return DepthEstimator.from_pretrained(model, device, "onnxruntime")
    except EngineError:
        if device != "cpu":
            raise
    with TemporaryDirectory() as folder:
        options = ExportOptions(model, output=Path(folder) / "engine")
        estimator = DepthEstimator(OnnxEngine(export_model(options, [image], lambda line: None)))
        estimator(image)  # which reads the graph
    return estimator
