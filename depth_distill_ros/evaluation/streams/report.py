"""The numbers of streams as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from depth_distill_ros.evaluation.benchmarks import DEPTH_RANGE
from depth_distill_ros.evaluation.moving_average import DEFAULT_ALPHA
from depth_distill_ros.evaluation.streams.measure import MEASURED
from depth_distill_ros.evaluation.streams.rows import Change, Row, Rows
from depth_distill_ros.evaluation.tables import columns
from depth_distill_ros.evaluation.temporal import VARIANTS

FIT_IMAGE = "affine in disparity, one fit an image"
FIT_CLIP = "affine in disparity, one fit a clip"
NOTHING = "–"


@dataclass(frozen=True)
class Table:
    """One printed table.

    Attributes:
        errors: what a cell shows, side by side.
        cell: their format, of values times `unit`.
        floor: whether the measured depth has a column.
    """

    title: str
    errors: tuple[str, ...]
    cell: str
    unit: float = 1.0
    floor: bool = False


TABLES = {
    "depth": (
        Table(f"AbsRel / δ1 · {FIT_IMAGE}", ("abs_rel.image", "delta1.image"), "{:.3f} / {:.3f}"),
        Table(f"AbsRel / δ1 · {FIT_CLIP}", ("abs_rel.clip", "delta1.clip"), "{:.3f} / {:.3f}"),
    ),
    "tae": tuple(
        Table(
            f"TAE {variant}, % of the depth · {FIT_CLIP} · floor: measured depth itself",
            (f"tae.{variant}",),
            "{:.2f}",
            unit=100,
            floor=True,
        )
        for variant in VARIANTS
    ),
    "temporal": (
        Table(
            f"temporal gradient error, % of the range of disparity · {FIT_CLIP}",
            ("temporal_gradient",),
            "{:.3f}",
            unit=100,
        ),
    ),
    "boundary": (
        Table(f"boundary F1, higher is better · {FIT_IMAGE}", ("boundary_f1",), "{:.3f}"),
    ),
}

TITLES = {
    "abs_rel.image": "AbsRel",
    "abs_rel.clip": "AbsRel by clip",
    **{f"tae.{variant}": f"TAE {variant}" for variant in VARIANTS},
    "temporal_gradient": "temporal gradient error",
    "boundary_f1": "boundary F1 (higher is better)",
}


@dataclass(frozen=True)
class About:
    """What the numbers are about.

    Attributes:
        checkpoints: name and digest of the weights of the model, then of others.
        names: of the columns.
        window: frames that streaming sees at most; None for a model that does not stream.
        windows: frames of a video model's window, and how many two share; None for other models.
    """

    split: str
    checkpoints: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    metrics: tuple[str, ...]
    window: int | None
    windows: tuple[int, int] | None = None


def head(about: About) -> str:
    """The lines above the tables."""
    low, high = DEPTH_RANGE
    model, *others = (f"{name} · checkpoint {digest}" for name, digest in about.checkpoints)
    lines = [f"split {about.split} · model {model}", *(f"compared with {each}" for each in others)]
    how = [f"moving average: {DEFAULT_ALPHA:g} of each new frame"]
    if about.window is not None:
        how.insert(0, f"streaming: a window of {about.window} frames")
    if about.windows is not None:
        frames, shared = about.windows
        how.insert(0, f"windows: {frames} frames, {shared} of them shared, joined over the take")
    notes = f"valid depth {low:g}-{high:g} m · n frames or pairs a row, n rows a mean"
    return "\n".join([*lines, " · ".join(how), notes])


def tables(rows: Rows, about: About) -> Iterator[str]:
    """The text of each table."""
    for metric in about.metrics:
        for table in TABLES[metric]:
            yield f"{table.title}\n{_table(table, rows, about.names)}"


def _table(table: Table, rows: Rows, names: tuple[str, ...]) -> str:
    floor = (MEASURED,) if table.floor else ()
    header = ["", "n", *names, *("floor" for _ in floor)]
    lines = [
        [row.name, str(row.n.get(table.errors[0], 0)), *cells]
        for row in rows
        for cells in [[_cell(table, row, column) for column in (*names, *floor)]]
    ]
    return columns([header, *lines])


def _cell(table: Table, row: Row, column: str) -> str:
    errors = row.errors.get(column, {})
    if not all(name in errors for name in table.errors):
        return NOTHING
    return table.cell.format(*(table.unit * errors[name] for name in table.errors))


def change_line(change: Change) -> str:
    """``mean all, streaming against per frame: TAE … -34.0 %, AbsRel +0.4 %``."""
    told = ", ".join(f"{TITLES[name]} {value:+.1%}" for name, value in change.changes.items())
    return f"{change.row}, {change.column} against {change.base}: {told.replace('%', ' %')}"


def report(rows: Rows, changes: list[Change], about: About) -> dict:
    """What `--output` writes."""
    (model, checkpoint), *others = about.checkpoints
    return {
        "split": about.split,
        "model": model,
        "checkpoint": checkpoint,
        "compared": [{"model": name, "checkpoint": digest} for name, digest in others],
        "window": about.window,
        "windows": about.windows and list(about.windows),
        "moving_average": DEFAULT_ALPHA,
        "alignment": {"image, boundary": FIT_IMAGE, "clip, tae, temporal": FIT_CLIP},
        "depth_range": list(DEPTH_RANGE),
        "metrics": list(about.metrics),
        "left_out": rows.left_out,
        "rows": [asdict(row) for row in (*rows.groups, *rows.motion)],
        "means": {row.setting: asdict(row) for row in rows.means},
        "changes": [asdict(change) for change in changes],
    }
