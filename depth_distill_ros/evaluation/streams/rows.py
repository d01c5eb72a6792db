"""Rows of the tables: means over a sequence or a kind of clip, and means over such rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.benchmarks import SETTINGS, in_mean
from depth_distill_ros.evaluation.streams.measure import MIN_FRAMES, Tally
from depth_distill_ros.evaluation.streams.predictors import AVERAGE, PER_FRAME, STREAMING, WINDOWS
from depth_distill_ros.evaluation.streams.sources import Take

MOTION = {True: "moving objects", False: "static objects"}


@dataclass(frozen=True)
class Row:
    """Mean errors.

    Attributes:
        setting: "indoor", "outdoor" or "all".
        n: by error, how many frames or pairs it is the mean of; of a mean of rows, how many rows.
        errors: column, then error, as in `Tally`.
    """

    name: str
    setting: str
    n: dict[str, int]
    errors: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Rows:
    """All rows of one split.

    Attributes:
        groups: of sequences or kinds of clips.
        motion: of all clips whose objects move, and of all others; empty for real sequences.
        means: indoor, outdoor and all, each row of `groups` with the same weight.
        left_out: what was not scored, and why.
    """

    groups: list[Row]
    motion: list[Row]
    means: list[Row]
    left_out: list[str]

    def __iter__(self) -> Iterator[Row]:
        return iter([*self.groups, *self.motion, *self.means])


def collect(takes: Iterable[Take], measure: Callable[[Take], Tally]) -> Rows:
    """Measures the takes and keeps their errors alone. DataError where nothing can be scored."""
    groups: dict[str, tuple[str, Tally]] = {}
    motion: dict[str, Tally] = {}
    left_out: list[str] = []
    for take in takes:
        tally = measure(take)
        left_out += tally.left_out
        setting = "outdoor" if take.outdoor else "indoor"
        found = groups.setdefault(take.group, (setting, Tally()))[1]
        found += tally
        if take.moving is not None:
            motion_tally = motion.setdefault(MOTION[take.moving], Tally())
            motion_tally += tally
    rows = [_row(name, *groups[name]) for name in sorted(groups) if groups[name][1].frames]
    if not rows:
        raise DataError(
            f"nothing can be scored: streams need {MIN_FRAMES} frames with depth in a row; "
            f"left out: {'; '.join(left_out)}"
        )
    moved = [_row(name, "all", motion[name]) for name in MOTION.values() if name in motion]
    return Rows(rows, moved, _means(rows), left_out)


def _row(name: str, setting: str, tally: Tally) -> Row:
    counts = {name: len(values) for name, values in tally.errors.get(PER_FRAME, {}).items()}
    return Row(name, setting, counts, tally.means())


def _means(rows: list[Row]) -> list[Row]:
    result = []
    for setting in SETTINGS:
        chosen = [row for row in rows if in_mean(row.setting, setting)]
        if chosen:
            counts = {name: 0 for row in chosen for name in row.n}
            counts = {name: sum(name in row.n for row in chosen) for name in counts}
            result.append(Row(f"mean {setting}", setting, counts, _mean_errors(chosen)))
    return result


def _mean_errors(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Of each error over the rows that have it."""
    found: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        for column, errors in row.errors.items():
            for name, value in errors.items():
                found.setdefault(column, {}).setdefault(name, []).append(value)
    return {
        column: {name: float(np.mean(values)) for name, values in errors.items()}
        for column, errors in found.items()
    }


@dataclass(frozen=True)
class Change:
    """How much larger the errors of one column are than those of another, in one row.

    Attributes:
        changes: by error, -0.3 where it is 30 % smaller. δ1 is left out, near 1 as it is; boundary
            F1, of which more is better, is there.
    """

    row: str
    column: str
    base: str
    changes: dict[str, float]


def changes(rows: Rows, names: tuple[str, ...]) -> list[Change]:
    """Each column against per frame, and those with a memory against the others.

    On average, and in motion.
    """
    pairs = [(name, PER_FRAME) for name in (STREAMING, WINDOWS, AVERAGE) if name in names]
    others = names[names.index(AVERAGE) :]
    pairs += [(name, other) for name in (STREAMING, WINDOWS) if name in names for other in others]
    told = [rows.means[-1], *(row for row in rows.motion if row.name == MOTION[True])]
    found = [_change(row, *pair) for row in told for pair in pairs]
    return [change for change in found if change.changes]


def _change(row: Row, column: str, base: str) -> Change:
    new, old = row.errors.get(column, {}), row.errors.get(base, {})
    names = [name for name in old if not name.startswith("delta") and old[name] > 0]
    return Change(row.name, column, base, {name: new[name] / old[name] - 1 for name in names})
