"""An RGB image in, a disparity map out: the one path of node, command line and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from depth_distill_ros.errors import ConfigError, ImageError, OutOfMemoryError
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

    @staticmethod
    def check(rgb: np.ndarray) -> None:
        """Raises ImageError for an image that `infer` would refuse."""
        check_image(rgb)

    @property
    def engine(self) -> str:
        """What runs the network, with its version."""
        return f"torch {torch.__version__}"

    def device_memory(self) -> tuple[int, int] | None:
        """Used and total bytes of the GPU's memory; None on a CPU."""
        if not self.device.startswith("cuda"):
            return None
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free, total

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
            OutOfMemoryError: the image does not fit the device's memory.
        """
        height, width = rgb.shape[:2]
        disparity = self.infer([rgb], resolution)[0]
        if disparity.shape != (height, width):
            disparity = cv2.resize(disparity, (width, height), interpolation=cv2.INTER_LINEAR)
        return DepthMap(disparity=disparity, valid=np.isfinite(disparity))

    def infer(
        self, images: Sequence[np.ndarray], resolution: tuple[int, int] | None = None
    ) -> list[np.ndarray]:
        """Disparities as the network gives them; images of one working size share one pass.

        Args:
            images: each as in `__call__`; their sizes may differ.
            resolution: as in `__call__`.

        Returns:
            For each image float32 (h, w) in [0, 1], with the image's aspect but the network's
            size, NaN where it gave no finite value.

        Raises:
            ImageError: an array has another type, shape or size.
            OutOfMemoryError: the images do not fit the device's memory.
        """
        area = resolution or self._model.config.resolution
        groups: dict[tuple[int, int], list[int]] = {}
        for index, rgb in enumerate(images):
            check_image(rgb)
            size = working_size(*rgb.shape[:2], area, self._model.multiple)
            groups.setdefault(size, []).append(index)
        disparities: list[np.ndarray] = [np.empty(0)] * len(images)
        for size, indices in groups.items():
            batch = np.stack([resize_image(images[index], size) for index in indices])
            for index, disparity in zip(indices, self._run(batch), strict=True):
                disparities[index] = disparity
        return disparities

    def _run(self, batch: np.ndarray) -> np.ndarray:
        """float32 (B, h, w) in [0, 1] of uint8 RGB (B, H, W, 3)."""
        try:
            with torch.inference_mode():
                images = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
                images = images.float().div_(127.5).sub_(1.0)
                output = self._model(images.contiguous(memory_format=torch.channels_last))
                return output[:, 0].float().add_(1.0).mul_(0.5).clamp_(0.0, 1.0).cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not _lacks_memory(error):
                raise
            shape = f"{len(batch)} image(s) of {batch.shape[2]}x{batch.shape[1]} pixels"
        # Outside the handler, whose traceback would keep the tensors of the failed pass alive.
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        raise OutOfMemoryError(
            f"the memory of {self.device} does not suffice for {shape} at once: "
            "use a smaller model, fewer cameras, or free memory"
        )


def _lacks_memory(error: Exception) -> bool:
    """CUDA has a class for it; the CPU's allocators say so in words of their own."""
    words = ("can't allocate memory", "not enough memory", "could not create a memory object")
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(
        word in str(error) for word in words
    )


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
