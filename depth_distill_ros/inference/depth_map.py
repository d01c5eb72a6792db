"""What an inference answers: the disparity of one image."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class DepthMap:
    """Depth of one image, known up to a scale and a shift of the disparity.

    Attributes:
        disparity: float32 (H, W) in [0, 1]; affine-invariant, larger is nearer.
        valid: bool (H, W); False where the network gave no finite value.
    """

    disparity: np.ndarray
    valid: np.ndarray

    @classmethod
    def of_size(cls, disparity: np.ndarray, height: int, width: int) -> DepthMap:
        """From the network's disparity (h, w), at the size of its image."""
        if disparity.shape != (height, width):
            disparity = cv2.resize(disparity, (width, height), interpolation=cv2.INTER_LINEAR)
        return cls(disparity=disparity, valid=np.isfinite(disparity))
