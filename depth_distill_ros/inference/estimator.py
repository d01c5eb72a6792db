"""An RGB image in, a disparity map out: the one path of node, command line and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from depth_distill_ros.errors import ConfigError, ImageError, ModelError
from depth_distill_ros.inference.choice import open_engine
from depth_distill_ros.inference.depth_map import DepthMap
from depth_distill_ros.inference.engines import Engine
from depth_distill_ros.inference.resizing import check_image, resize_image, working_size
from depth_distill_ros.inference.stream import MAX_GAP, DepthStream, check_stamp

if TYPE_CHECKING:  # it imports PyTorch, which not every engine needs
    from depth_distill_ros.models.depth_model import DepthModel


class DepthEstimator:
    """Runs one model on one device, by any engine.

    Attributes:
        engine: what runs the network; it knows about the model (``engine.info``).
        choice: why it is this engine, in words.
    """

    def __init__(self, engine: Engine, choice: str = "asked for"):
        self.engine, self.choice = engine, choice

    @classmethod
    def from_pretrained(
        cls,
        name_or_folder: str | Path | None = None,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "float32",
    ) -> DepthEstimator:
        """Load a bundled model, a folder, or a pinned Hugging Face id; None is the default model.

        Args:
            name_or_folder: the model.
            device: "auto", "cpu", "cuda" or "cuda:N".
            engine: "torch", "onnxruntime", or "auto": what ``d3epth export`` has made of this very
                model, where there is such a thing and it was found right here, else PyTorch.
            precision: of PyTorch: "float32", "float16" or "bfloat16".

        Raises:
            ModelError: the model cannot be found or does not fit its configuration.
            ConfigError: the device does not exist here.
            EngineError: the engine that was asked for cannot be used.
        """
        return cls(*open_engine(name_or_folder, device, engine, precision))

    @classmethod
    def of_model(cls, model: DepthModel, device: str = "auto") -> DepthEstimator:
        """Run a model that is loaded already, by PyTorch; it is moved to the device."""
        from depth_distill_ros.inference.torch_engine import TorchEngine

        return cls(TorchEngine(model, device))

    @property
    def name(self) -> str:
        """The model's name, from its configuration."""
        return self.engine.info.name

    @property
    def device(self) -> str:
        """ "cpu", "cuda" or "cuda:N"."""
        return self.engine.device

    @property
    def resolution(self) -> tuple[int, int]:
        """(height, width) whose area images are resized to, unless a call says otherwise."""
        return self.engine.info.resolution

    @property
    def parameters(self) -> int:
        """How many numbers the model has."""
        return self.engine.info.parameters

    @property
    def temporal_window(self) -> int:
        """Frames that the model can see of a stream; 0: it takes each image by itself."""
        return self.engine.info.temporal_window

    @property
    def frames(self) -> int:
        """Frames of a video that the model is meant to see at once; 1: it takes images."""
        return self.engine.info.frames

    @property
    def overlap(self) -> int:
        """Frames that two neighbouring windows of a video share."""
        return self.engine.info.overlap

    @staticmethod
    def check(rgb: np.ndarray) -> None:
        """Raises ImageError for an image that `infer` would refuse."""
        check_image(rgb)

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
            for index, disparity in zip(indices, self.engine.infer(batch), strict=True):
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
        return list(self.engine.clip(batch, stamps))

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
            ages = np.stack([step.ages for step in steps])
            answers, kept = self.engine.step(batch, ages, [step.memory for step in steps])
            done += zip(indices, answers, steps, kept, strict=True)
        for index, disparity, step, (memory, entry) in done:
            disparities[index] = disparity
            # A value that is not finite would stay in sight for as long as the frame.
            usable = np.isfinite(disparity).all()
            streams[index].finish(step, memory, entry if usable else None)
        return disparities

    def _groups(
        self,
        images: Sequence[np.ndarray],
        resolution: tuple[int, int] | None,
        windows: Sequence[int],
    ) -> list[tuple[tuple[int, int], list[int]]]:
        """Which images share a pass: their working size, and their numbers."""
        info = self.engine.info
        area = resolution or info.resolution
        groups: dict[tuple, list[int]] = {}
        for index, (rgb, window) in enumerate(zip(images, windows, strict=True)):
            check_image(rgb)
            size = working_size(*rgb.shape[:2], area, info.multiple)
            groups.setdefault((size, window), []).append(index)
        return [(size, indices) for (size, _), indices in groups.items()]
