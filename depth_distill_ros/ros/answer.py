"""What is made of one disparity map: larger maps, depth in metres, clouds; each once."""

from __future__ import annotations

import cv2
import numpy as np

from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.edges import upsample
from depth_distill_ros.geometry.point_cloud import coloured_cloud
from depth_distill_ros.geometry.publishing import DepthRange, published_depth
from depth_distill_ros.geometry.scale import nominal_inverse_depth
from depth_distill_ros.geometry.scale_tracker import ScaleState
from depth_distill_ros.ros.settings import Settings


class Answer:
    """The depth of one image, in the sizes and units that are asked for.

    Args:
        rgb: uint8 (H, W, 3).
        disparity: of the network, float32 (h, w) in [0, 1], NaN where invalid.

    Attributes:
        network: that disparity.
        size: (height, width) of what is published.
    """

    def __init__(self, rgb: np.ndarray, disparity: np.ndarray, settings: Settings):
        self.network = disparity
        self._rgb = rgb
        self._settings = settings
        own_size = settings.depth_output_size == "model"
        self.size: tuple[int, int] = disparity.shape if own_size else rgb.shape[:2]
        self._enlarged: np.ndarray | None = None
        self._metric: np.ndarray | None = None

    def disparity(self) -> np.ndarray:
        """float32 of `size`."""
        if self._enlarged is None:
            self._enlarged = upsample(self.network, None, self.size)
        return self._enlarged

    def metric_depth(self, state: ScaleState) -> np.ndarray:
        """Metres, float32 of `size`: NaN invalid, +inf beyond range, -inf too close."""
        if self._metric is None:
            limits = DepthRange(self._settings.depth_min_range, self._settings.depth_max_range)
            self._metric = self._published(state.inverse_depth(self.network), limits)
        return self._metric

    def cloud(self, state: ScaleState | None, intrinsics: Intrinsics) -> np.ndarray:
        """POINT array, thinned as the settings say; with a scale metric, else for looking."""
        settings, rgb = self._settings, self._rgb
        if state is None:
            near, far = settings.relative_near, settings.relative_far
            depth = self._published(nominal_inverse_depth(self.network, near, far), None)
        else:
            depth = self.metric_depth(state)
        if rgb.shape[:2] != self.size:
            rgb = cv2.resize(rgb, self.size[::-1], interpolation=cv2.INTER_AREA)
        step, start = settings.cloud_decimation, settings.cloud_decimation // 2
        if step > 1:
            depth, rgb = depth[start::step, start::step], rgb[start::step, start::step]
            intrinsics = intrinsics.decimated(step)
        low, high = settings.cloud_min_range, settings.cloud_max_range
        is_cut = low <= settings.depth_min_range and high >= settings.depth_max_range
        if state is not None and not is_cut:  # it takes half a millisecond
            depth = np.where((depth < low) | (depth > high), np.float32(np.nan), depth)
        return coloured_cloud(depth, rgb, intrinsics)

    def _published(self, inverse: np.ndarray, limits: DepthRange | None) -> np.ndarray:
        settings = self._settings
        return published_depth(
            inverse, self.size, settings.depth_edge_threshold, settings.depth_edge_mask, limits
        )
