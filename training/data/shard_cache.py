"""Shards fetched from elsewhere into a local folder of bounded size, shared by all processes.

A location is a URL of the folder (``https://host/data/hypersim``), any other URL that webdataset's
``gopen`` knows, or a command with ``{}`` for the file's name (``pipe:aws s3 cp s3://bucket/{} -``).
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from depth_distill_ros.errors import UserError

TIMEOUT = 60.0
PAUSES = (1.0, 4.0, 15.0)  # seconds before each new try
_ABANDONED = 3600.0
_CHUNK = 1 << 20


class TransferError(UserError):
    """Files that cannot be fetched.

    Not a DataError, for that is one sample, which a run skips; without the network it ends.
    """


def is_remote(location: str) -> bool:
    """Whether a data set's location is not a folder of this machine."""
    return "://" in location or location.startswith("pipe:")


def url_of(location: str, file: str) -> str:
    """The URL of a file of a location."""
    return location.replace("{}", file) if "{}" in location else f"{location.rstrip('/')}/{file}"


@contextmanager
def open_url(url: str) -> Iterator[BinaryIO]:
    """A stream of a URL's content.

    Raises:
        FileNotFoundError: there is no such file.
        OSError: it cannot be reached now; later it may.
        TransferError: the kind of URL is unknown.
    """
    if url.startswith(("http://", "https://")):
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT) as stream:
                yield stream
        except urllib.error.HTTPError as error:
            if error.code in (404, 410):
                raise FileNotFoundError(f"{url} does not exist") from error
            raise OSError(f"{error.code} {error.reason}") from error
        return
    from webdataset.gopen import gopen

    try:
        stream = gopen(url, "rb")
    except ValueError as error:
        raise TransferError(f"{url} cannot be read: {error}") from error
    with stream:
        yield stream


def fetch_bytes(url: str, pauses: tuple[float, ...] = PAUSES) -> bytes:
    """All of a small file, tried again after each pause. Raises TransferError."""

    def read() -> bytes:
        with open_url(url) as stream:
            return stream.read()

    return _patiently(read, url, pauses)


def _patiently(work, url: str, pauses: tuple[float, ...]):
    for pause in (*pauses, None):
        try:
            return work()
        except FileNotFoundError as error:
            raise TransferError(f"{url} does not exist: check the location") from error
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise TransferError(
                    "the disk of the cache (data.cache) is full: give another folder, or a "
                    "smaller data.cache_gb"
                ) from error
            if pause is None:
                raise TransferError(f"{url} cannot be read: {error}") from error
            time.sleep(pause)


class ShardCache:
    """Local copies of a location's files.

    Processes share the folder: each file is fetched once, under a lock, checked against its size
    and SHA-256, and appears whole. The files used longest ago make room for new ones. A file that
    is open when it is removed stays readable.

    Args:
        folder: of the copies.
        location: where the files come from.
        limit: bytes that the folder may hold.
        pauses: seconds before each new try of a failed transfer.
    """

    def __init__(self, folder: Path, location: str, limit: int, pauses: tuple[float, ...] = PAUSES):
        self._folder, self._location, self._limit = folder, location, limit
        self._pauses = pauses
        folder.mkdir(parents=True, exist_ok=True)

    def open(self, file: str, size: int, sha256: str) -> BinaryIO:
        """A local copy, opened. Raises TransferError where it cannot be fetched."""
        path = self._folder / file
        for _ in range(10):  # another process may remove it before it is opened
            try:
                stream = open(path, "rb")
                os.utime(path)
                return stream
            except FileNotFoundError:
                self.fetch(file, size, sha256)
        raise TransferError(
            f"{path} is removed as soon as it is fetched: other runs share the folder and need "
            "more room (data.cache_gb)"
        )

    def fetch(self, file: str, size: int, sha256: str, wait: bool = True) -> None:
        """Fetch a file that is not there; without ``wait``, only if nobody else is at it."""
        with self._lock(file, wait) as locked:
            path = self._folder / file
            if locked and not path.is_file():
                url = url_of(self._location, file)
                _patiently(lambda: self._transfer(url, path, size, sha256), url, self._pauses)

    def touch(self, files: list[str]) -> None:
        """Keep files that are about to be used: others make room first."""
        for file in files:
            try:
                os.utime(self._folder / file)
            except FileNotFoundError:
                pass

    def _transfer(self, url: str, path: Path, size: int, sha256: str) -> None:
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        digest, received = hashlib.sha256(), 0
        self._reserve(partial, size)
        try:
            with open_url(url) as stream, open(partial, "r+b") as file:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
                    received += len(chunk)
                    file.write(chunk)
            if received != size or digest.hexdigest() != sha256:
                raise OSError(
                    f"{received} of {size} bytes arrived"
                    if received != size
                    else "its SHA-256 is not the one in the index"
                )
            with self._lock(".room"):  # who counts must not find it under neither name
                os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def _reserve(self, partial: Path, needed: int) -> None:
        """Make room, and hold it by a file of that size, which takes no blocks yet."""
        with self._lock(".room"):
            kept, used = [], needed
            for path in self._folder.iterdir():
                try:
                    status = path.stat()
                except FileNotFoundError:
                    continue
                if path.suffix == ".part" and time.time() - status.st_mtime > _ABANDONED:
                    path.unlink(missing_ok=True)
                elif path.suffix in (".tar", ".part"):
                    used += status.st_size
                    if path.suffix == ".tar":
                        kept.append((status.st_mtime, status.st_size, path))
            for _, size, path in sorted(kept):
                if used <= self._limit:
                    break
                path.unlink(missing_ok=True)
                used -= size
            with open(partial, "wb") as file:
                file.truncate(needed)

    @contextmanager
    def _lock(self, name: str, wait: bool = True) -> Iterator[bool]:
        with open(self._folder / f"{name}.lock", "w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                yield False
                return
            yield True
