"""Files that appear whole or not at all."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

_ABANDONED = 3600.0


def replace_file(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Let ``write`` fill a temporary file beside ``path``, then rename it to ``path``.

    The content is on the disk before the name is, and temporary names are unique over machines
    that share a file system. Temporary files of ``path`` that a kill has left behind, untouched
    for an hour, are removed.
    """
    for left in path.parent.glob(f".{path.name}.*.part"):
        _remove_abandoned(left)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _remove_abandoned(path: Path) -> None:
    try:
        if time.time() - path.stat().st_mtime > _ABANDONED:
            path.unlink()
    except FileNotFoundError:
        pass  # another process was faster
