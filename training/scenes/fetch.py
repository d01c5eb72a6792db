"""Fetches the real assets of the ``full`` tier once into a cache: ``python -m training.scenes.fetch``.

Furniture comes from the Debian package sweethome3d-furniture (CC-BY-3.0 and CC0), panoramas from the
npm package @pmndrs/assets (CC0). Nothing is installed on the system: packages are downloaded to a
temporary folder with their ordinary clients, converted, and the result is moved into place at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, UserError, refuse
from training.scenes.assets import CACHE_FORMAT, default_cache
from training.scenes.fetched import furniture, panoramas
from training.scenes.fetched.collection import Collection


@dataclass(frozen=True)
class Source:
    """A package to fetch: what it is, and the tools that download and unpack it."""

    package: str
    registry: str
    version: str
    size: str
    licence: str
    contents: str
    tools: tuple[str, ...]


FURNITURE = Source(
    "sweethome3d-furniture", "Debian", "1.8", "120 MB", "CC-BY-3.0 and CC0 (one pack)",
    "about 800 models of furniture, people, vehicles and plants", ("apt-get", "dpkg-deb"),
)  # fmt: skip
PANORAMAS = Source(
    "@pmndrs/assets", "npm", "1.7.0", "14 MB", "CC0-1.0",
    "18 photographed panoramas of Poly Haven", ("npm",),
)  # fmt: skip
SOURCES = (FURNITURE, PANORAMAS)


def require_tools(sources: tuple[Source, ...] = SOURCES) -> None:
    """Raise DataError naming every command that is missing, before anything is downloaded."""
    missing = sorted({t for s in sources for t in s.tools if shutil.which(t) is None})
    if missing:
        raise DataError(
            f"fetching assets needs the command(s) {', '.join(missing)}, which are not installed; "
            "install them (apt-get and dpkg-deb: a Debian or Ubuntu system; npm: the package npm), "
            "or use the tier 'procedural', which needs nothing"
        )


def run(command: list[str], folder: Path) -> None:
    """Run a download tool in `folder`; raise DataError with its last words when it fails."""
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if result.returncode:
        words = (result.stderr or result.stdout).strip().splitlines()[-3:]
        raise DataError(f"'{' '.join(command)}' failed: {' / '.join(words) or result.returncode}")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise DataError(f"the download brought no {pattern}; try again, or look at the registry")
    return found[0]


def download_furniture(folder: Path) -> Path:
    """The unpacked furniture package's root folder."""
    # apt fetches as its own user and needs a folder that this user may enter.
    folder.chmod(0o755)
    run(["apt-get", "download", FURNITURE.package], folder)
    root = folder / "furniture"
    run(["dpkg-deb", "-x", str(_only(folder, "*.deb")), str(root)], folder)
    return root


def download_panoramas(folder: Path) -> Path:
    """The unpacked panorama package's root folder."""
    run(["npm", "pack", "--silent", PANORAMAS.package], folder)
    root = folder / "panoramas"
    with tarfile.open(_only(folder, "*.tgz")) as archive:
        members = [m for m in archive.getmembers() if m.isfile() and ".." not in m.name]
        wanted = [m for m in members if m.name.startswith("package/hdri/") or "LICENSE" in m.name]
        for member in wanted:
            target = root / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.extractfile(member).read())
    return root


def write_cache(collection: Collection, cache: Path) -> None:
    """Write the collection beside `cache` and move it into place, so that no half set is ever seen."""
    cache.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=cache.name + ".new-", dir=cache.parent))
    staging.chmod(0o755)
    try:
        np.save(staging / "vertices.npy", np.concatenate(collection.rows).astype(np.float32))
        np.save(staging / "textures.npy", np.stack(collection.textures))
        np.save(staging / "skies.npy", np.stack(collection.skies))
        index = {
            "format": CACHE_FORMAT,
            "models": collection.models,
            "surfaces": collection.surfaces,
            "skies": collection.sky_names,
            "licences": collection.licences,
        }
        (staging / "index.json").write_text(json.dumps(index), encoding="utf-8")
        (staging / "LICENCES.md").write_text(licence_text(collection), encoding="utf-8")
        if cache.exists():
            old = cache.with_name(staging.name.replace(".new-", ".old-"))
            os.replace(cache, old)
            os.replace(staging, cache)
            shutil.rmtree(old)
        else:
            os.replace(staging, cache)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def licence_text(collection: Collection) -> str:
    """LICENCES.md: sources, licences and whom to credit."""
    counts: dict[str, int] = {}
    for model in collection.models:
        counts[model["licence"]] = counts.get(model["licence"], 0) + 1
    lines = ["# Licences of the fetched scene assets", ""]
    lines += [f"- {line}" for line in collection.licences]
    lines += ["", "## Models by licence", ""]
    lines += [f"- {name}: {count}" for name, count in sorted(counts.items())]
    lines += [
        "",
        "The models were changed: scaled to their catalogue size, transparent parts left out, textures",
        "resized to 256 × 256 pixels. The panoramas were resized to 512 × 256; crops of them serve as",
        "pictures on walls. CC-BY-3.0: creativecommons.org/licenses/by/3.0, CC0-1.0:",
        "creativecommons.org/publicdomain/zero/1.0.",
        "",
    ]
    return "\n".join(lines)


def fetch(cache: Path | None = None, workers: int | None = None) -> Path:
    """Download, convert and store the full set; return the cache folder.

    Raises:
        DataError: a tool is missing, a download failed or brought something unexpected.
    """
    require_tools()
    panoramas.require_reader()
    cache = Path(cache) if cache else default_cache()
    print(f"The full asset set goes to {cache}. It is downloaded, not installed:")
    for source in SOURCES:
        print(
            f"  {source.package} {source.version} ({source.registry}, {source.size}): "
            f"{source.contents}; {source.licence}"
        )
    collection = Collection()
    with tempfile.TemporaryDirectory(prefix="scene-assets-") as name:
        folder = Path(name)
        print("Fetching and converting panoramas …", flush=True)
        panoramas.collect(download_panoramas(folder), collection)
        print("Fetching and converting furniture …", flush=True)
        furniture.collect(download_furniture(folder), collection, workers)
    write_cache(collection, cache)
    print(
        f"{len(collection.models)} models, {len(collection.textures)} textures and "
        f"{len(collection.skies)} panoramas are in {cache}; licences: {cache / 'LICENCES.md'}"
    )
    return cache


def main(arguments: list[str] | None = None) -> int:
    """Command line of ``python -m training.scenes.fetch``."""
    parser = argparse.ArgumentParser(prog="python -m training.scenes.fetch", description=__doc__)
    parser.add_argument("--cache", type=Path, help="folder to fill (default: the user's cache)")
    parser.add_argument(
        "--workers", type=int, help="processes for the conversion (default: all cores)"
    )
    options = parser.parse_args(arguments)
    try:
        fetch(options.cache, options.workers)
    except UserError as error:
        return refuse(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
