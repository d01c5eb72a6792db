"""Converts the furniture catalogues (``*.sh3f``) of the Debian package sweethome3d-furniture.

A catalogue is a ZIP with ``PluginFurnitureCatalog.properties`` — name, category, size in
centimetres — and OBJ models. Only packs whose licence is known to be CC-BY or CC0 are read.
"""

from __future__ import annotations

import os
import posixpath
import re
import zipfile
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from urllib.parse import unquote

import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes.fetched.collection import Collection
from training.scenes.fetched.obj import ObjModel, convert_obj

# Licences by pack, from the Debian package's machine-readable copyright file.
PACKS: dict[str, tuple[str, str]] = {
    "KatorLegaz": ("CC-BY-3.0", "Andrew Kator & Jennifer Legaz, 2003-2008 (CC-BY-3.0-US)"),
    "Reallusion": ("CC-BY-3.0", "Reallusion, 2008-2011 (CC-BY-3.0-US)"),
    "Scopia": ("CC-BY-3.0", "Scopia Visual Interfaces Systems, s.l., 2010-2012 (CC-BY-3.0)"),
    "BlendSwap-CC-BY": ("CC-BY-3.0", "the BlendSwap contributors (CC-BY-3.0)"),
    "BlendSwap-CC-0": ("CC0-1.0", "Emmanuel Puybaret and other contributors, 2014 (CC0-1.0)"),
}
CATALOGUE = "PluginFurnitureCatalog.properties"


@dataclass(frozen=True)
class Entry:
    """One piece of a catalogue; lengths in metres."""

    archive: str
    model: str
    name: str
    category: str
    licence: str
    size: tuple[float, float, float]
    elevation: float
    drop: float
    rotation: tuple[float, ...] | None


def parse_properties(text: str) -> dict[str, dict[str, str]]:
    """``key#number=value`` lines of a Java properties file, grouped by number."""
    groups: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        match = re.match(r"(\w+)#(\d+)\s*=\s*(.*)", line)
        if match:
            value = re.sub(r"\\u([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), match[3])
            groups.setdefault(match[2], {})[match[1]] = value.replace("\\", "").strip()
    return groups


def read_catalogue(path: Path) -> list[Entry]:
    """The usable entries of one ``.sh3f`` file."""
    licence = PACKS[path.stem][0]
    with zipfile.ZipFile(path) as archive:
        groups = parse_properties(archive.read(CATALOGUE).decode("latin-1"))
    entries = []
    for group in groups.values():
        try:
            size = tuple(float(group[k]) / 100 for k in ("width", "height", "depth"))
            rotation = tuple(float(v) for v in group.get("modelRotation", "").split()) or None
            drop = float(group.get("dropOnTopElevation", -100)) / 100
            entries.append(
                Entry(
                    str(path), unquote(group["model"]).lstrip("/"), group["name"], group["category"],
                    licence, size, float(group.get("elevation", 0)) / 100, drop if drop > 0 else -1.0,
                    rotation,
                )
            )  # fmt: skip
        except (KeyError, ValueError):
            continue
    return entries


def convert(entry: Entry) -> tuple[Entry, ObjModel] | None:
    """Convert one entry; None when its model cannot be used."""
    with zipfile.ZipFile(entry.archive) as archive:
        names = {n.lower(): n for n in archive.namelist()}
        folder = posixpath.dirname(entry.model)

        def read(name: str) -> bytes:
            path = posixpath.normpath(posixpath.join(folder, name)).lower()
            return archive.read(names[path])

        rotation = np.array(entry.rotation).reshape(3, 3) if entry.rotation else None
        try:
            model = convert_obj(posixpath.basename(entry.model), read, entry.size, rotation)
        except (KeyError, ValueError, IndexError, zipfile.BadZipFile):
            return None
    return (entry, model) if model else None


def collect(root: Path, collection: Collection, workers: int | None = None) -> None:
    """Add the models of every known pack below `root`.

    Raises:
        DataError: no catalogue of a known licence is there.
    """
    catalogues = [p for p in sorted(root.glob("**/*.sh3f")) if p.stem in PACKS]
    if not catalogues:
        raise DataError(f"no furniture catalogue (*.sh3f) of a known licence found below {root}")
    entries = [entry for path in catalogues for entry in read_catalogue(path)]
    with get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        for result in pool.imap(convert, entries, chunksize=8):
            if result:
                entry, model = result
                collection.add_model(
                    {
                        "name": entry.name,
                        "category": entry.category,
                        "licence": entry.licence,
                        "size": entry.size,
                        "elevation": entry.elevation,
                        "drop": entry.drop,
                    },
                    model.rows,
                    model.textures,
                )
    for path in catalogues:
        collection.licences.append(
            f"sweethome3d-furniture (Debian), pack {path.stem}: {PACKS[path.stem][1]}"
        )
