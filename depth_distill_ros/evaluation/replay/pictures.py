"""Pictures of frames for the report: image, depth, truth and error as small JPEGs in the page."""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from depth_distill_ros.evaluation.metrics import valid_depth
from depth_distill_ros.evaluation.replay.journal import Record
from depth_distill_ros.evaluation.replay.measure import DepthRange, relative_error
from depth_distill_ros.geometry.colour import colourise

PIXELS = 320 * 240
"""Of a picture, at most."""

QUALITY = 78
MOMENTS = 160
"""Frames that can be leafed through, at most."""
WORST = 6
BYTES = 9_000_000
"""Of all pictures, before they grow by a third as base64."""

ERROR_END = 0.5
"""Relative error at the bright end of its colours."""


@dataclass(frozen=True)
class Pictures:
    """JPEG files of one frame; those of depth, truth and error only where there is any."""

    frame: int
    panels: dict[str, bytes]

    def uris(self) -> dict[str, str]:
        """Data URIs by panel."""
        return {
            name: "data:image/jpeg;base64," + base64.b64encode(data).decode("ascii")
            for name, data in self.panels.items()
        }


class Album:
    """Pictures of moments, which may be leafed through, and of the worst frames.

    Args:
        near, far: metres, the ends of the colours of depth.
        moments, worst: numbers of the frames that are wanted; the worst one first.
    """

    def __init__(
        self, near: float, far: float, moments: Iterable[int] = (), worst: Iterable[int] = ()
    ):
        self._ends = 1 / far, 1 / near
        self._moments, self._worst = list(moments), list(worst)
        self._pictures: dict[int, Pictures] = {}
        self._aspect = 1.0

    @property
    def wanted(self) -> set[int]:
        return {*self._moments, *self._worst}

    def want(self, frame: int) -> None:
        """One moment more; where they become too many, every second one is dropped."""
        self._moments.append(frame)
        if len(self._moments) >= 2 * MOMENTS:
            for dropped in self._moments[1::2]:
                self._pictures.pop(dropped, None)
            self._moments = self._moments[::2]

    def add(
        self,
        record: Record,
        rgb: np.ndarray,
        depth: np.ndarray | None,
        truth: np.ndarray | None,
        limits: DepthRange,
    ) -> None:
        """Adds a frame: uint8 (H, W, 3), and maps (H, W) in metres, or None."""
        self._aspect = rgb.shape[1] / rgb.shape[0]
        panels = {"image": _jpeg(_smaller_image(rgb))}
        if depth is not None:
            panels["depth"] = self._depth(depth, limits)
        if truth is not None:
            panels["truth"] = self._depth(np.where(truth > 0, truth, np.float32(np.nan)), limits)
        if depth is not None and truth is not None:
            error = smaller_map(relative_error(depth, truth, limits))
            panels["error"] = _jpeg(colourise(error, 0.0, ERROR_END))
        self._pictures[record["frame"]] = Pictures(record["frame"], panels)

    def _depth(self, depth: np.ndarray, limits: DepthRange) -> bytes:
        """Coloured by inverse depth, on one scale for the whole run; beyond range is far."""
        known = valid_depth(depth, (0, np.inf)) | np.isposinf(depth)
        inverse = np.full(depth.shape, np.nan, np.float32)
        inverse[known] = 1 / np.clip(depth[known], *limits)
        return _jpeg(colourise(smaller_map(inverse), *self._ends))

    @property
    def is_wide(self) -> bool:
        """Whether the panels need more width than a quarter of the page."""
        return self._aspect > 2

    def moments(self) -> list[Pictures]:
        """The frames to leaf through, in their order; every second one while they are too large."""
        found = [self._pictures[frame] for frame in self._moments if frame in self._pictures]
        while sum(len(data) for one in found for data in one.panels.values()) > BYTES:
            found = found[::2]
        return found

    def worst_moments(self) -> list[Pictures]:
        """The worst first."""
        return [self._pictures[frame] for frame in self._worst if frame in self._pictures]


def spread_frames(count: int) -> list[int]:
    """The numbers of MOMENTS frames at most, evenly over `count`."""
    return np.unique(np.linspace(0, count - 1, min(count, MOMENTS)).round().astype(int)).tolist()


def worst_frames(errors: np.ndarray) -> list[int]:
    """The WORST largest errors (N,), the largest first; frames beside one of them are left out.

    Neighbours show the same: two frames are a fiftieth of the run apart, and at least five frames.
    """
    chosen: list[int] = []
    for frame in np.argsort(-np.nan_to_num(errors, nan=-1.0), kind="stable").tolist():
        if len(chosen) == WORST or not np.isfinite(errors[frame]):
            break
        if all(abs(frame - other) >= max(5, len(errors) / 50) for other in chosen):
            chosen.append(frame)
    return chosen


def smaller_map(values: np.ndarray) -> np.ndarray:
    """A map of PIXELS at most, NaN where nothing is known.

    The largest value of each block: sparse points must not vanish, and the nearer surface and the
    greater error are what is looked for.
    """
    step = _step(values.shape)
    height, width = (-(-side // step) for side in values.shape)
    padded = np.full((height * step, width * step), -np.inf, np.float32)
    padded[: values.shape[0], : values.shape[1]] = np.where(np.isnan(values), -np.inf, values)
    largest = padded.reshape(height, step, width, step).max(axis=(1, 3))
    return np.where(np.isneginf(largest), np.float32(np.nan), largest)


def _step(shape: tuple[int, ...]) -> int:
    """Of so many rows and columns of a map each one becomes one."""
    return math.ceil(math.sqrt(shape[0] * shape[1] / PIXELS))


def _smaller_image(rgb: np.ndarray) -> np.ndarray:
    step = _step(rgb.shape)
    size = -(-rgb.shape[1] // step), -(-rgb.shape[0] // step)
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if step > 1 else rgb


def _jpeg(rgb: np.ndarray) -> bytes:
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
