"""Depth models of Hugging Face transformers, measured by the same code as ours."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
from depth_distill_ros.evaluation.metrics import Space

PINNED = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[0-9a-f]{40})")


class HuggingFacePipeline:
    """A `depth-estimation` pipeline.

    model: a folder, or `owner/name@<40-digit commit>` on the Hub. The pipeline's own image
    processor decides what size the network sees. What it predicts is not in the model's files in a
    way that can be relied on, so `space` says it: disparity for MiDaS, DPT and Depth Anything (not
    their metric versions), depth for ZoeDepth, GLPN and the like.

    Raises ConfigError without transformers, ModelError for a model that is no such pipeline or has
    no safetensors (pickled weights are not opened).
    """

    def __init__(self, model: str, space: Space, device: str = "auto"):
        self.space = space
        self.name, revision = _locate(model)
        self.checkpoint = revision or checkpoint_digest(Path(model).expanduser())
        try:
            from transformers import pipeline
        except ImportError as error:
            raise ConfigError(
                "models of Hugging Face need transformers: pip install 'depth_distill_ros[peers]'"
            ) from error
        from depth_distill_ros.inference.torch_engine import choose_device

        where = model if revision is None else self.name
        try:
            self._pipeline = pipeline(
                "depth-estimation",
                model=str(Path(where).expanduser()) if revision is None else where,
                revision=revision,
                device=choose_device(device),
                model_kwargs={"use_safetensors": True},
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ModelError(f"{model} is no depth-estimation pipeline: {reason}") from error
        self.parameters = self._pipeline.model.num_parameters()
        self.resolution = _processed_size(self._pipeline.image_processor)

    def __call__(self, rgb: np.ndarray, image: str) -> np.ndarray:
        """The pipeline's `predicted_depth`, float32 (H, W), at the image's size."""
        from PIL import Image

        predicted = self._pipeline(Image.fromarray(rgb))["predicted_depth"]
        predicted = predicted.detach().float().cpu().numpy()
        predicted = predicted.reshape(predicted.shape[-2:])
        if predicted.shape != rgb.shape[:2]:  # some processors leave the network's size
            size = rgb.shape[1], rgb.shape[0]
            predicted = cv2.resize(predicted, size, interpolation=cv2.INTER_LINEAR)
        return predicted


def _locate(model: str) -> tuple[str, str | None]:
    """Name, and the commit of a Hub id. Raises ModelError for an id without its commit."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        if not any(folder.glob("*.safetensors")):
            raise ModelError(f"{folder} is no depth-estimation pipeline with safetensors weights")
        return folder.resolve().name, None
    if match := PINNED.fullmatch(model):
        return match["repo"], match["revision"]
    raise ModelError(
        f"'{model}' is neither a folder nor owner/name@<40-digit commit> on the Hugging Face Hub: "
        "without its commit the weights could change between two measurements"
    )


def _processed_size(processor: object) -> str:
    size = getattr(processor, "size", None)
    values = {key: value for key, value in dict(size or {}).items() if value is not None}
    sides = "x".join(str(value) for value in values.values())
    return f"pipeline at {sides}" if sides else "pipeline at its own size"
