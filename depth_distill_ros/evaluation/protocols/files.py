"""A benchmark's files, in a folder or in a tar archive that is read where it is."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Protocol

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.protocols.definition import Definition


class Files(Protocol):
    """Files by their path from the root, with forward slashes."""

    root: Path

    def names(self) -> list[str]:
        """All of them, sorted."""

    def read(self, name: str) -> bytes:
        """The content of one. Raises DataError where it is absent or unreadable."""


class FolderFiles:
    """The files below a folder; links are followed."""

    def __init__(self, root: Path):
        self.root = root

    def names(self) -> list[str]:
        """All of them, sorted."""
        found = []
        for folder, _, files in os.walk(self.root, followlinks=True):
            below = Path(folder).relative_to(self.root)
            found += [(below / file).as_posix() for file in files]
        return sorted(found)

    def read(self, name: str) -> bytes:
        """The content of one. Raises DataError where it is absent or unreadable."""
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise DataError(f"{self.root / name} cannot be read: {error.strerror}") from error


class TarFiles:
    """The files of an uncompressed tar archive; nothing is unpacked."""

    def __init__(self, root: Path):
        self.root = root
        try:
            self._archive = tarfile.open(root, mode="r:")
            members = self._archive.getmembers()
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(
                f"{root} is not a whole, uncompressed tar archive ({error}): unpack it and give "
                "the folder"
            ) from error
        self._members = {os.path.normpath(m.name): m for m in members if m.isfile()}

    def names(self) -> list[str]:
        """All of them, sorted."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """The content of one. Raises DataError where it is absent or unreadable."""
        try:
            content = self._archive.extractfile(self._members[name])
            assert content is not None  # only regular files are members here
            return content.read()
        except KeyError as error:
            raise DataError(f"{self.root} holds no file {name}") from error
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(f"{name} in {self.root} cannot be read: {error}") from error


def open_files(root: str | Path, definition: Definition | None = None) -> Files:
    """The files at `root`: an archive, or a folder.

    With a definition, its first place that exists below a folder is taken (so that one folder can
    hold all benchmarks), else the folder itself. Raises DataError where there is nothing.
    """
    root = Path(root)
    if root.is_dir() and definition is not None:
        places = (root / place for place in definition.places)
        root = next((place for place in places if place.exists()), root)
    if root.is_dir():
        return FolderFiles(root)
    if root.is_file():
        return TarFiles(root)
    raise DataError(f"there is no folder or archive {root}")
