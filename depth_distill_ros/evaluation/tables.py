"""Plain text tables for terminals and logs; JSON and array files, replaced atomically."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from depth_distill_ros.evaluation.benchmarks import ALIGNMENT, DEPTH_RANGE, Row


def row_header(predictors: Sequence[str]) -> str:
    """Column titles of an accuracy table, and what its cells mean."""
    columns = "".join(f"{name:>17}" for name in predictors)
    cells = "".join(f"{'AbsRel / δ1':>17}" for _ in predictors)
    return f"{'':26} {'n':>4}{columns}\n{'sequence':26} {'':>4}{cells}"


def row_line(row: Row) -> str:
    """One line of an accuracy table."""
    cells = "".join(
        f"{f'{errors.abs_rel:.3f} / {errors.delta1:.3f}':>17}" for errors in row.errors.values()
    )
    note = "" if row.coverage > 0.9995 else f"   {row.coverage:.1%} of the pixels"
    return f"{row.name:26} {row.n:>4}{cells}{note}"


def split_line(split: str, model: str, checkpoint: str) -> str:
    """What every number of a table is about."""
    low, high = DEPTH_RANGE
    return (
        f"split {split} · model {model} · checkpoint {checkpoint}\n"
        f"alignment: {ALIGNMENT} · valid depth {low:g}-{high:g} m · "
        "n images a row, n rows a mean"
    )


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text with columns lined up; a column of numbers, to the right.

    The first row may be a header.
    """
    lined_up = []
    for cells in zip(*rows, strict=True):
        width = max(map(len, cells))
        numeric = all(_is_number(cell) for cell in cells[1:])
        lined_up.append([cell.rjust(width) if numeric else cell.ljust(width) for cell in cells])
    return "\n".join("  ".join(cells).rstrip() for cells in zip(*lined_up, strict=True))


def _is_number(text: str) -> bool:
    if text == "–":  # no number
        return True
    try:
        float(text.rstrip("†*"))
    except ValueError:
        return False
    return True


def write_json(path: str | Path, content: object) -> None:
    """Writes a JSON file atomically, making its folder. NaN is refused: it is not JSON."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False, ensure_ascii=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Writes a text file atomically, making its folder."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


def write_array(path: str | Path, array: np.ndarray) -> None:
    """Writes a .npy file atomically."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    with open(partial, "wb") as file:
        np.save(file, array, allow_pickle=False)
    os.replace(partial, path)
