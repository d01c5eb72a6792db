"""From the network's inverse depth to a depth image: larger, with clean edges and a range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_distill_ros.geometry.edges import depth_edges, upsample, upsample_mask
from depth_distill_ros.geometry.scale import depth_from_inverse


@dataclass(frozen=True)
class DepthRange:
    """Where depth is trusted, in metres: nearer is -inf (too close), farther +inf (REP-117)."""

    low: float = 0.0
    high: float = np.inf


def published_depth(
    inverse: np.ndarray,
    size: tuple[int, int],
    edge_threshold: float,
    mask_edges: bool = True,
    limits: DepthRange | None = None,
) -> np.ndarray:
    """Planar depth in metres, float32 of `size` (height, width).

    Inverse depth is what is interpolated: it is linear over a plane's pixels, depth is not. Never
    across an edge: a jump of depth by more than `edge_threshold`, relative to it. With
    `mask_edges` pixels on one are NaN.

    Args:
        inverse: float32 (h, w) in 1/m, NaN where invalid; zero and less is beyond range.
    """
    limits = limits or DepthRange()
    # What is beyond range is all alike: noise around an inverse depth of 0 would be all jumps.
    edges = depth_edges(np.maximum(inverse, np.float32(1 / limits.high)), edge_threshold)
    enlarged = upsample(inverse, edges, size)
    depth = depth_from_inverse(enlarged, out=enlarged)
    if mask_edges:
        depth[upsample_mask(edges, size)] = np.nan
    depth[depth > limits.high] = np.inf
    if limits.low > 0:
        depth[depth < limits.low] = -np.inf
    return depth
