"""The matrices of OpenGL cameras: views and projections, of lights as of eyes."""

from __future__ import annotations

import numpy as np


def view_matrix(rotation: np.ndarray, eye) -> np.ndarray:
    """World to camera (4, 4) of a camera-to-world rotation and position."""
    matrix = np.eye(4)
    matrix[:3, :3] = rotation.T
    matrix[:3, 3] = -rotation.T @ np.asarray(eye, np.float64)
    return matrix


def perspective(tan_x: float, tan_y: float, near: float, far: float) -> np.ndarray:
    """OpenGL projection (4, 4) of a pinhole camera with the given half-angle tangents."""
    matrix = np.zeros((4, 4))
    matrix[0, 0], matrix[1, 1] = 1 / tan_x, 1 / tan_y
    matrix[2, 2], matrix[2, 3] = -(far + near) / (far - near), -2 * far * near / (far - near)
    matrix[3, 2] = -1
    return matrix


def orthographic(half: float, near: float, far: float) -> np.ndarray:
    """OpenGL projection (4, 4) of a square of ``2 * half`` metres."""
    matrix = np.diag([1 / half, 1 / half, -2 / (far - near), 1.0])
    matrix[2, 3] = -(far + near) / (far - near)
    return matrix


def facing(direction) -> np.ndarray:
    """Camera-to-world rotation (3, 3) of a camera that looks along ``direction``."""
    forward = np.asarray(direction, np.float64) / np.linalg.norm(direction)
    helper = np.array([0.0, 1, 0] if abs(forward[1]) < 0.95 else [1.0, 0, 0])
    right = np.cross(forward, helper)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(right, forward), -forward], 1)
