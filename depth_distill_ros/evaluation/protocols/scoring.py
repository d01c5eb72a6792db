"""The protocol for one image: fit, clip, errors (Ranftl et al., 2022; Ke et al., 2024, sec. 4.1).

Precisely, as Marigold's evaluation does it:

1. The fit. Scale and shift of the prediction p by least squares, to the depth d over the valid
   pixels (`depth`), or to 1/d over the valid pixels with p > 0 (`disparity`). Both p and d are
   sampled first where the definition says so (ETH3D).
2. Disparity is clipped from below at 1e-3 (1000 m) and inverted.
3. Depth is clipped to the definition's range, then from below at 1e-6.
4. Errors over all valid pixels, those with p <= 0 included.

5. For `boundary`, F1 of the outlines of the fitted depth, which is not clipped to the range for
   that, over all pixels of known depth (`boundary.py`).

Everything is float64. Where no valid pixel has p > 0, all are fitted: a prediction of zeros becomes
the mean disparity. Pixels without a finite prediction are not scored; their share is reported.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.boundary import boundary_f1
from depth_distill_ros.evaluation.metrics import (
    MIN_DEPTH,
    MIN_DISPARITY,
    Space,
    align_affine,
    depth_errors,
)
from depth_distill_ros.evaluation.protocols.definition import Definition, Fit
from depth_distill_ros.evaluation.protocols.tasks import BoundaryErrors, Errors

ASPECT_TOLERANCE = 0.02
"""A prediction whose sides are in another relation was not made for the image that is scored."""


@dataclass(frozen=True)
class ImageScore:
    """What was measured on one image.

    Attributes:
        pixels: valid pixels, or pairs of points, that were scored.
        coverage: their share of the valid ones; below 1 where the prediction is not finite.
        scale, shift: of the fit, in the units of the prediction's space; 1 and 0 without one.
    """

    image: str
    pixels: int
    coverage: float
    scale: float
    shift: float
    errors: Errors


def score_image(
    name: str,
    prediction: np.ndarray,
    depth: np.ndarray,
    valid: np.ndarray,
    definition: Definition,
    space: Space,
    known: np.ndarray | None = None,
) -> ImageScore:
    """Errors of a prediction, affine in disparity or depth as `space` says.

    prediction: float (h, w), resized bilinearly to the depth's size where it is another; depth:
    float32 (H, W) metres; valid: bool (H, W); known: bool (H, W), the pixels among which there are
    outlines, the valid ones by default. Raises DataError where nothing can be scored or the
    prediction has another aspect.
    """
    prediction = resize_prediction(prediction, depth.shape, name)
    scored = valid & np.isfinite(prediction)
    if not scored.any():
        raise DataError(f"{name}: no valid pixel" + (" has a prediction" if valid.any() else ""))
    scale, shift = fit(prediction, depth, scored, definition, space)
    metres = aligned_depth(prediction[scored], scale, shift, definition, space)
    errors = depth_errors(metres, depth[scored].astype(np.float64))
    if definition.task == "boundary":
        known = (valid if known is None else known) & np.isfinite(prediction)
        unlimited = replace(definition, clip=(0.0, math.inf))
        outlines = np.ones(depth.shape)
        outlines[known] = aligned_depth(prediction[known], scale, shift, unlimited, space)
        errors = BoundaryErrors(**asdict(errors), boundary_f1=boundary_f1(outlines, depth, known))
    return ImageScore(
        image=name,
        pixels=int(np.count_nonzero(scored)),
        coverage=float(np.count_nonzero(scored) / np.count_nonzero(valid)),
        scale=scale,
        shift=shift,
        errors=errors,
    )


def fit(
    prediction: np.ndarray,
    depth: np.ndarray,
    valid: np.ndarray,
    definition: Definition,
    space: Space,
) -> tuple[float, float]:
    """Scale and shift of a prediction (H, W), over the pixels that the protocol fits on."""
    window = sampled(depth.shape, definition.fit)
    chosen = valid[window]
    if not chosen.any():  # all valid pixels fall between the samples
        window, chosen = (slice(None), slice(None)), valid
    values, metres = prediction[window], depth[window]
    if space == "disparity" and (chosen & (values > 0)).any():
        chosen = chosen & (values > 0)
    values, metres = values[chosen].astype(np.float64), metres[chosen].astype(np.float64)
    return align_affine(values, 1 / metres if space == "disparity" else metres)


def aligned_depth(
    prediction: np.ndarray, scale: float, shift: float, definition: Definition, space: Space
) -> np.ndarray:
    """Metres, float64, of a prediction of any shape; clipped as the protocol says."""
    aligned = scale * prediction.astype(np.float64) + shift
    if space == "disparity":
        aligned = 1 / np.maximum(aligned, MIN_DISPARITY)
    return np.maximum(np.clip(aligned, *definition.clip), MIN_DEPTH)


def sampled(shape: tuple[int, ...], how: Fit | None) -> tuple:
    """An index that takes the rows and columns of the fit out of an image of the given shape."""
    if how is None or max(shape) <= how.long_edge:
        return slice(None), slice(None)
    factor = how.long_edge / max(shape)
    rows, columns = (
        np.minimum((np.arange(math.floor(side * factor)) / factor).astype(int), side - 1)
        if axis in how.axes
        else np.arange(side)
        for axis, side in zip(("rows", "columns"), shape)
    )
    return np.ix_(rows, columns)


def resize_prediction(prediction: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A prediction at the depth's size. Raises DataError where it is no map of that aspect."""
    if prediction.ndim != 2 or prediction.dtype.kind not in "fiu":
        raise DataError(
            f"the prediction for {name} must be numbers of shape (height, width), is "
            f"{prediction.dtype} {prediction.shape}"
        )
    if prediction.shape == shape:
        return prediction
    stretch = (prediction.shape[1] * shape[0]) / (prediction.shape[0] * shape[1])
    if abs(stretch - 1) > ASPECT_TOLERANCE:
        raise DataError(
            f"the prediction for {name} is {prediction.shape[1]}x{prediction.shape[0]} pixels, the "
            f"depth it is compared with {shape[1]}x{shape[0]}: predict the image as the benchmark "
            "crops it"
        )
    size = shape[1], shape[0]
    return cv2.resize(prediction.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
