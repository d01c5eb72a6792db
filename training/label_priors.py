"""Data-driven models that pseudo-labels come from, by name: disparity of a photo, whosever it is."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from depth_distill_ros.errors import DataError, ModelError
from depth_distill_ros.evaluation.benchmarks import checkpoint_digest, with_invalid
from depth_distill_ros.evaluation.protocols.peers import HuggingFacePipeline
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.inference.resizing import check_image, resize_image, working_size
from depth_distill_ros.inference.torch_engine import choose_device
from depth_distill_ros.models import hub
from depth_distill_ros.models.provenance import Credit, public_name, read_provenance
from training.history import inherited_licence_of
from training.latents import RANDOM, TRANSFORMERS, load_model

PART = "prior:"
_PRIOR_MULTIPLE = 32


class LabelPrior(Protocol):
    """A model that gives relative disparity, of any scale and shift.

    Attributes:
        checkpoint: what its weights are known by; empty where there are none.
    """

    checkpoint: str

    def __call__(self, rgb: np.ndarray, photo: str) -> np.ndarray:
        """Disparity float (h, w), of any size, NaN where it is unknown, of uint8 RGB (H, W, 3).

        ``photo`` is its path relative to the folder of photos. Raises ImageError for a photo that
        cannot be used, DataError where the prior has no answer.
        """
        ...


def open_prior(name: str, device: str = "auto") -> LabelPrior:
    """The prior of a name.

    Args:
        name: ``hf:`` and a folder or pinned Hub id of a depth-estimation pipeline that predicts
            disparity (Depth Anything V2); ``prior:`` and a model of this package, whose own prior
            is taken; a folder of predictions, ``<photo's path without suffix>.npy``; or a model of
            this package.
        device: of the network; "auto" is CUDA where there is any.

    Raises:
        ModelError: there is nothing of that name, or the model has no prior.
    """
    if name.startswith(TRANSFORMERS):
        return HuggingFacePipeline(name.removeprefix(TRANSFORMERS), "disparity", device)
    if name.startswith(PART):
        return _ModelPrior(name.removeprefix(PART), device)
    folder = Path(name).expanduser()
    if folder.is_dir() and not (folder / "config.json").is_file():
        return _Predictions(folder)
    return _Model(name, device)


def prior_credit(name: str, licence: str) -> Credit:
    """The prior as a model card names it; an empty licence takes what a local folder says."""
    source = name.removeprefix(TRANSFORMERS).removeprefix(PART)
    folder = hub.bundled_models().get(source, Path(source).expanduser())
    if not licence and folder.is_dir():
        licence = inherited_licence_of(read_provenance(folder))
    title = public_name(source).split("@")[0] + (" (its prior)" if name.startswith(PART) else "")
    return Credit(title, public_name(source), licence, "teacher")


class _ModelPrior:
    """The prior in front of a model of this package."""

    def __init__(self, name: str, device: str):
        self.checkpoint = _digest(name)
        model = load_model(name, empty_unet=True)
        if model.prior is None:
            raise ModelError(f"the model '{name}' has no prior: give {PART} and one that has")
        self._resolution = model.config.resolution
        self._device = choose_device(device)
        self._prior = model.prior.to(self._device)

    def __call__(self, rgb: np.ndarray, photo: str) -> np.ndarray:
        check_image(rgb)
        size = working_size(*rgb.shape[:2], self._resolution, _PRIOR_MULTIPLE)
        pixels = torch.from_numpy(resize_image(rgb, size)).to(self._device).permute(2, 0, 1)
        with torch.inference_mode():
            disparity = self._prior.disparity_map(pixels[None].float() / 127.5 - 1)
        return disparity[0, 0].float().cpu().numpy()


class _Model:
    """A whole model of this package."""

    def __init__(self, name: str, device: str):
        self.checkpoint = _digest(name)
        self._estimator = DepthEstimator.of_model(load_model(name), device)

    def __call__(self, rgb: np.ndarray, photo: str) -> np.ndarray:
        return with_invalid(self._estimator(rgb))


class _Predictions:
    """Maps that somebody else has made."""

    checkpoint = ""

    def __init__(self, folder: Path):
        self._folder = folder

    def __call__(self, rgb: np.ndarray, photo: str) -> np.ndarray:
        path = (self._folder / photo).with_suffix(".npy")
        try:
            disparity = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(f"{photo} has no prediction {path}: {error}") from error
        if disparity.squeeze().ndim != 2:
            raise DataError(f"{path} is no map of disparity: its shape is {disparity.shape}")
        return disparity.squeeze().astype(np.float32)


def _digest(name: str) -> str:
    return name if name.startswith(RANDOM) else checkpoint_digest(hub.resolve(name))
