"""The whole replay: opened and checked, first pass, second pass, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
from depth_distill_ros.evaluation.replay.inputs import TRUTH_TYPES, Inputs, find_inputs
from depth_distill_ros.evaluation.replay.journal import Journal
from depth_distill_ros.evaluation.replay.measure import DepthRange, depth_range
from depth_distill_ros.evaluation.replay.node_path import NodePath
from depth_distill_ros.evaluation.replay.options import ReplayOptions
from depth_distill_ros.evaluation.replay.pictures import Album, spread_frames, worst_frames
from depth_distill_ros.evaluation.replay.report import About, rows, summarise, write_report
from depth_distill_ros.evaluation.replay.review import Review, clip_fit
from depth_distill_ros.evaluation.replay.run import FirstPass
from depth_distill_ros.evaluation.replay.table import Table, read_table
from depth_distill_ros.evaluation.replay.transforms import bag_transforms
from depth_distill_ros.evaluation.tables import columns
from depth_distill_ros.models import hub

if TYPE_CHECKING:
    from depth_distill_ros.inference.stream import DepthStream  # imports PyTorch

WARM_UP_SIZE = (480, 640)


@dataclass(frozen=True)
class Model:
    """What infers, and what it is called in reports.

    Attributes:
        open_stream: `DepthEstimator.stream`, of a window in frames; None without a temporal head.
    """

    infer: Callable[[list[np.ndarray]], list[np.ndarray]]
    name: str
    checkpoint: str
    device: str
    open_stream: Callable[[int | None], DepthStream] | None = None


def load_model(name: str | None, device: str, engine: str = "auto") -> Model:
    """Loads a model and runs it once, so that the first frame is not a slow one.

    Raises ModelError or ConfigError where the model or the device cannot be used.
    """
    folder = hub.resolve(name)  # a wrong name is refused before PyTorch is imported
    from depth_distill_ros.inference.estimator import DepthEstimator

    estimator = DepthEstimator.from_pretrained(name, device, engine)
    estimator.infer([np.zeros((*WARM_UP_SIZE, 3), np.uint8)])
    return Model(
        estimator.infer,
        estimator.name,
        checkpoint_digest(folder),
        estimator.device,
        estimator.stream if estimator.temporal_window else None,
    )


def replay(
    options: ReplayOptions,
    make_model: Callable[[], Model],
    say: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Evaluates a bag, or goes on with an evaluation that was cut off; returns the report.

    Leaves report.json, report.html, frames.csv and the folder `bag` in `options.output`. Raises
    BagError, ConfigError, DataError or ModelError where that cannot be done.
    """
    truth_type = TRUTH_TYPES[options.kind]
    inputs = find_inputs(options.bag, options.image, options.truth, truth_type, options.poses)
    transforms = bag_transforms(options.bag)
    model = make_model()
    identity = {"bag": inputs.about, **options.identity()}
    identity |= {"model": model.name, "checkpoint": model.checkpoint, "device": model.device}
    journal = Journal(options.output, identity)
    stream = None
    if model.open_stream is not None and options.settings.temporal_enabled:
        stream = model.open_stream(options.settings.temporal_window or None)
    node = NodePath(options, transforms, model.infer, stream)
    FirstPass(options, inputs, node, journal).run()
    journal.lines.close()

    table = read_table(options.output / "frames.jsonl")
    album = make_album(table, depth_range(node.settings))
    review = Review(options, inputs, NodePath(options, transforms), transforms, table, album)
    review.run()
    about = About(
        title=inputs.bag.name,
        facts=facts(options, inputs, model, stream),
        temporal=_temporal_alignment(options, table),
        limits=depth_range(node.settings),
        problems=dict(node.problems),
    )
    report = summarise(about, table, options.max_abs_rel)
    write_report(options.output, report, about, table, album)
    say(text_table(report))
    say(f"report.html, report.json, frames.csv and the bag are in {options.output}")
    return report


def facts(
    options: ReplayOptions, inputs: Inputs, model: Model, stream: DepthStream | None
) -> dict[str, Any]:
    """What the numbers are about, for people."""
    settings = options.settings
    found = {
        "model": model.name,
        "checkpoint": model.checkpoint,
        "device": model.device,
        "images": f"{inputs.images.image} ({inputs.images.encoding}, "
        f"{inputs.images.width}x{inputs.images.height}), {inputs.count} in the bag",
        "every": options.every,
        "truth": f"{options.truth} ({options.kind}), within {options.tolerance:g} s",
        "scale_mode": settings.scale_mode,
        "stream": f"of {stream.window} frames" if stream is not None else "each image by itself",
    }
    if options.splits_truth:
        found["split"] = SPLITS[options.kind].format(pixels=options.reference_pixels)
    if options.poses is not None:
        found["poses"] = options.poses
    if options.parameters:
        found["parameters"] = ", ".join(f"{k} = {v}" for k, v in options.parameters.items())
    return found


SPLITS = {
    "depth": "{pixels} random pixels of each depth image are the reference that scales the depth, "
    "the others are the truth",
    "lidar": "every second beam is the reference that scales the depth, the others are the truth",
}
"""In words what `truth.split` does."""


def _temporal_alignment(options: ReplayOptions, table: Table) -> str:
    if options.poses is None:
        return ""
    if options.settings.is_metric:
        return "TAE is of the metric depth as published."
    fit = clip_fit(table)
    return (
        "" if fit is None else "TAE is of depth aligned by one fit in disparity for the whole run."
    )


def make_album(table: Table, limits: DepthRange) -> Album:
    """An album for the run's moments and worst frames, its colours over the run's depth."""
    metric, aligned = table.column("metric.abs_rel"), table.column("aligned.abs_rel")
    worst = worst_frames(metric if np.isfinite(metric).any() else aligned)
    near, far = table.column("near"), table.column("far")
    ends = limits
    if np.isfinite(near).any():
        ends = float(np.nanmedian(near)), float(np.nanmedian(far))
    return Album(*ends, spread_frames(table.count), worst)


def text_table(report: dict[str, Any]) -> str:
    """The means as text, under a line that says what they are about."""
    head = (
        f"{report['source']} · model {report['model']} · checkpoint {report['checkpoint']} · "
        f"{report['frames']} frames, {report['scored']} scored · alignment: {report['alignment']}"
    )
    cells = [["", "mean", "median", "p95", "n"]]
    for name, summary in rows(report):
        numbers = [f"{summary[key]:.4f}" for key in ("mean", "p50", "p95")]
        cells.append([name, *numbers, str(summary["n"])])
    return f"{head}\n{columns(cells)}"
