"""The errors of the frames of one stream, and of its pairs of adjacent frames.

Predictors see all frames of a take in order, over its cuts, with their stamps. Scores are of the
segments between the cuts: each has a fit of its own, and no pair lies across a cut. Frames without
measured depth are predicted and not scored; adjacent are frames that follow each other among the
scored. A segment of fewer than MIN_FRAMES is left out.

Pixels that any of the predictors leaves out are scored for none, so that all columns are about the
same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE, MIN_PIXELS
from depth_distill_ros.evaluation.boundary import boundary_f1, measured_pairs
from depth_distill_ros.evaluation.frames import Frame
from depth_distill_ros.evaluation.metrics import align_to_depth, depth_errors, valid_depth
from depth_distill_ros.evaluation.streams.sources import Take
from depth_distill_ros.evaluation.temporal import VARIANTS, ClipFit, View, aligned_depth, tae
from depth_distill_ros.evaluation.temporal_gradient import disparity_range, temporal_gradient_error

METRICS = ("depth", "tae", "temporal", "boundary")
MEASURED = "measured"
"""The column of the measured depth against itself: the floor of TAE."""

MIN_FRAMES = 3

MIN_PAIRS = 0.5
"""The share of neighbouring pixels that must be compared for the edges of a frame to be scored.

Depth cameras and rendered frames have nearly all, holes or not; of LiDAR's scattered points few
are neighbours, and those that are lie inside surfaces.
"""

Predict = Callable[[np.ndarray, float], dict[str, np.ndarray]]
"""uint8 RGB (H, W, 3) and seconds to disparities (H, W) by name, NaN where invalid."""


@dataclass
class Tally:
    """The errors found so far.

    Attributes:
        frames: how many were scored.
        errors: column, then error, to one value a frame or pair. Errors are `abs_rel.image`,
            `delta1.image` (a fit an image), `abs_rel.clip`, `delta1.clip` (one fit for all of the
            segment), `tae.<variant>`, `temporal_gradient` and `boundary_f1` (a fit an image);
            without unit. Higher is better for the deltas and F1.
        left_out: what was not scored, and why.
    """

    frames: int = 0
    errors: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, column: str, name: str, value: float | None) -> None:
        """One more value; None, where there is nothing to compare, is none."""
        if value is not None:
            self.errors.setdefault(column, {}).setdefault(name, []).append(value)

    def __iadd__(self, other: Tally) -> Tally:
        self.frames += other.frames
        self.left_out += other.left_out
        for column, errors in other.errors.items():
            for name, values in errors.items():
                self.errors.setdefault(column, {}).setdefault(name, []).extend(values)
        return self

    def means(self) -> dict[str, dict[str, float]]:
        """The mean of each list."""
        return {
            column: {name: float(np.mean(values)) for name, values in errors.items()}
            for column, errors in self.errors.items()
        }


@dataclass(frozen=True)
class Scored:
    """A frame to be scored: what was predicted, (H, W), and at which pixels it is compared."""

    frame: Frame
    measured: np.ndarray
    mask: np.ndarray
    disparities: dict[str, np.ndarray]

    @property
    def truth(self) -> np.ndarray:
        """Metres at the compared pixels, (N,) float64."""
        return self.frame.depth[self.mask].astype(np.float64)

    @property
    def true_disparity(self) -> np.ndarray:
        """1/m, float64 (H, W), NaN where it is not compared."""
        disparity = np.full(self.mask.shape, np.nan)
        disparity[self.mask] = 1 / self.truth
        return disparity


def measure(take: Take, predict: Predict, metrics: tuple[str, ...]) -> Tally:
    """All errors of one take, the maps of which are in memory until it is done."""
    tally = Tally()
    for segment in _segments(take, predict):
        if len(segment) < MIN_FRAMES:
            tally.left_out.append(
                f"{len(segment)} frame(s) of {take.name}: a segment needs {MIN_FRAMES} with depth"
            )
            continue
        try:
            tally += measure_segment(segment, metrics)
        except DataError as error:
            tally.left_out.append(f"{len(segment)} frames of {take.name}: {error}")
    if "tae" in metrics and tally.frames and MEASURED not in tally.errors:
        tally.left_out.append(
            f"{take.name} from TAE: no two adjacent frames have poses, intrinsics and common pixels"
        )
    if "boundary" in metrics and tally.frames:
        _note_sparse(tally, take.name)
    return tally


def _note_sparse(tally: Tally, name: str) -> None:
    errors = next(iter(tally.errors.values()), {})
    lacking = tally.frames - len(errors.get("boundary_f1", ()))
    if lacking:
        tally.left_out.append(
            f"{lacking} frames of {name} from boundary F1: depth of fewer than {MIN_PAIRS:.0%} of "
            "the neighbouring pixels can be compared"
        )


def _segments(take: Take, predict: Predict) -> Iterator[list[Scored]]:
    """The scored frames between the cuts, each list when it is complete.

    An image of another size begins a segment as well: its pixels have no counterparts.
    """
    segment: list[Scored] = []
    shape = None
    for index, frame in enumerate(take.frames):
        if index in take.cuts or (shape is not None and frame.rgb.shape != shape):
            yield segment
            segment = []
        shape = frame.rgb.shape
        disparities = predict(frame.rgb, frame.stamp)
        scored = None if frame.depth is None else _scored(frame, disparities)
        if scored is not None:
            segment.append(scored)
    yield segment


def _scored(frame: Frame, disparities: dict[str, np.ndarray]) -> Scored | None:
    """None where too few pixels are measured and predicted for a fit to say much."""
    measured = valid_depth(frame.depth, DEPTH_RANGE)
    mask = measured & np.logical_and.reduce([np.isfinite(each) for each in disparities.values()])
    if np.count_nonzero(mask) < MIN_PIXELS:
        return None
    return Scored(frame, measured, mask, disparities)


def measure_segment(segment: list[Scored], metrics: tuple[str, ...]) -> Tally:
    """The errors of frames of one scene. Raises DataError where a disparity cannot be fitted."""
    tally = Tally(frames=len(segment))
    span = disparity_range(each.truth for each in segment) if "temporal" in metrics else 0.0
    for column in segment[0].disparities:
        fits = [ClipFit.of(each.disparities[column][each.mask], each.truth) for each in segment]
        fit = sum(fits[1:], start=fits[0]).solve()
        if "depth" in metrics:
            for each in segment:
                _depth(tally, column, each, fit)
        if "boundary" in metrics:
            for each in segment:
                tally.add(column, "boundary_f1", _boundary(column, each))
        for first, second in pairwise(segment):
            if "tae" in metrics and _posed(first, second):
                views = [_view(each, column, fit) for each in (first, second)]
                for variant in VARIANTS:
                    tally.add(column, f"tae.{variant}", tae(*views, variant))
            if "temporal" in metrics:
                tally.add(column, "temporal_gradient", _flicker(first, second, column, fit, span))
    if "tae" in metrics:
        for first, second in pairwise(segment):
            if _posed(first, second):
                _floor(tally, first, second)
    return tally


def _depth(tally: Tally, column: str, scored: Scored, fit: tuple[float, float]) -> None:
    truth, disparity = scored.truth, scored.disparities[column][scored.mask]
    depths = {
        "image": align_to_depth(disparity, truth, "disparity", DEPTH_RANGE),
        "clip": aligned_depth(disparity, *fit, DEPTH_RANGE),
    }
    for alignment, depth in depths.items():
        errors = depth_errors(depth, truth)
        tally.add(column, f"abs_rel.{alignment}", errors.abs_rel)
        tally.add(column, f"delta1.{alignment}", errors.delta1)


def _boundary(column: str, scored: Scored) -> float | None:
    """None where depth is too sparse for edges."""
    mask = scored.mask
    if measured_pairs(mask) < MIN_PAIRS:
        return None
    depth = np.ones(mask.shape)
    depth[mask] = align_to_depth(
        scored.disparities[column][mask], scored.truth, "disparity", DEPTH_RANGE
    )
    return boundary_f1(depth, scored.frame.depth, mask)


def _posed(*frames: Scored) -> bool:
    return all(each.frame.pose is not None and each.frame.intrinsics is not None for each in frames)


def _view(scored: Scored, column: str, fit: tuple[float, float]) -> View:
    frame = scored.frame
    depth = aligned_depth(scored.disparities[column], *fit, DEPTH_RANGE)
    return View(depth, scored.measured, frame.intrinsics, frame.pose)


def _floor(tally: Tally, *pair: Scored) -> None:
    """The measured depth against itself, where the two variants are the same."""
    views = [
        View(
            np.where(each.measured, each.frame.depth, np.float32(0)),
            each.measured,
            each.frame.intrinsics,
            each.frame.pose,
        )
        for each in pair
    ]
    error = tae(*views, "depth_any_video")
    for variant in VARIANTS:
        tally.add(MEASURED, f"tae.{variant}", error)


def _flicker(
    first: Scored, second: Scored, column: str, fit: tuple[float, float], span: float
) -> float | None:
    scale, shift = fit
    aligned = [
        scale * each.disparities[column].astype(np.float64) + shift for each in (first, second)
    ]
    return temporal_gradient_error(*aligned, first.true_disparity, second.true_disparity, span)
