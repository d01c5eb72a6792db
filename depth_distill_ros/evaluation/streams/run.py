"""`d3epth evaluate --metrics`: a model on streams, beside itself frame by frame and averaged."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
from depth_distill_ros.evaluation.streams import report, sources
from depth_distill_ros.evaluation.streams.measure import METRICS, Tally, measure
from depth_distill_ros.evaluation.streams.predictors import Predictors
from depth_distill_ros.evaluation.streams.rows import changes, collect
from depth_distill_ros.evaluation.tables import write_json
from depth_distill_ros.models import hub


@dataclass(frozen=True)
class StreamOptions:
    """What to score: one of `frames` and `clips`.

    Attributes:
        metrics: some of METRICS.
        window: frames that the streaming head sees; its own by default.
        compare: another model, frame by frame, as a further column.
        output: a JSON file.
        engine: auto, torch or onnxruntime.
    """

    frames: Path | None
    clips: Path | None
    metrics: tuple[str, ...]
    model: str | None
    device: str
    window: int | None = None
    compare: str | None = None
    output: Path | None = None
    engine: str = "auto"


def parse_metrics(text: str | None) -> tuple[str, ...]:
    """The metrics of a list with commas, in the order of METRICS; all by default. ConfigError."""
    names = METRICS if text is None else tuple(filter(None, text.replace(" ", "").split(",")))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise ConfigError(
            f"--metrics {text}: give some of {','.join(METRICS)}, separated by commas"
        )
    return tuple(name for name in METRICS if name in names)


def run_streams(options: StreamOptions) -> None:
    """Prints the tables. Raises UserError for data, models or windows that do not fit."""
    source = _source(options)
    names = [options.model] if options.compare is None else [options.model, options.compare]
    folders = [hub.resolve(name) for name in names]  # wrong names are refused before PyTorch
    model, *others = (_load(folder, options.device, options.engine) for folder in folders)
    compared = {f"per frame of {other.name}": other for other, _ in others}
    predictors = Predictors(model[0], options.window, compared)
    about = report.About(
        split=source.split,
        checkpoints=tuple((each.name, digest) for each, digest in (model, *others)),
        names=predictors.names,
        metrics=options.metrics,
        window=predictors.window,
        windows=predictors.windows,
    )
    print(report.head(about), flush=True)

    def measured(take: sources.Take) -> Tally:
        predictors.begin(take.frames)
        return measure(take, predictors, options.metrics)

    rows = collect(_progress(source.takes, source.count), measured)
    for left_out in (*source.left_out, *rows.left_out):
        print(f"left out: {left_out}")
    found = changes(rows, predictors.names)
    print()
    for table in report.tables(rows, about):
        print(table, end="\n\n")
    for change in found:
        print(report.change_line(change))
    if options.output is not None:
        write_json(options.output, {"streams": report.report(rows, found, about)})


def _source(options: StreamOptions) -> sources.Source:
    if options.clips is not None:
        return sources.clips(options.clips)
    return sources.sequences(options.frames)


def _load(folder: Path, device: str, engine: str) -> tuple[Any, str]:
    """The estimator and the digest of its weights."""
    from depth_distill_ros.inference.estimator import DepthEstimator

    return DepthEstimator.from_pretrained(folder, device, engine), checkpoint_digest(folder)


def _progress(takes: Iterable[sources.Take], count: int) -> Iterator[sources.Take]:
    """The same, with a bar on stderr where somebody watches."""
    from tqdm import tqdm

    yield from tqdm(takes, total=count, unit="stream", disable=not sys.stderr.isatty(), leave=False)
