"""Work shared over processes and machines: every job done once, none missing, at any restart.

A job is one file (or one group of files) that holds the results of some samples. Job ``i`` belongs
to process ``i mod world``, a function of numbers alone: processes need neither talk to each other
nor see each other's files. A job counts as done when its files are there, and files appear whole
or not at all, so a run that was killed is just started again, with any number of processes. On a
shared file system the same command says when all is complete; folders of separate machines are
put together by copying.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from depth_distill_ros.errors import ConfigError, DataError

# rank, world, local rank, local world: torchrun and accelerate; Intel MPI and MPICH; Open MPI
_VARIABLES = (
    ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK"),
    ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE"),
    ("LOCAL_RANK", "MPI_LOCALRANKID", "OMPI_COMM_WORLD_LOCAL_RANK"),
    ("LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS", "OMPI_COMM_WORLD_LOCAL_SIZE"),
)


@dataclass(frozen=True)
class Share:
    """Which part of the work this process has: ``rank`` of ``world``.

    Attributes:
        rank: from 0.
        world: processes over all machines.
        local_rank: from 0 on this machine; progress is shown by 0.
        local_world: processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def from_environment(
        cls, part: str = "", environment: Mapping[str, str] | None = None
    ) -> Share:
        """The share that a launcher gave this process; all of the work without a launcher.

        ``accelerate launch`` and ``torchrun`` set ``RANK`` and ``WORLD_SIZE``; ``mpirun`` (with
        which accelerate starts several CPU processes) has names of its own.

        Args:
            part: ``2/3`` is the second of three machines that no launcher joins; its processes
                share that third.
            environment: variables to read instead of the process'.

        Raises:
            ConfigError: the part or the variables make no sense.
        """
        values = os.environ if environment is None else environment
        rank, world, local_rank, local_world = (
            next((_number(values, name) for name in names if values.get(name)), default)
            for names, default in zip(_VARIABLES, (0, 1, 0, 1), strict=True)
        )
        if not 0 <= rank < world:
            raise ConfigError(f"the launcher's rank {rank} does not fit {world} processes")
        machine, machines = _part(part) if part else (1, 1)
        return cls((machine - 1) * world + rank, machines * world, local_rank, local_world)

    def has(self, index: int) -> bool:
        """Whether job number ``index`` is this process'."""
        return index % self.world == self.rank


def _number(values: Mapping[str, str], name: str) -> int:
    try:
        return int(values[name])
    except ValueError:
        raise ConfigError(f"{name}={values[name]} is no number") from None


def _part(text: str) -> tuple[int, int]:
    try:
        part, parts = (int(number) for number in text.split("/"))
    except ValueError:
        raise ConfigError(f"a part of the work looks like 2/3, got '{text}'") from None
    if not 1 <= part <= parts:
        raise ConfigError(f"a part of the work is one of 1/{parts} to {parts}/{parts}, got {text}")
    return part, parts


@dataclass(frozen=True)
class Job:
    """One file's worth of samples: ``size`` of them, from ``first`` on; number ``index`` of all."""

    index: int
    first: int
    size: int


def split(samples: int, size: int) -> list[Job]:
    """Jobs of ``size`` samples each, the last one shorter."""
    starts = range(0, samples, size)
    return [Job(i, first, min(size, samples - first)) for i, first in enumerate(starts)]


@dataclass(frozen=True)
class Outcome:
    """What is done, in samples, once a process has finished its share.

    Attributes:
        total: samples of all processes.
        missing: samples of other processes that are not there (yet).
        made: samples that this run has made; the rest was there before.
    """

    total: int
    missing: int
    made: int

    @property
    def complete(self) -> bool:
        """Nothing is missing."""
        return self.missing == 0

    def __str__(self) -> str:
        if self.complete:
            return f"complete: all {self.total} samples are there"
        return (
            f"this process' share is done; {self.missing} of {self.total} samples are others' and "
            "not there yet. Once all have ended (and their folders are copied into one), the same "
            "command without a launcher makes what is missing and says when all is complete"
        )


def run_share(
    jobs: Sequence[Job],
    is_done: Callable[[Job], bool],
    work: Callable[[list[Job], Callable[[int], object]], None],
    share: Share,
    progress: bool = True,
    unit: str = "image",
) -> Outcome:
    """Do this process' jobs that are not done, then check that they are.

    Args:
        jobs: all jobs of all processes, the same list in each.
        is_done: looks whether a job's files are there and whole.
        work: does the jobs it is given, in order, each job's files written atomically
            (``training.scenes.files.replace_file``); it calls its second argument with the number
            of samples that it has finished.
        share: which jobs are this process'.
        progress: show a bar (on one process of each machine).
        unit: what a sample is called there.

    Raises:
        DataError: files of this process' jobs are missing after the work, for example because
            another program removes them.
    """
    from tqdm import tqdm

    mine = [job for job in jobs if share.has(job.index)]
    todo = [job for job in mine if not is_done(job)]
    size, left = sum(job.size for job in mine), sum(job.size for job in todo)
    hidden = not progress or share.local_rank > 0
    with tqdm(total=size, initial=size - left, unit=unit, disable=hidden) as bar:
        if todo:
            work(todo, bar.update)
    lost = [str(job.index) for job in mine if not is_done(job)]
    if lost:
        raise DataError(f"shards {', '.join(lost)} are missing or damaged after they were written")
    others = sum(job.size for job in jobs if not share.has(job.index) and not is_done(job))
    return Outcome(sum(job.size for job in jobs), others, left)


def one_core_each(share: Share, names: Sequence[str]) -> None:
    """Let numerical libraries use one core where several processes share a machine.

    Variables that are set already stay. It must run before the libraries are loaded.
    """
    if share.local_world > 1:
        for name in names:
            os.environ.setdefault(name, "1")


def report(outcome: Outcome, share: Share, place: str) -> None:
    """Print how far the folder ``place`` is: by rank 0, and by whoever finds all complete."""
    if share.rank == 0 or outcome.complete:
        print(f"{place}: {outcome}")
