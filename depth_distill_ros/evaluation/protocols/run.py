"""`d3epth evaluate --benchmark`: benchmarks measured, printed beside the paper, and written down."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.protocols.dataset import BenchmarkImages, open_benchmark
from depth_distill_ros.evaluation.protocols.definition import load_definition
from depth_distill_ros.evaluation.protocols.measurement import Measurement, measure
from depth_distill_ros.evaluation.protocols.predictors import Predictor
from depth_distill_ros.evaluation.protocols.published import (
    Cell,
    as_markdown,
    as_text,
    footnotes,
    load_published,
    paper_rows,
)
from depth_distill_ros.evaluation.protocols.report import describe, measured_line, numbers, report
from depth_distill_ros.evaluation.tables import write_json, write_text

MakePredictor = Callable[[BenchmarkImages], Predictor]


@dataclass(frozen=True)
class BenchmarkOptions:
    """What to measure on.

    Attributes:
        benchmarks: shipped names, or .json definitions.
        root: the folder that holds the benchmarks, or the folder or archive of one.
        split: a list of pairs instead of all files of the layout, for one benchmark.
        allow_partial: measure also where images lack, and leave out what cannot be scored.
        output: folder of the results; None prints only.
    """

    benchmarks: tuple[str, ...]
    root: Path
    split: Path | None = None
    allow_partial: bool = False
    output: Path | None = None


def run_benchmarks(options: BenchmarkOptions, make_predictor: MakePredictor) -> list[Measurement]:
    """Measures each benchmark, prints its numbers, and the paper's table where it has any of them.

    All benchmarks are opened, and refused if need be, before the first is measured. Raises
    ConfigError or DataError for options, files or predictions that do not fit.
    """
    definitions = [load_definition(name) for name in options.benchmarks]
    if options.split is not None and len(definitions) > 1:
        raise ConfigError("--split is the list of one benchmark: give one --benchmark with it")
    opened = [open_benchmark(item, options.root, options.split) for item in definitions]
    for images in opened:
        check_count(images, options.allow_partial)
    measured = []
    for images in opened:
        predictor = make_predictor(images)
        folder = None if options.output is None else options.output / images.definition.name
        measurement = measure(images, predictor, folder, options.allow_partial)
        print("\n".join([*describe(measurement), *numbers(measurement)]), end="\n\n", flush=True)
        measured.append(measurement)
    _summarise(measured, options.output)
    return measured


def check_count(images: BenchmarkImages, allow_partial: bool) -> None:
    """Prints a warning where images lack or are too many; DataError unless that is allowed."""
    if not images.partial:
        return
    definition = images.definition
    counted = {"points": "pairs of points", "matte": "images with mattes"}
    what = counted.get(definition.task, "images with depth")
    found = f"{images.root} has {images.count} {what}, {definition.title} {definition.n}"
    if not allow_partial:
        raise DataError(
            f"{found}: get the rest, give the images that count with --split, or measure these "
            "with --allow-partial"
        )
    print(f"warning: {found}: what follows is not that benchmark", file=sys.stderr)


def _summarise(measured: list[Measurement], output: Path | None) -> None:
    table = load_published()["columns"]
    cells = {
        item.definition.name: Cell(item.mean.abs_rel, item.mean.delta1, item.partial)
        for item in measured
        if item.definition.name in table
    }
    about = [line for item in measured for line in (*describe(item), *numbers(item))]
    text = "".join(f"{line}  \n" for line in about)
    if cells:
        predictor = measured[0].predictor
        rows = paper_rows(predictor.name, cells, predictor.parameters)
        notes = [*footnotes(cells), *map(measured_line, measured)]
        print(as_text(rows, notes))
        text = as_markdown(rows, [*notes, *about])
    if output is not None:
        write_text(output / "table.md", text)
        write_json(output / "report.json", {"benchmarks": [report(item) for item in measured]})
        print(f"written: {output}")
