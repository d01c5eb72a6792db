"""Hypersim's official files: the split, and the scenes as folders or as the archives they come in.

::

    <root>/metadata_images_split_scene_v1.csv
    <root>/ai_VVV_NNN/images/scene_cam_XX_final_hdf5/frame.IIII.color.hdf5
    <root>/ai_VVV_NNN/images/scene_cam_XX_geometry_hdf5/frame.IIII.depth_meters.hdf5
    <root>/ai_VVV_NNN/images/scene_cam_XX_geometry_hdf5/frame.IIII.render_entity_id.hdf5
    <root>/ai_VVV_NNN.zip          instead of the folder: the same paths inside
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from training.data.lists import read_lines

SPLIT_FILE = "metadata_images_split_scene_v1.csv"
PARTITIONS = {"train": 59543, "val": 7386, "test": 7690}
"""Released frames of each part of the official split file."""

_COLUMNS = {"scene_name", "camera_name", "frame_id", "included_in_public_release"}
_LISTED = re.compile(r"(ai_\d{3}_\d{3})/\S*?(cam_\d{2})\D+(\d{4})")


@dataclass(frozen=True)
class Row:
    """A frame: of which scene, from which camera, with which number."""

    scene: str
    camera: str
    frame: int

    @property
    def name(self) -> str:
        """``ai_001_001/cam_00/0000``."""
        return f"{self.scene}/{self.camera}/{self.frame:04d}"

    @property
    def colour(self) -> str:
        """Path of the linear colours inside the data set."""
        return self._path("final", "color")

    @property
    def distance(self) -> str:
        """Path of the distances to the optical centre."""
        return self._path("geometry", "depth_meters")

    @property
    def entity(self) -> str:
        """Path of the identities of what is seen."""
        return self._path("geometry", "render_entity_id")

    def _path(self, kind: str, what: str) -> str:
        folder = f"{self.scene}/images/scene_{self.camera}_{kind}_hdf5"
        return f"{folder}/frame.{self.frame:04d}.{what}.hdf5"


def read_split(path: Path, partition: str) -> list[Row]:
    """The released frames of a partition of the split file ("train", "val", "test"), in its order.

    Raises:
        DataError: there is no such file, it is another table, or it has no such partition.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            table = csv.DictReader(file)
            columns = set(table.fieldnames or ())
            rows = list(table)
    except FileNotFoundError as error:
        raise DataError(
            f"there is no split file {path}: take {SPLIT_FILE} from the folder "
            "evermotion_dataset/analysis of Hypersim's repository (github.com/apple/ml-hypersim)"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    missing = (_COLUMNS | {"split_partition_name"}) - columns
    if missing:
        raise DataError(f"{path} is not Hypersim's split file: it has no column {min(missing)}")
    try:
        found = [
            Row(row["scene_name"], row["camera_name"], int(row["frame_id"]))
            for row in rows
            if row["included_in_public_release"] == "True"
            and row["split_partition_name"] == partition
        ]
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}; download it again") from error
    if not found:
        raise DataError(f"{path} lists no released frames of the partition '{partition}'")
    return found


def read_list(path: Path) -> list[Row]:
    """Frames from a list: lines of ``frames.txt``, or of Marigold's filtered file lists.

    Raises:
        DataError: the list cannot be read, or a line of it names no frame.
    """
    rows = []
    for line in read_lines(path):
        match = _LISTED.search(line)
        if not match:
            raise DataError(
                f"the list {path} has a line without a frame such as ai_001_001/cam_00/0000: "
                f"'{line[:80]}'"
            )
        rows.append(Row(match[1], match[2], int(match[3])))
    return list(dict.fromkeys(rows))


def find_scene(root: Path, scene: str) -> Path | None:
    """The folder or the archive of a scene."""
    for path in (root / scene, root / f"{scene}.zip"):
        if (path / "images").is_dir() or path.is_file():
            return path
    return None


def check_archive(path: Path) -> str:
    """What is wrong with a scene's place; "" for a folder or an archive that is whole."""
    if path.is_dir():
        return ""
    try:
        with zipfile.ZipFile(path):
            return ""
    except (OSError, zipfile.BadZipFile):
        return f"{path} is cut short or no zip archive: download it again"


class Scene:
    """The files of one scene, read from its folder or straight from its archive.

    Raises:
        DataError: the archive is damaged.
    """

    def __init__(self, place: Path):
        self._folder = place.parent
        problem = check_archive(place)
        if problem:
            raise DataError(problem)
        self._archive = None if place.is_dir() else zipfile.ZipFile(place)

    def array(self, path: str) -> np.ndarray:
        """The data set of an HDF5 file.

        Raises:
            FileNotFoundError: the scene has no such file.
            DataError: it cannot be read.
        """
        import h5py

        try:
            data: Path | io.BytesIO = self._folder / path
            if self._archive:
                data = io.BytesIO(self._archive.read(path))
            elif not data.is_file():
                raise FileNotFoundError(path)
            with h5py.File(data, "r") as file:
                return file["dataset"][()]
        except FileNotFoundError:
            raise
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
            if self._archive and path not in self._archive.NameToInfo:
                raise FileNotFoundError(path) from error
            raise DataError(f"{path} cannot be read: {error}") from error

    def close(self) -> None:
        """Close the archive."""
        if self._archive:
            self._archive.close()
