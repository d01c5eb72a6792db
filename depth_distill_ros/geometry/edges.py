"""Jumps of depth in a map, and resizing that does not interpolate across them.

A model's map is smaller than the image. Bilinear enlargement puts between an object and what is
behind it a ramp of depths where nothing is: "flying pixels" in the cloud.

How jumps are told from slopes. Plain ratios of neighbouring depths cannot: on a floor that is seen
at a grazing angle every row is several per cent farther than the one below. But the inverse depth
of any plane is affine in pixel coordinates, so that its range within a window (largest less
smallest value) doubles when the window's radius does, while the range across a jump stays. So

    jump = 2 * range(radius) - range(2 * radius)

is 0 on every plane and the full step at a jump between surfaces. (Second differences are 0 on
planes as well, but also in the middle of the ramp that a network makes of a jump.) Radius 1 finds
the jumps of sharp maps, radius 2 those that are spread over up to four pixels.

What it costs: a jump with a larger one within two pixels of it may be missed; and where two planes
meet, or the image's border cuts the windows, a plane passes for a jump if it is so steep that its
inverse depth changes from one pixel to the next by more than half of the threshold.
"""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

_RADII = (1, 2, 4)  # each twice the one before


def depth_edges(inverse_depth: np.ndarray, threshold: float) -> np.ndarray:
    """Pixels at a jump of depth, on both of its sides, bool (h, w).

    `inverse_depth` (h, w) float32 in any unit: 1/m once a scale is known. A pixel is at a jump
    where the depths of both sides differ by more than `threshold`, as a ratio: 0.1 finds steps of
    more than 10 %. Values at or below 0 are beyond range, all alike; noise just above 0 is full
    of jumps, so that a map is better clipped at the farthest depth that matters. NaN is no edge
    and makes none.
    """
    invalid = np.isnan(inverse_depth)
    nearest = np.maximum(inverse_depth, np.float32(0))
    farthest = nearest
    if invalid.any():
        nearest = np.where(invalid, np.float32(-np.inf), nearest)
        farthest = np.where(invalid, np.float32(np.inf), farthest)
    windows = [np.ones((2 * radius + 1, 2 * radius + 1), np.uint8) for radius in _RADII]
    near = [cv2.dilate(nearest, window) for window in windows]
    with np.errstate(invalid="ignore", over="ignore"):  # windows of nothing but NaN
        ranges = [
            high - cv2.erode(farthest, window) for high, window in zip(near, windows, strict=True)
        ]
        edges = np.zeros(inverse_depth.shape, bool)
        for high, (inner, outer) in zip(near[:-1], pairwise(ranges), strict=True):
            jump = 2 * inner - outer
            # depths' ratio > 1 + threshold, written for the nearer side, which is never 0
            wanted = jump > high * np.float32(threshold / (1 + threshold))
            # and half of the jump right here: what lies two pixels beside a sharp one is kept
            edges |= wanted & (2 * ranges[0] >= jump)
    edges[invalid] = False
    return edges


def upsample(values: np.ndarray, edges: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """A map (h, w) resized to `size` (height, width), float32, without values between two sides.

    Bilinear; but where one of the pixels that take part is one of `edges` (bool (h, w), or None) or
    is not finite, the value of the nearest pixel. Meant for inverse depth, in which bilinear
    interpolation keeps planes plane.
    """
    values = np.asarray(values, np.float32)
    height, width = size
    if values.shape == (height, width):
        return values.copy()
    apart = ~np.isfinite(values)
    smooth = values
    if apart.any():
        # NaN and infinity times a weight of 0 is NaN: they must not be seen by the interpolation
        smooth = np.where(apart, np.float32(0), values)
    if edges is not None:
        apart |= edges
    resized = cv2.resize(smooth, (width, height), interpolation=cv2.INTER_LINEAR)
    if apart.any():
        weight = cv2.resize(
            apart.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        nearest = cv2.resize(values, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        cv2.copyTo(nearest, (weight > 0).view(np.uint8), resized)
    return resized


def upsample_mask(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask (h, w) resized to `size` (height, width) by the nearest pixel, bool."""
    height, width = size
    resized = cv2.resize(
        mask.view(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    return resized.view(bool)
