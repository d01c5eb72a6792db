"""Scores by image in a CSV file, so that an interrupted measurement goes on where it was."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import asdict, fields
from pathlib import Path

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.metrics import DepthErrors
from depth_distill_ros.evaluation.protocols.scoring import ImageScore
from depth_distill_ros.evaluation.protocols.tasks import Errors
from depth_distill_ros.evaluation.tables import write_json


def columns_of(kind: type[Errors]) -> tuple[str, ...]:
    """The columns of the file, with errors of a kind."""
    errors = (field.name for field in fields(kind))
    return ("image", "pixels", "coverage", "scale", "shift", *errors)


class Results:
    """The folder of one measurement: `images.csv` and, in `run.json`, what it is about.

    Numbers are written with all their digits: a resumed measurement has the same means. A line is
    on the disk as soon as its image is scored; half a line, of a process that was killed, is
    dropped and its image scored again.

    Attributes:
        scores: by image, those of an earlier, interrupted run at first.

    Raises ConfigError where the folder holds another measurement, DataError where its file is
    damaged.
    """

    def __init__(self, folder: Path, identity: dict[str, object], kind: type[Errors] = DepthErrors):
        self.path = folder / "images.csv"
        _check_identity(folder, identity)
        self.scores = _read(self.path, kind)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "run.json", identity)
        partial = self.path.with_name(self.path.name + ".partial")
        rows = [columns_of(kind), *map(_cells, self.scores.values())]
        partial.write_text("".join(map(_line, rows)), encoding="utf-8")
        os.replace(partial, self.path)

    def add(self, score: ImageScore) -> None:
        """Appends an image's line."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(_line(_cells(score)))
        self.scores[score.image] = score


def _check_identity(folder: Path, identity: dict[str, object]) -> None:
    try:
        before = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise DataError(f"{folder / 'run.json'} cannot be read: {error}") from error
    now = json.loads(json.dumps(identity))
    if before != now:
        keys = [key for key in now if before.get(key) != now[key]] or ["fields"]
        other = "; ".join(f"{key} {before.get(key)!r}, now {now.get(key)!r}" for key in keys)
        raise ConfigError(
            f"{folder} holds another measurement ({other}): give another --output, or delete it"
        )


def _read(path: Path, kind: type[Errors]) -> dict[str, ImageScore]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    whole = text[: text.rfind("\n") + 1]
    try:
        return {row["image"]: _score(row, kind) for row in csv.DictReader(io.StringIO(whole))}
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} has a line that is no score ({error}): delete the file") from error


def _score(row: dict[str, str], kind: type[Errors]) -> ImageScore:
    errors = kind(**{field.name: float(row[field.name]) for field in fields(kind)})
    numbers = {name: float(row[name]) for name in ("coverage", "scale", "shift")}
    return ImageScore(image=row["image"], pixels=int(row["pixels"]), errors=errors, **numbers)


def _cells(score: ImageScore) -> list[object]:
    values = asdict(score)
    values |= values.pop("errors")
    return [values[name] for name in columns_of(type(score.errors))]


def _line(cells: list[object] | tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)  # floats by repr: nothing is rounded
    return text.getvalue()
