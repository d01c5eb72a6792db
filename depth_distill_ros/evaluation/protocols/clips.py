"""The protocol for one clip: one fit for all of its frames, then the errors of each frame.

As DepthCrafter evaluates video (Hu et al., CVPR 2025, section 4): a fit by least squares over the
valid pixels of all frames, in the space that is predicted, then clipping and errors as for images
(`scoring.py`). Flicker costs accuracy here; a fit an image would hide it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.metrics import depth_errors
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages, resize_to_edge
from depth_distill_ros.evaluation.protocols.predictors import Frame, Predictor
from depth_distill_ros.evaluation.protocols.scoring import (
    ImageScore,
    aligned_depth,
    resize_prediction,
)
from depth_distill_ros.evaluation.temporal import ClipFit


def score_clip(
    images: BenchmarkImages, indices: Sequence[int], predictor: Predictor
) -> list[ImageScore]:
    """The errors of the frames of a clip, which are predicted in order.

    Raises DataError where nothing can be scored, or the fit does not exist.
    """
    definition, space = images.definition, predictor.space
    predictions = predict_clip(predictor, frames_of(images, indices))
    kept, fits = [], []
    for index, prediction in zip(indices, predictions, strict=True):
        image = images[index]  # a second time: a clip of all images might not fit the memory
        prediction = resize_prediction(np.asarray(prediction), image.depth.shape, image.name)
        scored = image.valid & np.isfinite(prediction)
        if not scored.any():
            raise DataError(f"{image.name}: no valid pixel has a prediction")
        values, metres = prediction[scored].astype(np.float64), image.depth[scored]
        # What is fitted is 1 / depth: of the depth for disparity, of its inverse for depth.
        fits.append(ClipFit.of(values, metres if space == "disparity" else 1 / metres))
        coverage = float(np.count_nonzero(scored) / np.count_nonzero(image.valid))
        kept.append((image.name, coverage, values.astype(np.float32), metres))
    scale, shift = sum(fits[1:], start=fits[0]).solve()
    return [
        ImageScore(
            image=name,
            pixels=values.size,
            coverage=coverage,
            scale=scale,
            shift=shift,
            errors=depth_errors(
                aligned_depth(values, scale, shift, definition, space), metres.astype(np.float64)
            ),
        )
        for name, coverage, values, metres in kept
    ]


def frames_of(images: BenchmarkImages, indices: Sequence[int]) -> Iterator[Frame]:
    """The frames of a clip in order, resized as the benchmark says, with their times."""
    definition = images.definition
    for number, index in enumerate(indices):
        image = images[index]
        rgb = resize_to_edge(image.rgb, definition.input_long_edge)
        yield rgb, image.name, number / definition.video.rate


def predict_clip(predictor: Predictor, frames: Iterator[Frame]) -> Iterator[np.ndarray]:
    """As the predictor sees videos, or frame by frame where it sees none."""
    video = getattr(predictor, "video", None)
    return video(frames) if video is not None else (predictor(rgb, name) for rgb, name, _ in frames)
