"""An RGB image in, a disparity map out: the one path of node, command line and evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from depth_distill_ros.errors import ConfigError, ImageError
from depth_distill_ros.models.depth_model import DepthModel

MIN_SIDE, MAX_SIDE = 32, 4096


@dataclass(frozen=True)
class DepthMap:
    """Depth of one image, known up to a scale and a shift of the disparity.

    Attributes:
        disparity: float32 (H, W) in [0, 1]; affine-invariant, larger is nearer.
        valid: bool (H, W); False where the network gave no finite value.
    """

    disparity: np.ndarray
    valid: np.ndarray


class DepthEstimator:
    """Runs one model on one device.

    Attributes:
        name: the model's name, from its configuration.
        device: "cpu", "cuda" or "cuda:N".
    """

    def __init__(self, model: DepthModel, device: str = "auto"):
        self.device = choose_device(device)
        self.name = model.config.name
        self._model = model.eval().to(self.device, memory_format=torch.channels_last)

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path | None = None, device: str = "auto"
    ) -> DepthEstimator:
        """Load a bundled model, a folder, or a pinned Hugging Face id; None is the default model.

        Raises:
            ModelError: the model cannot be found or does not fit its configuration.
            ConfigError: the device does not exist here.
        """
        choose_device(device)  # a wrong device is refused before weights are read
        return cls(DepthModel.from_pretrained(name_or_folder), device)

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) whose area images are resized to, unless a call says otherwise."""
        return self._model.config.resolution

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return sum(values.numel() for values in self._model.parameters())

    def __call__(self, rgb: np.ndarray, resolution: tuple[int, int] | None = None) -> DepthMap:
        """Estimate the disparity of one image.

        Args:
            rgb: uint8 (H, W, 3), sides from 32 to 4096 pixels, any aspect.
            resolution: (height, width) whose area the network is to see, in multiples of its own
                and with the image's aspect; the model's by default.

        Returns:
            The disparity at the input's size.

        Raises:
            ImageError: the array has another type, shape or size.
        """
        check_image(rgb)
        height, width = rgb.shape[:2]
        area = resolution or self._model.config.resolution
        working = working_size(height, width, area, self._model.multiple)
        resized = resize_image(rgb, working)
        with torch.inference_mode():
            images = torch.from_numpy(resized).to(self.device).permute(2, 0, 1)[None]
            images = images.float().div_(127.5).sub_(1.0)
            output = self._model(images.contiguous(memory_format=torch.channels_last))
            disparity = output[0, 0].float().add_(1.0).mul_(0.5).clamp_(0.0, 1.0).cpu().numpy()
        if disparity.shape != (height, width):
            disparity = cv2.resize(disparity, (width, height), interpolation=cv2.INTER_LINEAR)
        return DepthMap(disparity=disparity, valid=np.isfinite(disparity))


def choose_device(device: str) -> str:
    """The device to run on: "auto" is CUDA where there is any, else the CPU.

    Raises:
        ConfigError: the name is unknown, or CUDA was asked for and there is none.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    kind = device.split(":")[0]
    if kind not in ("cpu", "cuda"):
        raise ConfigError(f"there is no device '{device}': use auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device '{device}' was asked for, but this PyTorch finds no CUDA GPU: "
            "use device auto or cpu, or install a CUDA build (make TORCH=cuda)"
        )
    return device


def check_image(rgb: np.ndarray) -> None:
    """Refuse anything but uint8 (H, W, 3) with sides from 32 to 4096 pixels (ImageError)."""
    if not isinstance(rgb, np.ndarray) or rgb.dtype != np.uint8:
        kind = getattr(rgb, "dtype", type(rgb).__name__)
        raise ImageError(f"expected a uint8 RGB array, got {kind}: convert the image first")
    if rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ImageError(f"expected the shape (height, width, 3), got {rgb.shape}")
    if min(rgb.shape[:2]) < MIN_SIDE or max(rgb.shape[:2]) > MAX_SIDE:
        raise ImageError(
            f"the image is {rgb.shape[1]}x{rgb.shape[0]} pixels: "
            f"sides from {MIN_SIDE} to {MAX_SIDE} are supported"
        )


def working_size(
    height: int, width: int, resolution: tuple[int, int], multiple: int
) -> tuple[int, int]:
    """(height, width) near the model's area and the image's aspect, in multiples of ``multiple``."""
    scale = (resolution[0] * resolution[1] / (height * width)) ** 0.5
    limit = 8 * max(resolution)  # extreme aspects must not grow without bound
    sides = (max(1, round(side * scale / multiple)) * multiple for side in (height, width))
    first, second = (min(side, limit // multiple * multiple) for side in sides)
    return first, second


def resize_image(rgb: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize to (height, width): area averages when shrinking, bilinear when growing."""
    height, width = size
    if rgb.shape[:2] == (height, width):
        return np.ascontiguousarray(rgb)
    shrinks = rgb.shape[0] * rgb.shape[1] > height * width
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(rgb, (width, height), interpolation=method)
