"""An RGB image in, a disparity map out: the one path of node, command line and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from depth_distill_ros.errors import ConfigError, ImageError, ModelError, OutOfMemoryError
from depth_distill_ros.inference.depth_map import DepthMap
from depth_distill_ros.inference.resizing import check_image, resize_image, working_size
from depth_distill_ros.inference.stream import MAX_GAP, DepthStream, Step, check_stamp, joined
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import Memory
from depth_distill_ros.models.layout import to_channels_last


class DepthEstimator:
    """Runs one model on one device.

    Attributes:
        name: the model's name, from its configuration.
        device: "cpu", "cuda" or "cuda:N".
    """

    def __init__(self, model: DepthModel, device: str = "auto"):
        self.device = choose_device(device)
        self.name = model.config.name
        self._model = to_channels_last(model.eval().to(self.device))

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

    @property
    def temporal_window(self) -> int:
        """Frames that the model can see of a stream; 0: it takes each image by itself."""
        return self._model.temporal_window

    @property
    def frames(self) -> int:
        """Frames of a video that the model is meant to see at once; 1: it takes images."""
        return self._model.config.frames

    @property
    def overlap(self) -> int:
        """Frames that two neighbouring windows of a video share."""
        return self._model.config.overlap

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
        disparity = self.infer([rgb], resolution)[0]
        return DepthMap.of_size(disparity, *rgb.shape[:2])

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
        disparities: list[np.ndarray] = [np.empty(0)] * len(images)
        for size, indices in self._groups(images, resolution, [0] * len(images)):
            batch = np.stack([resize_image(images[index], size) for index in indices])
            answers, _ = self._run(batch, lambda pixels: (self._model(pixels), []))
            for index, disparity in zip(indices, answers, strict=True):
                disparities[index] = disparity
        return disparities

    def infer_clip(
        self,
        images: Sequence[np.ndarray],
        stamps: Sequence[float],
        resolution: tuple[int, int] | None = None,
    ) -> list[np.ndarray]:
        """Disparities of the frames of a video, which a video model sees at once.

        Args:
            images: of one size, each as in `__call__`.
            stamps: seconds, not decreasing.
            resolution: as in `__call__`.

        Returns:
            As `infer`.

        Raises:
            ImageError: an array has another type, shape or size; images differ in size.
            OutOfMemoryError: the clip does not fit the device's memory.
        """
        groups = self._groups(images, resolution, [0] * len(images))
        if len({image.shape for image in images}) > 1:
            raise ImageError("the images of a clip differ in size: give those of one video")
        ((size, _),) = groups
        batch = np.stack([resize_image(image, size) for image in images])
        answers, _ = self._run(batch, partial(self._clip, stamps))
        return list(answers)

    def _clip(self, stamps: Sequence[float], images: torch.Tensor) -> tuple[torch.Tensor, list]:
        if not self.temporal_window:
            return self._model(images, frames=len(images)), []
        times = torch.tensor([stamps], dtype=torch.float64, device=self.device)
        return self._model.forward_clip(images[None], times, joint=True)[0], []

    def stream(self, window: int | None = None, max_gap: float = MAX_GAP) -> DepthStream:
        """The state of one camera, to be handed images one by one.

        Args:
            window: frames that a frame sees, itself among them; the model's own by default.
            max_gap: seconds without an image after which the stream begins anew.

        Raises:
            ModelError: the model has no temporal head.
            ConfigError: the window is larger than the model's, or no positive number.
        """
        own = self.temporal_window
        if not own:
            raise ModelError(
                f"the model {self.name} takes each image by itself, it has no temporal head: use "
                "d3epth-tiny-stream, or train one with `python -m training.stream`"
            )
        window = own if window is None else window
        if not 1 <= window <= own:
            raise ConfigError(
                f"a window of {window} frames was asked for, and the model {self.name} sees {own} "
                f"at once: give a number from 1 to {own}"
            )
        return DepthStream(self, window, max_gap)

    def infer_streams(
        self,
        images: Sequence[np.ndarray],
        streams: Sequence[DepthStream],
        stamps: Sequence[float],
        resolution: tuple[int, int] | None = None,
    ) -> list[np.ndarray]:
        """The next images of several streams; those of one working size and window share a pass.

        Args:
            images: each as in `__call__`; their sizes may differ.
            streams: of this estimator, a different one for each image.
            stamps: seconds, of each image.
            resolution: as in `__call__`.

        Returns:
            As `infer`. What a stream gives does not depend on those beside it.

        Raises:
            ImageError: an array or a stamp cannot be used.
            OutOfMemoryError: the images do not fit the device's memory.

        After an error no stream has changed.
        """
        for stamp in stamps:
            check_stamp(stamp)
        disparities: list[np.ndarray] = [np.empty(0)] * len(images)
        done = []
        windows = [stream.window for stream in streams]
        for size, indices in self._groups(images, resolution, windows):
            batch = np.stack([resize_image(images[index], size) for index in indices])
            steps = [
                streams[index].begin(pixels, images[index].shape[:2], stamps[index])
                for index, pixels in zip(indices, batch, strict=True)
            ]
            answers, kept = self._run(batch, partial(self._step, steps))
            done += zip(indices, answers, steps, kept, strict=True)
        with torch.inference_mode():
            for index, disparity, step, (memory, entry) in done:
                disparities[index] = disparity
                # A value that is not finite would stay in sight for as long as the frame.
                usable = np.isfinite(disparity).all()
                streams[index].finish(step, memory, entry if usable else None)
        return disparities

    def _step(
        self, steps: Sequence[Step], images: torch.Tensor
    ) -> tuple[torch.Tensor, list[tuple[Memory, Memory]]]:
        """Disparity (B, 1, h, w) of one image a stream, and for each its memory and its entry."""
        height, width = images.shape[-2:]
        memories = [
            step.memory or self._model.new_memory(1, height, width, len(step.stamps) + 1)
            for step in steps
        ]
        ages = torch.from_numpy(np.stack([step.ages for step in steps])).to(self.device)
        output, entries = self._model.step(images, ages, joined(memories))
        each = [[tensor[number, None] for tensor in entries] for number in range(len(steps))]
        return output, list(zip(memories, each, strict=True))

    def _groups(
        self,
        images: Sequence[np.ndarray],
        resolution: tuple[int, int] | None,
        windows: Sequence[int],
    ) -> list[tuple[tuple[int, int], list[int]]]:
        """Which images share a pass: their working size, and their numbers."""
        area = resolution or self._model.config.resolution
        groups: dict[tuple, list[int]] = {}
        for index, (rgb, window) in enumerate(zip(images, windows, strict=True)):
            check_image(rgb)
            size = working_size(*rgb.shape[:2], area, self._model.multiple)
            groups.setdefault((size, window), []).append(index)
        return [(size, indices) for (size, _), indices in groups.items()]

    def _run(
        self, batch: np.ndarray, network: Callable[[torch.Tensor], tuple[torch.Tensor, list]]
    ) -> tuple[np.ndarray, list]:
        """The network's disparity of uint8 RGB (B, H, W, 3), and what else it gives.

        The disparity is float32 (B, h, w) in [0, 1].
        """
        try:
            with torch.inference_mode():
                images = torch.from_numpy(batch).to(self.device).permute(0, 3, 1, 2)
                images = images.float().div_(127.5).sub_(1.0)
                output, more = network(images.contiguous(memory_format=torch.channels_last))
                output = output[:, 0].float().add_(1.0).mul_(0.5).clamp_(0.0, 1.0)
                return output.cpu().numpy(), more
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
