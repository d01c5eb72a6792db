"""What is compared on a stream, side by side: frame by frame, streaming, and moving averages."""

from __future__ import annotations

from typing import Any

import numpy as np

from depth_distill_ros.evaluation.benchmarks import with_invalid
from depth_distill_ros.evaluation.moving_average import MovingAverage

PER_FRAME, STREAMING, AVERAGE = "per frame", "streaming", "moving average"


class Predictors:
    """Sees the frames of one camera in order and gives a disparity by each name.

    Args:
        estimator: the model (`DepthEstimator`). With a temporal head it streams as well.
        window: frames that the streaming head sees at most; the model's own by default.
        others: more models, each frame by frame, by their column's name.

    Attributes:
        names: of the columns.
        window: frames that streaming sees; None for a model that does not stream.

    Raises:
        ModelError: a window is given, but the model has no temporal head.
        ConfigError: the window does not fit the model.
    """

    def __init__(
        self, estimator: Any, window: int | None = None, others: dict[str, Any] | None = None
    ):
        self._estimator, self._others = estimator, others or {}
        self._average = MovingAverage()
        streams = estimator.temporal_window > 0 or window is not None
        self._stream = estimator.stream(window) if streams else None
        self.window = None if self._stream is None else self._stream.window
        streaming = () if self._stream is None else (STREAMING,)
        self.names = (PER_FRAME, *streaming, AVERAGE, *self._others)

    def reset(self) -> None:
        """Forget all frames, before another take."""
        self._average.reset()
        if self._stream is not None:
            self._stream.reset()

    def __call__(self, rgb: np.ndarray, stamp: float) -> dict[str, np.ndarray]:
        """Float32 (H, W) by name, NaN where invalid; uint8 RGB (H, W, 3), seconds."""
        per_frame = with_invalid(self._estimator(rgb))
        maps = {PER_FRAME: per_frame}
        if self._stream is not None:
            maps[STREAMING] = with_invalid(self._stream(rgb, stamp=stamp))
        maps[AVERAGE] = self._average(per_frame)
        for name, other in self._others.items():
            maps[name] = with_invalid(other(rgb))
        return maps
