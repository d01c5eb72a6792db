"""The frame of all preparation commands: parts on several processes, progress, resuming, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from pathlib import Path

import cv2

from depth_distill_ros.errors import DataError, UserError, refuse
from training.data.samples import Stored
from training.data.store import About, Rejected, claim, finish, read_part, write_part
from training.parallel import run_in_processes


@dataclass(frozen=True)
class Plan:
    """What is to be prepared.

    Attributes:
        about: what the data set is.
        parts: frames of each shard, by its name.
        read: gives the results of a part's frames, in order; it is sent to other processes.
        absent: frames of parts that are not there.
    """

    about: About
    parts: dict[str, int]
    read: Callable[[str], Iterator[Stored | Rejected]]
    absent: dict[str, int] = field(default_factory=dict)


def prepare(
    output: str | Path,
    plan: Plan,
    workers: int = 1,
    keep_images: bool = True,
    progress: bool = True,
) -> dict:
    """Prepare a data set into a folder; finished shards are kept.

    Args:
        output: the folder.
        plan: the data set.
        workers: processes.
        keep_images: False writes the report and the list of frames only.
        progress: show a bar.

    Returns:
        The report (see ``training.data.store.finish``).

    Raises:
        DataError: the folder holds other data, the disk is full, or a worker was killed.
    """
    from tqdm import tqdm

    output = Path(output)
    if workers < 1:
        raise DataError("--workers must be at least 1")
    claim(output, plan.about)
    job = _Job(output, plan.read, keep_images)
    todo = [part for part in plan.parts if not _is_finished(output, part, keep_images)]
    total = sum(plan.parts.values())
    done = total - sum(plan.parts[part] for part in todo)
    try:
        with tqdm(total=total, initial=done, unit="frame", disable=not progress) as bar:
            if workers == 1 or len(todo) < 2:
                for part in todo:
                    job(part, bar.update)
            else:
                calls = [(part,) for part in todo]
                run_in_processes(_work, calls, workers, _start_worker, job, bar.update)
    except BrokenExecutor as error:
        raise DataError(
            "a worker process was killed, perhaps for want of memory: the same command, with fewer "
            "--workers, goes on after the last finished shard"
        ) from error
    except OSError as error:
        raise DataError(
            f"{output} cannot be written: {error.strerror or error}. Finished shards are kept: "
            "the same command goes on from there"
        ) from error
    return finish(output, plan.about, list(plan.parts), plan.absent)


def _is_finished(output: Path, part: str, keep_images: bool) -> bool:
    description = read_part(output, part)
    if description is None:
        return False
    shard = description["shard"]
    return not keep_images or bool(shard["bytes"])


@dataclass(frozen=True)
class _Job:
    output: Path
    read: Callable[[str], Iterator[Stored | Rejected]]
    keep_images: bool

    def __call__(self, part: str, tick: Callable[[int], object]) -> None:
        def ticking() -> Iterator[Stored | Rejected]:
            for result in self.read(part):
                yield result
                tick(1)

        write_part(self.output, part, ticking(), self.keep_images)


_worker: dict = {}


def _start_worker(job: _Job, ticks) -> None:
    cv2.setNumThreads(1)
    _worker["job"], _worker["tick"] = job, ticks.put


def _work(part: str) -> None:
    _worker["job"](part, _worker["tick"])


def summary(report: dict, expected: dict[int, str]) -> str:
    """A report in lines for the terminal.

    Args:
        report: of ``prepare``.
        expected: what counts of kept frames are known from elsewhere, and what they are.
    """
    lines = [f"{report['kept']} of {report['frames']} frames kept"]
    lines += [f"  {count:7d} left out: {reason}" for reason, count in report["left_out"].items()]
    if report["parts_absent"]:
        frames = sum(report["parts_absent"].values())
        lines.append(f"  {frames:7d} not there ({len(report['parts_absent'])} parts absent)")
    for count, meaning in expected.items():
        difference = report["kept"] - count
        verdict = "the same number" if difference == 0 else f"{difference:+d} here"
        lines.append(f"  {count:7d} are {meaning}: {verdict}")
    if report["bytes"]:
        lines.append(f"{report['bytes'] / 1e9:.2f} GB in shards")
    return "\n".join(lines)


def add_common_options(parser: argparse.ArgumentParser) -> None:
    """The options that all preparation commands share."""
    parser.add_argument("--root", type=Path, required=True, metavar="DIR", help="the data set")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="shards to write")
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--list", type=Path, metavar="FILE", help="take these frames, one a line")
    parser.add_argument("--partial", action="store_true", help="prepare what is there, if not all")
    parser.add_argument(
        "--only-list", action="store_true", help="write frames.txt and the report, no shards"
    )


def run(command: Callable[[argparse.Namespace], str], arguments: argparse.Namespace) -> int:
    """Run a command and print what it returns; 2 after a user's mistake, 130 after an interrupt."""
    try:
        print(command(arguments))
    except UserError as error:
        return refuse(error)
    except KeyboardInterrupt:
        print("stopped; the same command goes on after the last finished shard", file=sys.stderr)
        return 130
    return 0
