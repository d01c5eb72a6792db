"""A prepared data set on disk: tar shards, one description beside each, and one index of all.

::

    settings.json      what the data set was made with
    ai_001_001.tar     a shard in webdataset's form: <name>.rgb.png|jpg and <name>.depth.png
    ai_001_001.json    its description, written last: a shard with a description is finished
    index.json         all shards with their sizes, SHA-256 and the names of their samples
    frames.txt         the names of all samples
    report.csv         what was left out, and why; report.json counts it
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from depth_distill_ros.errors import DataError
from training.data.samples import Stored
from training.scenes.files import replace_file

FORMAT = 1
INDEX = "index.json"


@dataclass(frozen=True)
class Rejected:
    """A frame that was left out.

    Attributes:
        name: of the frame.
        reason: "missing", "unreadable", or the filter that it did not pass.
        value: what the filter measured, or what went wrong.
    """

    name: str
    reason: str
    value: float | str = ""


@dataclass(frozen=True)
class About:
    """What a data set is and how it is read.

    Attributes:
        kind: "hypersim", "virtual_kitti" …
        settings: all that decides its content, plain values.
        depth: encoding of the depth files (see ``training.data.samples``).
        crop: (height, width) at the lower edge that a loader cuts out; None for whole images.
    """

    kind: str
    settings: dict
    depth: str = "log16"
    crop: tuple[int, int] | None = None


def claim(output: Path, about: About) -> None:
    """Create the folder, or check that it holds a part of the very same data set.

    Raises:
        DataError: it was made with other settings.
    """
    wanted = json.loads(json.dumps({"format": FORMAT, **asdict(about)}))
    path = output / "settings.json"
    if path.is_file():
        found = _read_json(path)
        if found != wanted:
            old, new = found.get("settings", {}), wanted["settings"]
            other = [k for k in new if old.get(k) != new[k]] or ["kind"]
            raise DataError(
                f"{output} holds data prepared with other settings ({', '.join(other)}): "
                "choose another folder, or the same settings to continue"
            )
        return
    output.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda file: file.write(_json(wanted)))


def write_part(
    output: Path, part: str, results: Iterable[Stored | Rejected], keep_images: bool = True
) -> None:
    """Write one shard and its description from the results of its frames, in their order.

    Args:
        output: folder of the data set.
        part: name of the shard.
        results: a stored sample or a rejection for every frame.
        keep_images: False writes the description only.
    """
    names: list[str] = []
    rejected: list[Rejected] = []

    def accepted():
        for result in results:
            if isinstance(result, Rejected):
                rejected.append(result)
            else:
                names.append(result.name)
                yield result

    file = f"{part}.tar"
    if keep_images:
        written = _write_tar(output / file, accepted())
    else:
        written = {"bytes": 0, "sha256": ""}
        for _ in accepted():
            pass
    shard = {"file": file, "samples": len(names), **written, "names": names}
    description = {"shard": shard, "rejected": [asdict(item) for item in rejected]}
    replace_file(output / f"{part}.json", lambda out: out.write(_json(description)))


def read_part(output: Path, part: str) -> dict | None:
    """A shard's description; None where the shard is not finished or was damaged since."""
    path = output / f"{part}.json"
    if not path.is_file():
        return None
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
        shard = description["shard"]
        if shard["bytes"] and (output / shard["file"]).stat().st_size != shard["bytes"]:
            return None
    except (OSError, ValueError, KeyError):
        return None
    return description


def finish(output: Path, about: About, parts: list[str], absent: dict[str, int]) -> dict:
    """Write index, list and report from the descriptions of all shards.

    Args:
        output: folder of the data set.
        about: what it is.
        parts: names of its shards.
        absent: frames of parts that were not there to be prepared.

    Returns:
        The content of ``report.json``.
    """
    descriptions = {part: read_part(output, part) for part in parts}
    lost = [part for part, description in descriptions.items() if description is None]
    if lost:
        raise DataError(f"shards of {output} are gone: {', '.join(lost[:5])}; prepare them again")
    shards = [d["shard"] for d in descriptions.values() if d["shard"]["samples"]]
    names = [name for shard in shards for name in shard["names"]]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DataError(f"{len(twice)} names occur twice, {twice[0]} among them")
    rejected = [(part, item) for part, d in descriptions.items() for item in d["rejected"]]
    report = {
        "kind": about.kind,
        "settings": about.settings,
        "frames": len(names) + len(rejected) + sum(absent.values()),
        "kept": len(names),
        "left_out": dict(sorted(Counter(item["reason"] for _, item in rejected).items())),
        "parts_absent": absent,
        "bytes": sum(shard["bytes"] for shard in shards),
    }
    if shards and all(shard["bytes"] for shard in shards):
        index = {
            "format": FORMAT, **asdict(about), "samples": len(names), "bytes": report["bytes"],
            "shards": shards,
        }  # fmt: skip
        replace_file(output / INDEX, lambda file: file.write(_json(index)))
    listing = "".join(f"{name}\n" for name in names)
    replace_file(output / "frames.txt", lambda file: file.write(listing.encode()))
    replace_file(output / "report.csv", lambda file: file.write(_table(rejected)))
    replace_file(output / "report.json", lambda file: file.write(_json(report)))
    return report


def _table(rejected: list[tuple[str, dict]]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("part", "frame", "reason", "value"))
    table.writerows((part, item["name"], item["reason"], item["value"]) for part, item in rejected)
    return text.getvalue().encode()


def _write_tar(path: Path, samples: Iterable[Stored]) -> dict:
    """Write a shard as webdataset reads it; the same samples give the same bytes."""
    hashing = _Hashing()

    def write(file: BinaryIO) -> None:
        hashing.file = file
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                _add(tar, f"{sample.name}.rgb.{sample.suffix}", sample.rgb)
                _add(tar, f"{sample.name}.depth.png", sample.depth)

    replace_file(path, write)
    return {"bytes": hashing.size, "sha256": hashing.digest.hexdigest()}


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    tar.addfile(member, io.BytesIO(data))


class _Hashing:
    """Passes what is written on to a file, counts and hashes it."""

    def __init__(self):
        self.digest, self.size = hashlib.sha256(), 0
        self.file: BinaryIO | None = None

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size += len(data)
        return self.file.write(data)


def _json(content: dict) -> bytes:
    return json.dumps(content, indent=1).encode()


def _read_json(path: Path) -> dict:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} must hold a JSON object")
    return content
