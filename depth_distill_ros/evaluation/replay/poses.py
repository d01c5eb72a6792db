"""Where the camera was: poses from a topic or a TUM file, between their stamps interpolated."""

from __future__ import annotations

from bisect import bisect_left
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from depth_distill_ros.evaluation.frames import read_trajectory
from depth_distill_ros.evaluation.replay.transforms import matrix_of
from depth_distill_ros.geometry.pose import pose_matrix

GAP = 200_000_000
"""Nanoseconds between two poses that may be interpolated, at most: a hand turns fast."""

SAME = 1_000_000
"""Nanoseconds within which a pose is an image's own: text files have rounded stamps."""


class Trajectory:
    """Poses in the order of their stamps.

    Attributes:
        frame: whose poses they are; None where that is not said.
    """

    def __init__(self, stamps: tuple[int, ...] = (), poses: tuple[np.ndarray, ...] = ()):
        self._stamps, self._poses = list(stamps), list(poses)
        self.frame: str | None = None

    @classmethod
    def from_tum(cls, path: Path) -> Trajectory:
        """Raises DataError where the file is no TUM trajectory."""
        stamps, rows = read_trajectory(path)
        return cls(stamps, tuple(pose_matrix(row[:3], row[3:]) for row in rows))

    def add(self, stamp: int, message: Any) -> None:
        """Adds a PoseStamped, PoseWithCovarianceStamped or Odometry.

        What is newer than it, from before a bag's stamps went back, is forgotten.
        """
        pose = message.pose
        pose = getattr(pose, "pose", pose)  # with a covariance it is one step deeper
        self.frame = getattr(message, "child_frame_id", "") or None
        kept = bisect_left(self._stamps, stamp)
        del self._stamps[kept:], self._poses[kept:]
        self._stamps.append(stamp)
        self._poses.append(matrix_of(pose))

    def reaches(self, stamp: int) -> bool:
        """Whether a pose at or after the stamp is known."""
        return bool(self._stamps) and self._stamps[-1] >= stamp

    def forget(self, before: int) -> None:
        """Drops the poses older than a stamp, but for the last of them."""
        gone = max(0, bisect_left(self._stamps, before) - 1)
        del self._stamps[:gone], self._poses[:gone]

    def at(self, stamp: int) -> np.ndarray | None:
        """4x4 float64 at a stamp in nanoseconds; None where no poses are close on both sides."""
        after = bisect_left(self._stamps, stamp)
        beside = [i for i in (after - 1, after) if 0 <= i < len(self._stamps)]
        nearest = min(beside, key=lambda i: abs(self._stamps[i] - stamp), default=None)
        if nearest is not None and abs(self._stamps[nearest] - stamp) <= SAME:
            return self._poses[nearest]
        if not 0 < after < len(self._stamps):
            return None
        start, end = self._stamps[after - 1], self._stamps[after]
        if end - start > GAP:
            return None
        return between(self._poses[after - 1], self._poses[after], (stamp - start) / (end - start))


def between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """The pose a share of the way from one to another: on a line, turning evenly."""
    turn, _ = cv2.Rodrigues(first[:3, :3].T @ second[:3, :3])
    pose = np.eye(4)
    pose[:3, :3] = first[:3, :3] @ cv2.Rodrigues(share * turn)[0]
    pose[:3, 3] = (1 - share) * first[:3, 3] + share * second[:3, 3]
    return pose
