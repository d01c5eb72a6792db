"""Virtual KITTI 2's official files, in folders or in the archives they come in.

::

    SceneXX/<condition>/frames/rgb/Camera_<0|1>/rgb_00000.jpg        1242×375
    SceneXX/<condition>/frames/depth/Camera_<0|1>/depth_00000.png    16 bit, cm; sky is 65535

at ``<root>``, one folder below it, or in ``vkitti_2.0.3_rgb.tar`` and ``vkitti_2.0.3_depth.tar``.
"""

from __future__ import annotations

import re
import tarfile
from dataclasses import dataclass
from pathlib import Path

from depth_distill_ros.errors import DataError
from training.data.lists import read_lines

FRAMES = {"Scene01": 447, "Scene02": 233, "Scene06": 270, "Scene18": 339, "Scene20": 837}
"""Frames of each drive, in every condition and camera."""

CONDITIONS = ("clone", "morning", "overcast", "sunset", "15-deg-left", "15-deg-right")
CAMERAS = (0, 1)
TRAINING_SCENES = ("Scene02", "Scene06", "Scene18", "Scene20")
"""Scene01 is left for validation: four scenes, six conditions, two cameras are 20,148 frames."""

_PATH = re.compile(
    r"(Scene\d{2})/([\w-]+)/frames/(rgb|depth)/Camera_([01])/(?:rgb|depth)_(\d{5})\.(?:jpg|png)"
)
_NAME = re.compile(r"(Scene\d{2})/([\w-]+)/Camera_([01])/(\d{5})")


@dataclass(frozen=True, order=True)
class Drive:
    """One video: a scene in a condition, seen by a camera."""

    scene: str
    condition: str
    camera: int

    @property
    def part(self) -> str:
        """Name of its shard."""
        return f"{self.scene}-{self.condition}-Camera_{self.camera}"


@dataclass(frozen=True)
class Row:
    """A frame of a drive."""

    drive: Drive
    frame: int

    @property
    def name(self) -> str:
        """``Scene02/clone/Camera_0/00000``."""
        d = self.drive
        return f"{d.scene}/{d.condition}/Camera_{d.camera}/{self.frame:05d}"

    def path(self, what: str) -> str:
        """Official path of "rgb" or "depth"."""
        d = self.drive
        suffix = "jpg" if what == "rgb" else "png"
        folder = f"{d.scene}/{d.condition}/frames/{what}/Camera_{d.camera}"
        return f"{folder}/{what}_{self.frame:05d}.{suffix}"


@dataclass(frozen=True)
class Place:
    """Bytes on disk: a whole file, or a stretch of an archive."""

    path: Path
    offset: int = 0
    size: int = -1

    def read(self) -> bytes:
        """The bytes. Raises DataError."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                return file.read(self.size)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}") from error


def read_list(path: Path) -> list[Row]:
    """Frames from a list: lines of ``frames.txt``, or of official paths (Marigold's file list).

    Raises:
        DataError: the list cannot be read, or a line of it names no frame.
    """
    rows = []
    for line in read_lines(path):
        official, short = _PATH.search(line), _NAME.search(line)
        if official:
            scene, condition, _, camera, frame = official.groups()
        elif short:
            scene, condition, camera, frame = short.groups()
        else:
            raise DataError(
                f"the list {path} has a line without a frame such as Scene02/clone/Camera_0/00000: "
                f"'{line[:80]}'"
            )
        rows.append(Row(Drive(scene, condition, int(camera)), int(frame)))
    return list(dict.fromkeys(rows))


def papers_list(
    scenes: tuple[str, ...] = TRAINING_SCENES, conditions: tuple[str, ...] = CONDITIONS
) -> list[Row]:
    """All frames of scenes and conditions; by default the 20,148 of the papers."""
    return [
        Row(Drive(scene, condition, camera), frame)
        for scene in scenes
        for condition in conditions
        for camera in CAMERAS
        for frame in range(FRAMES[scene])
    ]


def find_files(root: Path) -> dict[str, Place]:
    """Where each official path lies, from archives and folders of ``root``.

    Raises:
        DataError: the folder is missing or holds nothing of the data set, or an archive is cut
            short.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")
    found: dict[str, Place] = {}
    for archive in sorted(root.glob("vkitti_2*.tar")):
        found.update(_scan_archive(archive))
    for folder in (root, *sorted(child for child in root.iterdir() if child.is_dir())):
        for path in folder.glob("Scene*/*/frames/*/Camera_*/*_*.*g"):
            match = _PATH.fullmatch(path.relative_to(folder).as_posix())
            if match:
                found[match[0]] = Place(path)
    if not found:
        raise DataError(
            f"{root} holds no Virtual KITTI 2: expected vkitti_2.0.3_rgb.tar and "
            "vkitti_2.0.3_depth.tar, or the folders Scene01 … Scene20 that are in them"
        )
    return found


def _scan_archive(path: Path) -> dict[str, Place]:
    """Places of the official paths in a tar archive; nothing is unpacked."""
    found, size = {}, path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                match = _PATH.search(member.name)
                if match and member.isfile():
                    if member.offset_data + member.size > size:
                        raise tarfile.ReadError("it is cut short")
                    found[match[0]] = Place(path, member.offset_data, member.size)
                tar.members = []  # tarfile would keep them all
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path} is no whole tar archive ({error}): download it again") from error
    return found
