"""The folder of a run: one run at a time in it, and the checkpoint that a resumed one starts from."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from depth_distill_ros.errors import ConfigError
from training import checkpoint as ckpt
from training.processes import Processes


@contextmanager
def claimed(output: Path, processes: Processes) -> Iterator[None]:
    """Keep other runs out of a folder, whose unfinished files would be taken for left-overs."""
    lock = None

    def claim() -> None:
        nonlocal lock
        output.mkdir(parents=True, exist_ok=True)
        lock = (output / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, killed or not
        except BlockingIOError:
            raise ConfigError(f"another process is training in {output}") from None
        except OSError:  # a file system without locks
            pass

    try:
        processes.on_main(claim)
        yield
    finally:
        if lock is not None:
            lock.close()


def newest_checkpoint(output: Path, processes: Processes, resume: bool) -> ckpt.Checkpoint | None:
    """Clear up after a process that was killed, and read the newest checkpoint if there is one.

    Raises:
        ConfigError: there is a checkpoint and the run is not to resume, or some machine does not
            see it.
        DataError: it is damaged.
    """
    processes.on_main(lambda: ckpt.remove_unfinished(output))
    found = ckpt.list_checkpoints(output)
    seen = processes.gather([folder.name for folder in found])
    if any(names != seen[0] for names in seen):
        raise ConfigError(
            f"the processes do not see the same checkpoints in {output}: run.output must lie on "
            "storage that all machines share"
        )
    if found and not resume:
        raise ConfigError(
            f"{output} already holds a run: add --resume to go on, or give another run.output"
        )
    return ckpt.load_checkpoint(found[-1]) if found else None
