"""What benchmarks score: the tasks, and the errors that each of them gives an image."""

from __future__ import annotations

from dataclasses import dataclass

from depth_distill_ros.evaluation.metrics import DepthErrors


@dataclass(frozen=True)
class BoundaryErrors(DepthErrors):
    """As of depth, and how many of its outlines are right: F1 in [0, 1], higher is better."""

    boundary_f1: float


@dataclass(frozen=True)
class MatteErrors:
    """The share of a matte's outline that is found, in [0, 1], higher is better."""

    boundary_recall: float


@dataclass(frozen=True)
class PointErrors:
    """The share of pairs of points that are in the right order, in [0, 1], higher is better."""

    accuracy: float


Errors = DepthErrors | MatteErrors | PointErrors

TASKS: dict[str, type[Errors]] = {
    "depth": DepthErrors,
    "boundary": BoundaryErrors,
    "matte": MatteErrors,
    "points": PointErrors,
    "video": DepthErrors,
}
"""Errors by task.

depth: of images, each with a fit of its own. boundary: of images with dense depth, its outlines as
well. matte: outlines against an alpha matte or mask, without a fit. points: pairs of marked points.
video: of clips, one fit for all frames of each.
"""

DEPTH_TASKS = ("depth", "boundary", "video")
"""Those that compare with depth in metres."""
