"""What a benchmark measures: this package's models, or any other through an adapter.

An adapter is a class with a few attributes and a call, about ten lines::

    class MyModel:
        name = "my-model"
        checkpoint = "v1.2"          # which weights: a digest, a commit
        space = "disparity"          # what it predicts, up to scale and shift; or "depth"
        resolution = "network at 518x518"
        parameters = 25_000_000

        def __init__(self, device):
            self.network = ...

        def __call__(self, rgb, image):
            return self.network(rgb)

`d3epth evaluate --benchmark … --predictor my_model.py:MyModel` measures it. Pipelines of Hugging
Face and folders of saved predictions have adapters here and in `peers.py`.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Protocol, get_args

import numpy as np

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.metrics import Space

ATTRIBUTES = ("name", "checkpoint", "space", "resolution")


Frame = tuple[np.ndarray, str, float]
"""Of a clip: uint8 RGB (H, W, 3), the image's path as below, and seconds since the first frame."""


class Predictor(Protocol):
    """A model as a benchmark sees it.

    One that knows more of a video than its single images may have a method `video` too, of an
    iterable of frames (`Frame`) to their predictions in order.

    Attributes:
        name: of the model, for tables.
        checkpoint: what tells these weights from others of the same model.
        space: "disparity" (larger is nearer) or "depth": the space in which the prediction is right
            up to a scale and a shift.
        resolution: the size that the network sees, in words: "network at 518x518".
        parameters: how many the model has; None where it is not known.
    """

    name: str
    checkpoint: str
    space: Space
    resolution: str
    parameters: int | None

    def __call__(self, rgb: np.ndarray, image: str) -> np.ndarray:
        """Float (h, w), of the image's aspect, NaN where there is no prediction.

        rgb: uint8 (H, W, 3), cropped and resized as the benchmark says. image: its path from the
        benchmark's root.
        """


class OwnModel:
    """A model of this package.

    own_resolution: let the network see the area it was trained for instead of the size that the
    benchmark says (rounded to the network's multiple).
    """

    space: Space = "disparity"

    def __init__(self, estimator: Any, checkpoint: str, own_resolution: bool = False):
        self.name = estimator.name
        self.checkpoint = checkpoint
        self.parameters = estimator.parameters
        self._estimate = estimator
        self._own = own_resolution
        height, width = estimator.resolution
        size = f"{height}x{width} in area" if own_resolution else "the input's size"
        self.resolution = f"network at {size}"

    def __call__(self, rgb: np.ndarray, image: str) -> np.ndarray:
        """The disparity in [0, 1], at the image's size; NaN where it is invalid."""
        depth_map = self._estimate(rgb, None if self._own else rgb.shape[:2])
        return np.where(depth_map.valid, depth_map.disparity, np.float32(np.nan))

    def video(self, frames: Iterable[Frame]) -> Iterator[np.ndarray]:
        """The disparity of each frame of a clip, in the way that the model was made for.

        In windows, as a stream, or image by image (`inference/video.py`).
        """
        from depth_distill_ros.inference.video import predict_video

        timed = ((rgb, stamp) for rgb, _, stamp in frames)
        return predict_video(self._estimate, timed, native=not self._own)


class SavedPredictions:
    """A folder with a .npy file for each image, float (h, w).

    The checkpoint tells the files from others by their names, sizes and times of change.

    The file of `scene/rgb_0001.png` is the first that exists of `scene/rgb_0001.npy`,
    `scene/pred_rgb_0001.npy`, `scene/pred_0001.npy` (the names that Marigold's inference writes)
    and, where no other image has that stem, `rgb_0001.npy`.
    """

    resolution = "predictions as saved"
    parameters = None

    def __init__(self, folder: Path, space: Space, images: list[str], name: str = "saved"):
        if not folder.is_dir():
            raise ConfigError(f"there is no folder {folder} with predictions")
        self.name = name
        self.checkpoint = f"files {_digest_of_listing(folder)}"
        self.space = space
        self._folder = folder
        self._stems = Counter(PurePosixPath(image).stem for image in images)

    def __call__(self, rgb: np.ndarray, image: str) -> np.ndarray:
        """Reads the file. Raises DataError where there is none or it is no map of numbers."""
        candidates = self._candidates(PurePosixPath(image))
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            raise DataError(f"no prediction for {image}: expected {candidates[0]}")
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise DataError(f"{path} is not a .npy file: {error}") from error
        return array.reshape(array.shape[-2:]) if array.ndim > 2 else array

    def _candidates(self, image: PurePosixPath) -> list[Path]:
        beside = self._folder / image.parent
        names = [image.stem, f"pred_{image.stem}", f"pred_{image.stem.rsplit('_')[-1]}"]
        found = [beside / f"{name}.npy" for name in names]
        if self._stems[image.stem] == 1:
            found.append(self._folder / f"{image.stem}.npy")
        return found


def _digest_of_listing(folder: Path) -> str:
    """Of names, sizes and times of change: the content may be tens of gigabytes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.npy")):
        status = path.stat()
        digest.update(f"{path.relative_to(folder)} {status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()[:12]


def load_adapter(reference: str, device: str) -> Predictor:
    """An adapter `file.py:Class`, made with the device; the file is run.

    Raises ConfigError where it is absent or lacks an attribute of `Predictor`.
    """
    match = re.fullmatch(r"(?P<file>.+\.py):(?P<name>\w+)", reference)
    if match is None or not Path(match["file"]).is_file():
        raise ConfigError(
            f"there is no predictor '{reference}': give hf:<pipeline> or file.py:Class"
        )
    spec = importlib.util.spec_from_file_location("d3epth_adapter", match["file"])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    factory = getattr(module, match["name"], None)
    if factory is None:
        raise ConfigError(f"{match['file']} defines no {match['name']}")
    return check_predictor(factory(device), reference)


def check_predictor(predictor: Any, reference: str) -> Predictor:
    """The predictor, refused (ConfigError) where it is not what `Predictor` says."""
    lacking = [name for name in ATTRIBUTES if not isinstance(getattr(predictor, name, None), str)]
    if not hasattr(predictor, "parameters"):
        lacking.append("parameters")
    if lacking or not callable(predictor):
        raise ConfigError(f"{reference} lacks {', '.join(lacking) or 'a call'}")
    if predictor.space not in get_args(Space):
        raise ConfigError(f"{reference}: space is disparity or depth, not {predictor.space!r}")
    return predictor
