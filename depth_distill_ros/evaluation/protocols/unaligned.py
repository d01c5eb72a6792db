"""Scores of what needs no fit: the outlines of mattes, and the order of marked points.

A matte says nothing about depth, so that there is nothing to fit a prediction to: its disparity
counts as it comes, divided by its largest value and clipped from below where aligned disparity is,
relative depth as 1 / depth. The shift of a relative prediction is in the ratios then (`boundary.py`):
the numbers of models that put their shift differently do not compare well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.boundary import matte_recall
from depth_distill_ros.evaluation.metrics import MIN_DISPARITY, Space
from depth_distill_ros.evaluation.protocols.scoring import ImageScore, resize_prediction
from depth_distill_ros.evaluation.protocols.tasks import MatteErrors, PointErrors
from depth_distill_ros.evaluation.relative_points import PointPair, point_accuracy


def score_matte(name: str, prediction: np.ndarray, alpha: np.ndarray, space: Space) -> ImageScore:
    """Boundary recall of a prediction against a matte.

    prediction: float (h, w), resized bilinearly to the matte's size where it is another; alpha:
    (H, W) in [0, 1]. Raises DataError where nothing is predicted.
    """
    disparity = positive_disparity(resize_prediction(prediction, alpha.shape, name), space, name)
    finite = int(np.count_nonzero(np.isfinite(disparity)))
    errors = MatteErrors(matte_recall(disparity, alpha))
    return ImageScore(name, finite, finite / disparity.size, 1.0, 0.0, errors)


def score_points(
    name: str,
    prediction: np.ndarray,
    shape: tuple[int, ...],
    pairs: Sequence[PointPair],
    space: Space,
) -> ImageScore:
    """Accuracy of a prediction, (h, w), on points marked in an image of a shape (H, W).

    Raises DataError where no points are marked, or outside of the image.
    """
    values = resize_prediction(prediction, shape, name).astype(np.float64)
    try:
        accuracy = point_accuracy(values if space == "disparity" else -values, pairs)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return ImageScore(name, len(pairs), 1.0, 1.0, 0.0, PointErrors(accuracy))


def positive_disparity(prediction: np.ndarray, space: Space, name: str) -> np.ndarray:
    """A prediction (H, W) as disparity in [MIN_DISPARITY, 1], NaN where it is not finite.

    Raises DataError where there is no positive value.
    """
    values = np.where(np.isfinite(prediction), prediction, np.nan).astype(np.float64)
    if not (values > 0).any():
        raise DataError(f"{name}: no pixel has a positive prediction")
    values = values / np.nanmax(values)
    if space == "disparity":
        return np.clip(values, MIN_DISPARITY, None)
    values = 1 / np.clip(values, MIN_DISPARITY, None)
    return values / np.nanmax(values)
