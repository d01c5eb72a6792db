"""Depth of a video of any length, in constant memory, in the way that its model was made for.

A video model sees `frames` images at once and gives each such window a scale and a shift of its
own. Neighbouring windows share `overlap` frames: a fit over these brings the later one to
the earlier one's scale and shift, and over them the one fades into the other. (DepthCrafter, Hu et
al., CVPR 2025, joins windows in the latent space while it samples; a network of one step has
nothing in between to join.) Errors of the fits add up from window to window.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from depth_distill_ros.inference.alignment import align_affine
from depth_distill_ros.inference.depth_map import DepthMap

Timed = tuple[np.ndarray, float]
"""uint8 RGB (H, W, 3), as `DepthEstimator` takes it, and its time in seconds, which increases."""


def predict_video(
    estimator: Any, video: Iterable[Timed], native: bool = False
) -> Iterator[np.ndarray]:
    """The disparity of each frame, as soon as it is final.

    The model says which way: a video model in windows, one with a temporal head as a stream, any
    other image by image. A change of the image's size begins a video of its own.

    Args:
        estimator: a `DepthEstimator`.
        video: frames in order. Of a video model's, `frames` are held at most, and the disparities
            of as many and `overlap` more.
        native: let the network see the size of the frames, not the area it was made for.

    Yields:
        float32 (H, W) of the frame's size, affine-invariant, larger is nearer, NaN where the
        network gave no finite value. In [0, 1]; of a video model, the first window alone: the
        others are in its units, and may lie outside.

    Raises:
        ImageError: a frame or a time cannot be used.
        OutOfMemoryError: a window or an image does not fit the device's memory.
    """
    if estimator.frames > 1:
        for _, part in groupby(video, key=lambda timed: np.shape(timed[0])):
            yield from _in_windows(estimator, part, native)
    elif estimator.temporal_window:
        stream = estimator.stream()
        for rgb, stamp in video:
            yield stream(rgb, stamp, rgb.shape[:2] if native else None).disparity
    else:
        for rgb, _ in video:
            yield estimator(rgb, rgb.shape[:2] if native else None).disparity


def way(estimator: Any) -> str:
    """Which of the three ways `predict_video` goes with a model, in words."""
    if estimator.frames > 1:
        return f"windows of {estimator.frames} frames, {estimator.overlap} of them shared"
    if estimator.temporal_window:
        return f"a stream of {estimator.temporal_window} frames in sight"
    return "each image by itself"


def _in_windows(estimator: Any, video: Iterable[Timed], native: bool) -> Iterator[np.ndarray]:
    overlap = estimator.overlap
    pending: list[np.ndarray] = []  # what the next window will be blended with
    for window, new in windows(video, estimator.frames, overlap):
        height, width = window[0][0].shape[:2]
        disparities = _infer(estimator, window, native)[-(len(pending) + new) :]
        disparities = join(pending, disparities)
        final = max(len(disparities) - overlap, 0)
        pending = disparities[final:]
        for disparity in disparities[:final]:
            yield DepthMap.of_size(disparity, height, width).disparity
        del disparities  # before there are those of the next window
    for disparity in pending:
        yield DepthMap.of_size(disparity, height, width).disparity


def _infer(estimator: Any, window: Sequence[Timed], native: bool) -> list[np.ndarray]:
    images, stamps = zip(*window, strict=True)
    return estimator.infer_clip(images, stamps, images[0].shape[:2] if native else None)


def windows(
    video: Iterable[Timed], length: int, overlap: int
) -> Iterator[tuple[Sequence[Timed], int]]:
    """Windows of `length` frames, each `length - overlap` further, and how many of each are new.

    The last one ends with the video and is as long as the others: it shares more frames with the
    one before. Only a video shorter than a window gives a shorter one. A window is valid until the
    next is asked for.
    """
    held: deque[Timed] = deque(maxlen=length)
    new, wanted = 0, length
    for frame in video:
        held.append(frame)
        new += 1
        if new == wanted:
            yield held, new
            new, wanted = 0, length - overlap
    if new:
        yield held, new


def join(before: Sequence[np.ndarray], after: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A window in the units of the one before it, and blended with it.

    Args:
        before: the last frames of the window before, float32 (h, w), NaN where invalid; none for
            the first window.
        after: the window, whose first frames are the same ones.

    Returns:
        As many maps as `after`. The share of frame number i of the n in common is (i + 1) /
        (n + 1) of the later window; where only one of both is valid, that one is taken.
    """
    common = len(before)
    scale, shift = window_fit(after[:common], before)
    aligned = [np.float32(scale) * disparity + np.float32(shift) for disparity in after]
    blended = [
        blend(first, second, (index + 1) / (common + 1))
        for index, (first, second) in enumerate(zip(before, aligned))
    ]
    return blended + aligned[common:]


def window_fit(values: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> tuple[float, float]:
    """Scale (above 0) and shift that bring maps to others of the same frames.

    Least squares one way and the other, and the geometric mean of both scales. One way alone takes
    all differences for errors of the target, and finds a scale too small by the correlation: where
    windows err by a fifth of the maps' deviation 0.96, and after 30 windows a third of the range.

    Without a pixel that is valid in both there is nothing to change: (1, 0). Maps that are
    constant, or fit only upside down, keep their scale.
    """
    if not values:
        return 1.0, 0.0
    x, y = np.stack(values), np.stack(target)
    valid = np.isfinite(x) & np.isfinite(y)
    if not valid.any():
        return 1.0, 0.0
    (forth, _), (back, _) = align_affine(x, y, valid), align_affine(y, x, valid)
    scale = math.sqrt(forth / back) if min(forth, back) > 0 else 1.0
    mean_x, mean_y = (float(each[valid].mean(dtype=np.float64)) for each in (x, y))
    return scale, mean_y - scale * mean_x


def blend(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """float32 (h, w): `share` of the second map, in [0, 1], and the rest of the first.

    Where one is not finite the other is taken.
    """
    mixed = (1 - np.float32(share)) * first + np.float32(share) * second
    mixed = np.where(np.isfinite(first), mixed, second)
    return np.where(np.isfinite(second), mixed, first)
