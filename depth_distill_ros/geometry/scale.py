"""From the model's affine-invariant disparity to depth in metres.

The model knows disparity, the inverse of depth, up to an unknown scale and shift per scene:
1 / z = scale * disparity + shift. The fit belongs in this space; an affine map of *depth* cannot
express it and bends flat walls.
"""

from __future__ import annotations

import math

import numpy as np

from depth_distill_ros.errors import ConfigError


def metric_depth(disparity: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """Planar depth in metres, float32 (H, W), from disparity (H, W) in the model's units.

    NaN stays NaN; where the scaled disparity is zero or negative the surface is beyond range: +inf
    (REP-117). Raises ConfigError as `metric_inverse_depth`.
    """
    inverse = metric_inverse_depth(disparity, scale, shift)
    return depth_from_inverse(inverse, out=inverse)


def metric_inverse_depth(disparity: np.ndarray, scale: float, shift: float) -> np.ndarray:
    """scale * disparity + shift in 1/m, float32 (H, W); NaN stays NaN.

    `scale` and `shift` are in 1/m per unit of disparity and 1/m. Raises ConfigError where one is
    not finite or the scale is not positive.
    """
    if not (math.isfinite(scale) and math.isfinite(shift)) or scale <= 0:
        raise ConfigError(
            "the disparity scale must be a positive number and the shift a finite one, "
            f"got scale={scale}, shift={shift}"
        )
    inverse = disparity.astype(np.float32)
    inverse *= np.float32(scale)
    inverse += np.float32(shift)
    return inverse


def depth_from_inverse(inverse: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Planar depth in metres, float32, from inverse depth in 1/m, float32 of any shape.

    NaN stays NaN; zero and negative inverse depth is beyond range: +inf (REP-117). `out` may be
    `inverse` itself.
    """
    # 1/0 is +inf, as wanted; negative values, and -0.0, are brought to +0.0 first.
    positive = np.maximum(inverse, np.float32(0), out=out)
    positive += np.float32(0)
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(np.float32(1), positive, out=positive)


def nominal_depth(disparity: np.ndarray, near: float, far: float) -> np.ndarray:
    """Depth between `near` and `far` metres for disparity from 1 to 0: for looking, not measuring.

    Linear in inverse depth: 1/z = disparity * (1/near - 1/far) + 1/far. float32 (H, W), NaN stays
    NaN; disparity outside [0, 1] is clipped. Raises ConfigError unless 0 < near < far.
    """
    return depth_from_inverse(nominal_inverse_depth(disparity, near, far))


def nominal_inverse_depth(disparity: np.ndarray, near: float, far: float) -> np.ndarray:
    """Inverse of `nominal_depth`, float32 (H, W) in 1/m. Raises ConfigError as it does."""
    if not 0 < near < far:
        raise ConfigError(
            f"the nominal range must satisfy 0 < near < far, got near={near}, far={far}"
        )
    inverse = np.clip(disparity, 0, 1).astype(np.float32, copy=False)
    return inverse * np.float32(1 / near - 1 / far) + np.float32(1 / far)
