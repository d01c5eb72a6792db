"""What is compared on a stream, side by side: frame by frame, streaming, in windows, averaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from depth_distill_ros.evaluation.benchmarks import with_invalid
from depth_distill_ros.evaluation.frames import Frame
from depth_distill_ros.evaluation.moving_average import MovingAverage
from depth_distill_ros.inference.video import predict_video

PER_FRAME, STREAMING, WINDOWS, AVERAGE = "per frame", "streaming", "windows", "moving average"


class Predictors:
    """Sees the frames of one camera in order and gives a disparity by each name.

    Args:
        estimator: the model (`DepthEstimator`). With a temporal head it streams as well; a video
            model sees windows of the take as well.
        window: frames that the streaming head sees at most; the model's own by default.
        others: more models, each frame by frame, by their column's name.

    Attributes:
        names: of the columns.
        window: frames that streaming sees; None for a model that does not stream.
        windows: frames of a window, and how many two share; None for a model of images.

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
        self.windows = (estimator.frames, estimator.overlap) if estimator.frames > 1 else None
        self._video: Iterator[np.ndarray] = iter(())
        streaming = () if self._stream is None else (STREAMING,)
        windows = () if self.windows is None else (WINDOWS,)
        self.names = (PER_FRAME, *streaming, *windows, AVERAGE, *self._others)

    def begin(self, frames: Iterable[Frame]) -> None:
        """Forget all frames, before those of another take.

        They are read from here a second time where windows look ahead of the frames that are
        handed in.
        """
        self._average.reset()
        if self._stream is not None:
            self._stream.reset()
        if self.windows is not None:
            self._video = predict_video(self._estimator, ((f.rgb, f.stamp) for f in frames))

    def __call__(self, rgb: np.ndarray, stamp: float) -> dict[str, np.ndarray]:
        """Float32 (H, W) by name, NaN where invalid; uint8 RGB (H, W, 3), seconds.

        Frames come in the order of `begin`.
        """
        per_frame = with_invalid(self._estimator(rgb))
        maps = {PER_FRAME: per_frame}
        if self._stream is not None:
            maps[STREAMING] = with_invalid(self._stream(rgb, stamp=stamp))
        if self.windows is not None:
            maps[WINDOWS] = next(self._video)
        maps[AVERAGE] = self._average(per_frame)
        for name, other in self._others.items():
            maps[name] = with_invalid(other(rgb))
        return maps
