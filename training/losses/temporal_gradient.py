r"""Temporal gradient matching: what changes from one frame to the next, and only that.

Source: Chen et al. 2025 (Video Depth Anything), temporal gradient matching loss.
"""

from __future__ import annotations

from torch import Tensor

from training.losses.masking import blank_invalid_clip, quotient
from training.losses.precision import full_precision


@full_precision
def count_temporal(
    target: Tensor,
    mask: Tensor,
    starts: Tensor | None = None,
    threshold: float = 0.05,
    target_range: float = 1.0,
) -> Tensor:
    """M of :func:`temporal_gradient_loss`: the pixel pairs that count, a scalar.

    Arguments and errors as there.
    """
    _, target, weights = blank_invalid_clip(target, target, mask)
    return _pair_weights(target, weights, starts, threshold * target_range).sum()


@full_precision
def temporal_gradient_loss(
    prediction: Tensor,
    target: Tensor,
    mask: Tensor,
    starts: Tensor | None = None,
    threshold: float = 0.05,
    count: Tensor | None = None,
    target_range: float = 1.0,
) -> Tensor:
    r"""Mean absolute difference of the changes between adjacent frames, pixel by pixel.

    .. math::
        L = \frac{1}{M} \sum_{t} \sum_i
            \big| (p_{t+1,i} - p_{t,i}) - (g_{t+1,i} - g_{t,i}) \big| , \quad
        |g_{t+1,i} - g_{t,i}| < \mathrm{threshold} \cdot \mathrm{range}

    The M pairs that count are those whose target hardly changes. A larger change is mostly an edge
    that has moved across the pixel, and there the two frames show different surfaces. A pair with
    an invalid pixel, or across a cut, does not count either; with weights, the product of its two
    pixels' weights is its own. An error that stays the same over time costs nothing here.

    Frames are adjacent as they lie in the clip, however much time has passed between them. The
    published loss takes the range of each frame's own target; here it is that of the normalisation.

    Args:
        prediction: disparity (B, T, 1, H, W), on the target's scale and shift: one of each for a
            clip, since a fit for each frame would take out what is measured.
        target: disparity (B, T, 1, H, W), normalised over the clip.
        mask: (B, T, 1, H, W), bool or non-negative weights.
        starts: bool (B, T), where another scene begins; None: nowhere. The first is not read.
        threshold: share of the target's range, > 0.
        count: M in place of these arguments' own (:func:`count_temporal`), see
            :mod:`training.losses`.
        target_range: of a normalised target: 1 for [0, 1], 2 for [-1, 1].

    Returns:
        A scalar ≥ 0 in the target's unit; 0 without a pair that counts, as in a clip of one frame.

    Raises:
        ValueError: shapes that do not fit each other, or a threshold or range that is not positive.
    """
    prediction, target, weights = blank_invalid_clip(prediction, target, mask)
    weights = _pair_weights(target, weights, starts, threshold * target_range)
    error = _changes(prediction - target).abs()
    return quotient((weights * error).sum(), weights.sum() if count is None else count)


def _pair_weights(target: Tensor, weights: Tensor, starts: Tensor | None, limit: float) -> Tensor:
    """Weights (B, T−1, 1, H, W) of the pairs of a frame and the next, 0 where none counts."""
    if not limit > 0:
        raise ValueError(f"threshold times range must be positive, got {limit}")
    pairs = weights[:, 1:] * weights[:, :-1] * (_changes(target).abs() < limit)
    if starts is None:
        return pairs
    if starts.shape != target.shape[:2]:
        raise ValueError(f"starts must be {tuple(target.shape[:2])}, got {tuple(starts.shape)}")
    return pairs * ~starts[:, 1:, None, None, None].bool()


def _changes(clip: Tensor) -> Tensor:
    return clip[:, 1:] - clip[:, :-1]
