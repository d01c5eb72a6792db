"""One photograph with its depth, intrinsics and pose, in the conventions of ROS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from depth_distill_ros.geometry.camera import Intrinsics
from training.scenes.photograph import CameraLook, photograph
from training.scenes.scene import CameraPose

OPTICAL_FROM_GL = np.diag([1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Frame:
    """``rgb`` uint8 (H, W, 3); ``depth`` float32 (H, W), planar z in metres, 0 = sky.

    ``pose`` (4, 4) takes points of the optical frame (z forward, x right, y down) to the world.
    """

    rgb: np.ndarray
    depth: np.ndarray
    intrinsics: Intrinsics
    pose: np.ndarray


def intrinsics_of(tan_half_fov_x: float, size: tuple[int, int]) -> Intrinsics:
    """Pinhole with square pixels and the principal point in the middle; pixel centres integer."""
    width, height = size
    focal = width / (2 * float(tan_half_fov_x))
    return Intrinsics(focal, focal, (width - 1) / 2, (height - 1) / 2, width, height)


def optical_pose(pose: CameraPose) -> np.ndarray:
    """Camera-to-world (4, 4) of the optical frame; the world keeps y up."""
    matrix = np.eye(4)
    matrix[:3, :3] = pose.rotation @ OPTICAL_FROM_GL
    matrix[:3, 3] = pose.eye
    return matrix


def shoot(
    radiance: np.ndarray,
    depth: np.ndarray,
    pose: CameraPose,
    look: CameraLook,
    rng: np.random.Generator,
    exposure: float | None = None,
) -> Frame:
    """Photograph a rendered view (radiance and depth as the renderer returns them)."""
    size = depth.shape[1], depth.shape[0]
    rgb = photograph(radiance, look, rng, exposure)
    return Frame(rgb, depth, intrinsics_of(pose.tan_half_fov_x, size), optical_pose(pose))
