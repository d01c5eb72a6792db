"""What the numbers of a measurement are about, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from depth_distill_ros.evaluation.metrics import Space
from depth_distill_ros.evaluation.protocols.definition import Definition
from depth_distill_ros.evaluation.protocols.measurement import Measurement
from depth_distill_ros.evaluation.protocols.tasks import DEPTH_TASKS

WORDS = {
    "abs_rel": "AbsRel {:.4f}",
    "delta1": "δ1 {:.4f}",
    "delta2": "δ2 {:.4f}",
    "delta3": "δ3 {:.4f}",
    "rmse": "RMSE {:.3f} m",
    "log10": "log10 {:.4f}",
    "boundary_f1": "boundary F1 {:.4f}",
    "boundary_recall": "boundary recall {:.4f}",
    "accuracy": "accuracy {:.4f}",
}
"""Errors in the order in which they are printed."""


def alignment(space: Space, definition: Definition) -> str:
    """The alignment of a space in words."""
    if definition.task not in DEPTH_TASKS:
        return f"none, {space} as predicted"
    return f"affine in {space}, per {'clip' if definition.task == 'video' else 'image'}"


def resolution(measurement: Measurement) -> str:
    """The size of the images and what the model makes of it, in words."""
    return f"input {measurement.definition.resolution}, {measurement.predictor.resolution}"


def describe(measurement: Measurement) -> list[str]:
    """What the numbers are about: split, n, model, checkpoint, alignment, resolution, range."""
    definition, predictor = measurement.definition, measurement.predictor
    n = measurement.count
    count = f"PARTIAL, n {n} of {definition.n}" if measurement.partial else f"n {n}"
    about = [
        f"model {predictor.name}",
        f"checkpoint {predictor.checkpoint}",
        f"alignment {alignment(predictor.space, definition)}",
        resolution(measurement),
    ]
    if definition.clip is not None:
        low, high = definition.clip
        about.append(f"clipped to {low:g}-{high:g} m".replace("inf", "∞"))
    lines = [f"{definition.title} · {definition.split} · {count}", " · ".join(about)]
    if measurement.images.pairs.dropped:
        dropped = len(measurement.images.pairs.dropped)
        lines.append(f"left out: {dropped} images without depth, as the split is defined")
    if measurement.coverage < 0.99995:
        lines.append(f"scored: {measurement.coverage:.2%} of the valid pixels, the rest is NaN")
    return lines + [f"failed: {reason}" for reason in measurement.failed]


def measured_line(measurement: Measurement) -> str:
    """The same in short, below a table with many benchmarks."""
    definition, predictor = measurement.definition, measurement.predictor
    return (
        f"{definition.title} measured: n {measurement.count} of {definition.n} · checkpoint "
        f"{predictor.checkpoint} · {alignment(predictor.space, definition)} · "
        f"{resolution(measurement)}"
    )


def numbers(measurement: Measurement) -> list[str]:
    """The mean errors, one line."""
    mean = asdict(measurement.mean)
    return ["  ".join(words.format(mean[name]) for name, words in WORDS.items() if name in mean)]


def report(measurement: Measurement) -> dict[str, object]:
    """One benchmark's entry in report.json, in the form that `--frames` has."""
    definition, predictor = measurement.definition, measurement.predictor
    n, partial = measurement.count, measurement.partial
    everything = {
        "name": "mean all",
        "n": n,
        "coverage": measurement.coverage,
        "errors": {"model": asdict(measurement.mean)},
    }
    return {
        "benchmark": definition.name,
        "split": definition.split + (f" ({n} of {definition.n} only)" if partial else ""),
        "model": predictor.name,
        "checkpoint": predictor.checkpoint,
        "task": definition.task,
        "alignment": alignment(predictor.space, definition),
        "resolution": resolution(measurement),
        "n": n,
        "expected_n": definition.n,
        "partial": partial,
        "images_from": measurement.images.pairs.source,
        "notes": definition.notes,
        "left_out": measurement.images.pairs.dropped,
        "failed": measurement.failed,
        "means": {"all": everything},
    }
