"""Numbers of the paper, and its table with a measured row below."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.evaluation.tables import columns

PATH = Path(__file__).resolve().parent / "published.json"
NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """AbsRel and δ1 as shares, of one model on one benchmark; `partial` where images lack."""

    abs_rel: float
    delta1: float
    partial: bool = False


def load_published() -> dict:
    """The published table: see the file's own description."""
    return json.loads(PATH.read_text(encoding="utf-8"))


def paper_rows(
    name: str, measured: Mapping[str, Cell], parameters: int | None = None
) -> list[list[str]]:
    """The paper's table as rows of cells, the header first, the measured row last.

    measured: by benchmark. Percent, as the paper prints it; AbsRel lower, δ1 higher is better.
    """
    table = load_published()
    header = ["method", "data", "params"]
    for title in table["titles"]:
        header += [f"{title} AbsRel", "δ1"]
    rows = [header]
    for group in table["groups"]:
        rows += [[_text(value) for value in row] for row in group["rows"]]
    own = [
        f"{name} (measured)",
        NOTHING,
        NOTHING if parameters is None else f"{parameters / 1e6:.3g}M",
    ]
    for benchmark in table["columns"]:
        cell = measured.get(benchmark)
        mark = "†" if cell is not None and cell.partial else ""
        values = (None, None) if cell is None else (cell.abs_rel, cell.delta1)
        own += [NOTHING if value is None else f"{100 * value:.1f}{mark}" for value in values]
    return [*rows, own]


def _text(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def footnotes(measured: Mapping[str, Cell]) -> list[str]:
    """What the table's numbers are, and what its marks mean."""
    table = load_published()
    notes = [f"{table['source']}: {table['about']}"]
    if any(cell.partial for cell in measured.values()):
        notes.append(
            "† part of the benchmark's images only: not comparable with the paper's numbers"
        )
    return notes


def as_text(rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """For a terminal."""
    return "\n".join([columns(rows), *notes])


def as_markdown(rows: Sequence[Sequence[str]], notes: Sequence[str]) -> str:
    """For a file."""
    header, *body = ("| " + " | ".join(row) + " |" for row in rows)
    ruler = "|" + "|".join(["---", "---", "---", *["---:"] * (len(rows[0]) - 3)]) + "|"
    return "\n".join([header, ruler, *body, "", *(note + "  " for note in notes), ""])
