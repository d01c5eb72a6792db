"""Inference that makes do with the memory there is: smaller batches first, then smaller images."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from depth_distill_ros.errors import OutOfMemoryError

if TYPE_CHECKING:
    from depth_distill_ros.inference.stream import DepthStream

Resolution = tuple[int, int] | None

SMALLEST_AREA = 0.25
"""Share of the model's own area below which depth is not worth having."""

RETRY_SECONDS = 60.0
"""After this long at a reduced size the full one is tried again: memory may have been freed."""


class Estimator(Protocol):
    """What is asked of a `DepthEstimator`."""

    @property
    def resolution(self) -> tuple[int, int]: ...

    def infer(
        self, images: Sequence[np.ndarray], resolution: Resolution = None
    ) -> list[np.ndarray]: ...

    def infer_streams(
        self,
        images: Sequence[np.ndarray],
        streams: Sequence[DepthStream],
        stamps: Sequence[float],
        resolution: Resolution = None,
    ) -> list[np.ndarray]: ...


class FrugalEstimator:
    """A `DepthEstimator` that answers lack of memory with less work instead of an error.

    Not thread safe. `clock` gives seconds.
    """

    def __init__(
        self,
        estimator: Estimator,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ):
        self._estimator = estimator
        self._report = report
        self._clock = clock
        self._batch: int | None = None
        self._area = 1.0
        self._reduced_at = 0.0

    @property
    def reduction(self) -> str:
        """What was given up for want of memory, in words; "" for nothing."""
        if self._area < 1:
            return f"{self._area:.0%} of the model's resolution, one image at a time"
        return f"batches of {self._batch}" if self._batch else ""

    def infer(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As `DepthEstimator.infer`, in as many passes as memory asks for.

        Raises OutOfMemoryError where not even one image of a quarter of the area fits; the next
        call tries again.
        """
        return self._in_passes(
            len(images),
            lambda chosen, resolution: self._estimator.infer(images[chosen], resolution),
        )

    def infer_streams(
        self,
        images: Sequence[np.ndarray],
        streams: Sequence[DepthStream],
        stamps: Sequence[float],
    ) -> list[np.ndarray]:
        """As `DepthEstimator.infer_streams`, likewise. At another resolution streams begin anew."""
        return self._in_passes(
            len(images),
            lambda chosen, resolution: self._estimator.infer_streams(
                images[chosen], streams[chosen], stamps[chosen], resolution
            ),
        )

    def _in_passes(
        self, count: int, infer: Callable[[slice, Resolution], list[np.ndarray]]
    ) -> list[np.ndarray]:
        if self.reduction and self._clock() - self._reduced_at > RETRY_SECONDS:
            self._batch, self._area = None, 1.0
        disparities: list[np.ndarray] = []
        while len(disparities) < count:
            start = len(disparities)
            end = min(start + (self._batch or count), count)
            try:
                disparities += infer(slice(start, end), self._resolution())
            except OutOfMemoryError as error:
                self._reduce(end - start, error)
        return disparities

    def _resolution(self) -> Resolution:
        if self._area == 1:
            return None
        height, width = self._estimator.resolution
        side = self._area**0.5
        return max(1, round(height * side)), max(1, round(width * side))

    def _reduce(self, tried: int, error: OutOfMemoryError) -> None:
        self._reduced_at = self._clock()
        if tried > 1:
            self._batch = (tried + 1) // 2
        elif self._area > SMALLEST_AREA:
            self._batch, self._area = 1, self._area / 2
        else:
            raise error
        self._report(f"{error}; going on with {self.reduction}")
