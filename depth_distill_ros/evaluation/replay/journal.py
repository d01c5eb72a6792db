"""The files of a replay that outlive a kill: what it is about, what was measured, how far it got.

`run.json` says what the run is about, `frames.jsonl` has a line a frame, `state.json` says up to
which frame everything is on the disk. A checkpoint closes a part of the output bag, then replaces
`state.json`; what lies behind it is dropped and done again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError, DataError
from depth_distill_ros.evaluation.tables import write_json

Record = dict[str, Any]
"""The numbers of a frame by name; what is unknown is absent."""


def cause(problem: str) -> str:
    """A problem's text without its numbers, so that a thousand of one kind are counted as one."""
    return re.sub(r"\d+(\.\d+)?", "#", problem)


class Lines:
    """An append-only file of JSON lines; the first `count` are kept, the rest is dropped."""

    def __init__(self, path: Path, count: int):
        self.path, self.count = path, count
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        end = 0
        with open(path, "rb") as file:
            for _ in range(count):
                line = file.readline()
                if not line.endswith(b"\n"):
                    raise DataError(f"{path} has fewer than {count} lines: delete its folder")
                end += len(line)
        os.truncate(path, end)
        self._file = open(path, "a", encoding="utf-8", buffering=1)  # a kill loses no whole line

    def add(self, record: Record) -> None:
        """Appends a line; after the next `flush` not even a power cut loses it."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")
        self.count += 1

    def flush(self) -> None:
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self.flush()
        self._file.close()

    def __iter__(self) -> Iterator[Record]:
        return read_lines(self.path)


def read_lines(path: Path) -> Iterator[Record]:
    """The records of a file of JSON lines. Raises DataError for a line that is none."""
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                yield json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number} is damaged: {error}") from error


class Journal:
    """The journal of one replay, a new one or one to go on with.

    Attributes:
        lines: of the frames that are done.
        state: of the last checkpoint, `{}` at first.

    Raises ConfigError where the folder holds another run, DataError where its files are damaged.
    """

    def __init__(self, folder: Path, identity: dict[str, Any]):
        self.folder = folder
        check_identity(folder / "run.json", identity)
        self.state = read_json(folder / "state.json") or {}
        write_json(folder / "run.json", identity)
        self.lines = Lines(folder / "frames.jsonl", self.state.get("frames", 0))

    def commit(self, **state: Any) -> None:
        """Makes what was added, and what `state` describes, last."""
        self.lines.flush()
        self.state = {"frames": self.lines.count, **state}
        write_json(self.folder / "state.json", self.state)


def check_identity(path: Path, identity: dict[str, Any]) -> None:
    """Raises ConfigError, with what differs, where a file is about another run."""
    before = read_json(path)
    if before is None:
        return
    keys = [key for key in {**before, **identity} if before.get(key) != identity.get(key)]
    if keys:
        other = "; ".join(f"{key} was {before.get(key)}, is {identity.get(key)}" for key in keys)
        raise ConfigError(
            f"{path.parent} holds another replay ({other}): give another --output, or delete it"
        )


def read_json(path: Path) -> Any | None:
    """None where there is no file. Raises DataError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read, delete its folder: {error}") from error
