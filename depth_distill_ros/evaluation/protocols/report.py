"""What the numbers of a measurement are about, for people and as JSON."""

from __future__ import annotations

from dataclasses import asdict

from depth_distill_ros.evaluation.metrics import Space
from depth_distill_ros.evaluation.protocols.measurement import Measurement


def alignment(space: Space) -> str:
    """The alignment of a space in words."""
    return f"affine in {space}, per image"


def resolution(measurement: Measurement) -> str:
    """The size of the images and what the model makes of it, in words."""
    return f"input {measurement.definition.resolution}, {measurement.predictor.resolution}"


def describe(measurement: Measurement) -> list[str]:
    """What the numbers are about: split, n, model, checkpoint, alignment, resolution, range."""
    definition, predictor = measurement.definition, measurement.predictor
    n = len(measurement.scores)
    count = f"PARTIAL, n {n} of {definition.n}" if measurement.partial else f"n {n}"
    low, high = definition.clip
    lines = [
        f"{definition.title} · {definition.split} · {count}",
        f"model {predictor.name} · checkpoint {predictor.checkpoint} · "
        f"alignment {alignment(predictor.space)} · {resolution(measurement)} · "
        f"clipped to {low:g}-{high:g} m".replace("inf", "∞"),
    ]
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
        f"{definition.title} measured: n {len(measurement.scores)} of {definition.n} · checkpoint "
        f"{predictor.checkpoint} · {alignment(predictor.space)} · {resolution(measurement)}"
    )


def numbers(measurement: Measurement) -> list[str]:
    """The mean errors, one line."""
    mean = measurement.mean
    return [
        f"AbsRel {mean.abs_rel:.4f}  δ1 {mean.delta1:.4f}  δ2 {mean.delta2:.4f}  "
        f"δ3 {mean.delta3:.4f}  RMSE {mean.rmse:.3f} m  log10 {mean.log10:.4f}"
    ]


def report(measurement: Measurement) -> dict[str, object]:
    """One benchmark's entry in report.json, in the form that `--frames` has."""
    definition, predictor = measurement.definition, measurement.predictor
    n, partial = len(measurement.scores), measurement.partial
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
        "alignment": alignment(predictor.space),
        "resolution": resolution(measurement),
        "n": n,
        "expected_n": definition.n,
        "partial": partial,
        "images_from": measurement.images.pairs.source,
        "left_out": measurement.images.pairs.dropped,
        "failed": measurement.failed,
        "means": {"all": everything},
    }
