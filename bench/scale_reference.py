"""How well the scale follows a reference: the numbers of docs/reliability.md and the README.

    python bench/scale_reference.py --data ../shared/data

Two sequences, through the model, `ScaleTracker` with its defaults, and nothing else. Frames come
in order with their stamps, and each frame's reference is observed before its depth is asked for.

  LiDAR   seq_kitti_lidar_street, 10 Hz: every second laser of the scan (`lidar_beams.py`) is
          reference, the points of the others are truth.
  pixels  seq_redkitchen_kinect, 30 Hz: 200 measured pixels, drawn at random in each frame, are
          reference, all other measured pixels are truth.

AbsRel is over the truth between 0.1 and 80 m, depth clipped to that range, mean over frames. The
oracle is scale and shift of each frame by least squares on the truth itself, as `d3epth evaluate`
aligns. Goal: at most 10 % above the oracle.

Jitter is what a user sees of a scale that does not stay put: the relative change, from one frame
to the next, of the metric depth that one and the same disparity gets. It is taken at the median of
the frame's disparity map (this is the one whose maximum is to be below 3 %), and, for comparison,
as the largest of those at the 10 %, 50 % and 90 % quantiles; for the tracker and for the fits of
single frames (smoothing 0). `ratio` is the change of median(depth / truth) from frame to frame,
which also has what the model itself changes its mind about.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.lidar_beams import beam_numbers
from depth_distill_ros.evaluation.frames import Sequence, load_sequence
from depth_distill_ros.evaluation.metrics import MIN_DISPARITY, abs_rel, align_to_depth, valid_depth
from depth_distill_ros.geometry.camera import unproject
from depth_distill_ros.geometry.reference import (
    ReferenceSamples,
    samples_from_depth,
    samples_from_points,
)
from depth_distill_ros.geometry.scale_tracker import ScaleSettings, ScaleState, ScaleTracker
from depth_distill_ros.inference.estimator import DepthEstimator

LIDAR, PIXELS = "seq_kitti_lidar_street", "seq_redkitchen_kinect"
LIDAR_RATE = 10.0  # the folder gives no stamps; KITTI's LiDAR and cameras run at 10 Hz
RANGE = (0.1, 80.0)
QUANTILES = (0.1, 0.5, 0.9)
DEFAULT = ScaleSettings("reference")


@dataclass(frozen=True)
class View:
    """One frame: what the tracker gets, and what is asked of it.

    Attributes:
        network: disparity of the network, float32 (h, w).
        samples: the reference.
        disparity, truth: of the truth pixels, (N,); the disparity is enlarged as in `predict`.
        levels: quantiles of the disparity map.
        oracle: AbsRel of the least-squares alignment to the truth.
    """

    stamp: float
    network: np.ndarray
    samples: ReferenceSamples
    disparity: np.ndarray
    truth: np.ndarray
    levels: np.ndarray
    oracle: float


def view(
    estimator: DepthEstimator,
    rgb: np.ndarray,
    depth: np.ndarray,
    samples: ReferenceSamples,
    is_reference: np.ndarray,
    stamp: float,
) -> View:
    """Runs the model; `is_reference` (H, W) are the pixels that are no truth."""
    network = estimator.infer([rgb])[0]
    disparity = cv2.resize(network, depth.shape[::-1], interpolation=cv2.INTER_LINEAR)
    scored = valid_depth(depth, RANGE) & ~is_reference
    truth = depth[scored].astype(np.float64)
    oracle = abs_rel(align_to_depth(disparity[scored], truth, "disparity", RANGE), truth)
    levels = np.quantile(network, QUANTILES)
    return View(stamp, network, samples, disparity[scored], truth, levels, oracle)


def lidar_views(sequence: Sequence, estimator: DepthEstimator) -> list[View]:
    """Even lasers are reference, as points in the optical frame; odd ones are truth."""
    frames = list(sequence)
    measured = [frame.depth > 0 for frame in frames]
    clouds = [
        unproject(frame.depth, sequence.intrinsics)[mask]
        for frame, mask in zip(frames, measured, strict=True)
    ]
    views = []
    for index, beams in enumerate(beam_numbers(clouds)):
        is_reference = np.zeros_like(measured[index])
        is_reference[measured[index]] = beams % 2 == 0
        samples = samples_from_points(clouds[index][beams % 2 == 0], sequence.intrinsics)
        frame, stamp = frames[index], index / LIDAR_RATE
        views.append(view(estimator, frame.rgb, frame.depth, samples, is_reference, stamp))
    return views


def pixel_views(sequence: Sequence, estimator: DepthEstimator, count: int = 200) -> list[View]:
    """`count` random pixels are reference, all others are truth."""
    views = []
    for seed, frame in enumerate(sequence):
        samples = samples_from_depth(frame.depth, count, seed)
        is_reference = np.zeros(frame.depth.shape, bool)
        is_reference[samples.v.astype(int), samples.u.astype(int)] = True
        views.append(view(estimator, frame.rgb, frame.depth, samples, is_reference, frame.stamp))
    return views


# --- what is done to the reference ---------------------------------------------------------------

Spoil = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def anywhere(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Depth between 0.3 and 80 m, each octave as likely."""
    return np.exp(rng.uniform(np.log(0.3), np.log(80), len(depth)))


def elsewhere(rng: np.random.Generator, depth: np.ndarray) -> np.ndarray:
    """Depth measured at other pixels: plausible, and wrong."""
    return rng.permutation(depth)


def spoiled(views: list[View], share: float, spoil: Spoil) -> list[View]:
    """Views in which a random share of the reference is something else."""
    rng = np.random.default_rng(1)
    result = []
    for item in views:
        depth = item.samples.depth.copy()
        wrong = rng.random(len(depth)) < share
        depth[wrong] = spoil(rng, depth[wrong])
        result.append(replace(item, samples=replace(item.samples, depth=depth)))
    return result


def thinned(views: list[View], count: int) -> list[View]:
    """Views with fewer measurements."""
    rng = np.random.default_rng(2)
    result = []
    for item in views:
        some = rng.choice(len(item.samples.depth), count, replace=False)
        u, v, depth = (getattr(item.samples, name)[some] for name in ("u", "v", "depth"))
        result.append(replace(item, samples=replace(item.samples, u=u, v=v, depth=depth)))
    return result


# --- measurement ---------------------------------------------------------------------------------


def track(views: list[View], settings: ScaleSettings) -> list[ScaleState]:
    """The state for every frame."""
    tracker, states = ScaleTracker(settings), []
    for item in views:
        tracker.observe_reference(item.network, item.samples, item.stamp)
        states.append(tracker.state(item.stamp))
    return states


def metric(state: ScaleState, disparity: np.ndarray) -> np.ndarray:
    """Metres, float64, limited as in `align_to_depth`."""
    inverse = state.inverse_depth(np.asarray(disparity)).astype(np.float64)
    return np.clip(1 / np.maximum(inverse, MIN_DISPARITY), *RANGE)


def changes(values: list[np.ndarray]) -> np.ndarray:
    """Relative change from one frame to the next."""
    return np.abs(np.array(values[1:]) / np.array(values[:-1]) - 1)


def level_changes(views: list[View], states: list[ScaleState]) -> np.ndarray:
    """(frames - 1, 3): of the depth at each quantile of the later frame's disparity."""
    pairs = zip(views[1:], states[1:], states[:-1], strict=True)
    return np.array(
        [np.abs(metric(new, v.levels) / metric(old, v.levels) - 1) for v, new, old in pairs]
    )


def spread(values: np.ndarray) -> str:
    """Median, 95th percentile and maximum in percent."""
    numbers = (*np.quantile(values, (0.5, 0.95)), values.max())
    return " ".join(f"{100 * number:5.1f}" for number in numbers)


def row(views: list[View], settings: ScaleSettings) -> str:
    """One line of the table; frames without a scale are counted and not scored."""
    states = track(views, settings)
    pairs = [(v, s) for v, s in zip(views, states, strict=True) if s.is_metric]
    if len(pairs) < 2:
        return f"no scale: {states[-1].reason}"
    views, states = [v for v, _ in pairs], [s for _, s in pairs]
    depths = [metric(state, item.disparity) for item, state in pairs]
    error = np.mean([abs_rel(depth, item.truth) for depth, item in zip(depths, views, strict=True)])
    oracle = np.mean([item.oracle for item in views])
    levels = level_changes(views, states)
    ratios = [np.median(d / item.truth) for d, item in zip(depths, views, strict=True)]
    accepted = sum(state.status == "ok" for state in states)
    return (
        f"{len(pairs):3d} {accepted:3d} {error:8.4f} {error / oracle - 1:+8.1%}   "
        f"{spread(levels[:, 1])}   {spread(levels.max(axis=1))}   {spread(changes(ratios))}"
    )


def absence(views: list[View], seconds: float = 60.0) -> str:
    """The reference stops in the middle of the sequence and comes back a minute later."""
    tracker, half, seen = ScaleTracker(DEFAULT), len(views) // 2, []
    for item in views[:half]:
        tracker.observe_reference(item.network, item.samples, item.stamp)
    gone = views[half - 1].stamp
    for elapsed in np.arange(0.1, seconds, 0.1):
        state = tracker.state(gone + elapsed)
        if not seen or seen[-1][1] != state.status:
            seen.append((elapsed, state.status))
    errors = []
    for item in views[half:]:
        tracker.observe_reference(item.network, item.samples, item.stamp + seconds)
        state = tracker.state(item.stamp + seconds)
        errors.append(abs_rel(metric(state, item.disparity), item.truth) / item.oracle - 1)
    course = ", ".join(f"{status} from {elapsed:.1f} s" for elapsed, status in seen)
    return (
        f"without reference: {course}; afterwards {state.status}, "
        f"AbsRel {errors[0]:+.1%} in the first frame, {np.mean(errors):+.1%} on average"
    )


def variants(views: list[View]) -> Iterator[tuple[str, list[View], ScaleSettings]]:
    """What the table shows: name, views, settings."""
    yield "default", views, DEFAULT
    for seconds in (0.0, 0.25, 0.5, 2.0, 4.0):
        yield f"smoothing {seconds:g} s", views, replace(DEFAULT, smoothing=seconds)
    yield "spline", views, replace(DEFAULT, spline=True)
    for count in (100, 50, 20):
        few = thinned(views, count)
        yield f"{count} measurements", few, DEFAULT
        yield f"{count} measurements, spline", few, replace(DEFAULT, spline=True)
    for spoil in (anywhere, elsewhere):
        for share in (0.3, 0.6, 1.0):
            yield f"{share:.0%} {spoil.__name__}", spoiled(views, share, spoil), DEFAULT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the sequences")
    parser.add_argument("--model", help="as of `d3epth predict`; the bundled one by default")
    arguments = parser.parse_args()
    estimator = DepthEstimator.from_pretrained(arguments.model, "cpu")
    for name, prepare in ((LIDAR, lidar_views), (PIXELS, pixel_views)):
        views = prepare(load_sequence(arguments.data / name), estimator)
        points = np.mean([len(item.samples.depth) for item in views])
        truth = np.mean([len(item.truth) for item in views])
        oracle = np.mean([item.oracle for item in views])
        print(
            f"\n{name}: n = {len(views)} frames, {points:.0f} measurements and {truth:.0f} truth "
            f"pixels a frame, model {estimator.name}, oracle AbsRel {oracle:.4f}\n"
            "n: frames with a scale; ok: those whose own reference was accepted; jitter in "
            "percent: median, 95th percentile, maximum\n"
            f"{'':28}  n  ok   AbsRel   oracle      at the median       worst of three"
            "      ratio to the truth"
        )
        for label, chosen, settings in variants(views):
            print(f"{label:28}{row(chosen, settings)}", flush=True)
        print(absence(views))


if __name__ == "__main__":
    main()
