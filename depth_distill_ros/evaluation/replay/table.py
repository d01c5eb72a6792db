"""The numbers of all frames as columns: 8 bytes a number, whatever the length of the bag."""

from __future__ import annotations

import csv
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from depth_distill_ros.evaluation.replay.journal import Record, cause, read_lines
from depth_distill_ros.evaluation.temporal import ClipFit

HIDDEN = ("clip",)
"""Not for people: what only serves to compute other numbers."""


class Table:
    """Columns by name, NaN where a frame has no such number, and how often texts occur (by `cause`).

    Attributes:
        clip: the sums of all frames for one fit of the disparity; None where there are none.
    """

    def __init__(self, records: Iterable[Record] = ()):
        self.count = 0
        self.texts: dict[str, Counter[str]] = {}
        self.clip: ClipFit | None = None
        self._columns: dict[str, array] = {}
        for record in records:
            self.put(self.count, record)

    def put(self, row: int, record: Record) -> None:
        """Adds what a record says to a row, a new one or one that is there."""
        self.count = max(self.count, row + 1)
        for name, value in record.items():
            if name == "clip":
                fit = ClipFit(np.array(value))
                self.clip = fit if self.clip is None else self.clip + fit
            elif isinstance(value, str):
                self.texts.setdefault(name, Counter()).update([cause(value)])
            else:
                column = self._columns.setdefault(name, array("d"))
                column.extend([np.nan] * (row + 1 - len(column)))
                column[row] = value

    @property
    def names(self) -> list[str]:
        return list(self._columns)

    def column(self, name: str) -> np.ndarray:
        """float64 (count,)."""
        values = np.full(self.count, np.nan)
        known = np.frombuffer(self._columns.get(name, array("d")), np.float64)
        values[: len(known)] = known
        return values

    def summary(self, name: str) -> dict[str, float] | None:
        """n, mean, median and 95th percentile over the frames that have it; None where none has."""
        values = self.column(name)
        values = values[np.isfinite(values)]
        if not values.size:
            return None
        p50, p95 = np.percentile(values, (50, 95))
        mean = float(np.mean(values))
        return {"n": int(values.size), "mean": mean, "p50": float(p50), "p95": float(p95)}


def write_csv(path: Path, records: Iterable[Record], table: Table) -> None:
    """A line a frame; `table` has the columns, also those that the records lack."""
    names = [name for name in [*table.names, *table.texts] if name not in HIDDEN]
    late = {name: table.column(name) for name in table.names if name.startswith("tae.")}
    partial = path.with_name(path.name + ".partial")
    with open(partial, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        for row, record in enumerate(records):
            added = {name: values[row] for name, values in late.items() if values[row] >= 0}
            writer.writerow({**record, **added})
    partial.replace(path)


def read_table(path: Path) -> Table:
    """The table of a file of JSON lines."""
    return Table(read_lines(path))
