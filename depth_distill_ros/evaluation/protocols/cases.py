"""Pictures of the images that a model does best and worst on."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from depth_distill_ros.evaluation.figure import Example, draw_figure
from depth_distill_ros.evaluation.metrics import Space
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages, resize_to_edge
from depth_distill_ros.evaluation.protocols.predictors import Predictor
from depth_distill_ros.evaluation.protocols.scoring import (
    ImageScore,
    aligned_depth,
    resize_prediction,
)

CASES = 4
PICTURE_EDGE = 800
"""Long edge of the maps in a picture: a 24-megapixel one would be shrunk anyway."""


def best_and_worst(scores: Sequence[ImageScore]) -> dict[str, list[ImageScore]]:
    """A few scores of each end by AbsRel, the most extreme first."""
    ordered = sorted(scores, key=lambda score: score.errors.abs_rel)
    return {"best": ordered[:CASES], "worst": ordered[::-1][:CASES]}


def draw_cases(
    scores: Sequence[ImageScore],
    images: BenchmarkImages,
    predictor: Predictor,
    space: Space,
    title: str,
) -> np.ndarray:
    """A row an image, uint8 RGB: image, aligned disparity, measured disparity, relative error.

    The images are predicted again: keeping every prediction of a benchmark would fill a disk.
    """
    index = {name: number for number, name in enumerate(images.names)}
    examples = [_example(score, images, index[score.image], predictor, space) for score in scores]
    return draw_figure(examples, title)


def _example(
    score: ImageScore, images: BenchmarkImages, index: int, predictor: Predictor, space: Space
) -> Example:
    image, definition = images[index], images.definition
    rgb = resize_to_edge(image.rgb, definition.input_long_edge)
    prediction = resize_prediction(predictor(rgb, image.name), image.depth.shape, image.name)
    metres = aligned_depth(prediction, score.scale, score.shift, definition, space)
    measured = _smaller(np.where(image.valid, image.depth, np.float32(0)))
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.where(image.valid, np.abs(metres - image.depth) / image.depth, np.nan)
    # One size for all panels: that of the image may differ by rounding, or altogether (ScanNet).
    size = measured.shape[1], measured.shape[0]
    return Example(
        label=f"AbsRel {score.errors.abs_rel:.3f} {image.name[-36:]}",
        rgb=cv2.resize(rgb, size, interpolation=cv2.INTER_AREA),
        disparity=_smaller((1 / metres).astype(np.float32)),
        depth=measured,
        error=_smaller(error.astype(np.float32)),
    )


def _smaller(values: np.ndarray) -> np.ndarray:
    """Every n-th pixel, as they are: averages would mix valid pixels with invalid ones."""
    scale = min(1.0, PICTURE_EDGE / max(values.shape))
    size = max(1, round(values.shape[1] * scale)), max(1, round(values.shape[0] * scale))
    return cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
