"""Records of a run as JSON lines that a resumed run goes on writing."""

from __future__ import annotations

import json
import os
from pathlib import Path

from depth_distill_ros.errors import DataError
from training.data.batches import Skip


class Records:
    """A file of JSON objects, one a line, each with the "step" it belongs to.

    Args:
        path: the file; made with the first record.
    """

    def __init__(self, path: Path):
        self.path = path

    def read(self) -> list[dict]:
        """All records; a last line that a killed process left unfinished is dropped."""
        if not self.path.is_file():
            return []
        lines = self.path.read_text().split("\n")
        return [json.loads(line) for line in lines[:-1]]

    def append(self, step: int, **values: object) -> None:
        """Add a record."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")

    def rewind(self, step: int) -> None:
        """Forget what lies behind a step: a run that resumes there will do it again."""
        kept = [record for record in self.read() if record["step"] <= step]
        if not self.path.is_file():
            return
        scratch = self.path.with_name(f".{self.path.name}")
        scratch.write_text("".join(json.dumps(record) + "\n" for record in kept))
        os.replace(scratch, self.path)


class SkipLedger:
    """Counts and lists the samples that could not be read, and says when they are too many.

    Args:
        output: the run's folder; the list is ``skipped.jsonl`` in it.
        share: of the samples seen that may be unreadable.
        images: in the data sets; the share is of one pass over them at least, so that the first
            bad sample of many does not end a run that has only begun.
    """

    def __init__(self, output: Path, share: float, images: int):
        self.records = Records(output / "skipped.jsonl")
        self.count = 0
        self._share, self._images = share, images

    def add(self, step: int, skips: list[Skip], write: bool) -> None:
        """Take the samples skipped in a step by all processes.

        Args:
            step: the step they were needed for, counted from 1.
            skips: of all processes.
            write: whether this process keeps the list.
        """
        self.count += len(skips)
        for skip in skips if write else ():
            named = {"sample": skip.name, "instead": skip.instead, "reason": skip.reason}
            self.records.append(step, **named)

    def check(self, seen: int, last: Skip) -> None:
        """Raise DataError when too many of the samples seen could not be read."""
        of = max(seen, self._images)
        if self.count > self._share * of:
            raise DataError(
                f"{self.count} of {of} samples could not be read, more than run.max_skipped = "
                f"{self._share:g} allows; {self.records.path} lists them. The last was "
                f"{last.name}: {last.reason}"
            )
