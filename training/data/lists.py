"""Files with a frame a line."""

from __future__ import annotations

from pathlib import Path

from depth_distill_ros.errors import DataError


def read_lines(path: Path) -> list[str]:
    """The lines of a list that are not blank.

    Raises:
        DataError: it cannot be read, or there are none.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"the list {path} cannot be read: {error}") from error
    found = [line for line in lines if line.strip()]
    if not found:
        raise DataError(f"the list {path} is empty")
    return found
