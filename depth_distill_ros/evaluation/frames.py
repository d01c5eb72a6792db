"""Sequences of images with measured or rendered depth, in folders.

Layout of a sequence::

    rgb/000000.jpg|png         colour images, in the order of their names
    depth/000000.png|npz       one for an image, where it was measured
    intrinsics.json            width, height, fx, fy, cx, cy, depth_format (and source, licence …)
    poses.txt                  optional, TUM: t tx ty tz qx qy qz qw, camera to world
    stamps.txt                 optional, nanoseconds, a line an image; without it, the times of
                               poses.txt

`depth_format` is `png_mm` (uint16 millimetres), `npz_depth` (key `depth`, float32 metres) or
`npz_disparity` (key `disparity`, pixels). 0 is invalid in each. A stereo disparity without
calibration is known up to a factor only: such sequences are `relative`, and so is their depth.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError, ImageError
from depth_distill_ros.evaluation.images import read_rgb, read_unchanged
from depth_distill_ros.geometry.camera import Intrinsics
from depth_distill_ros.geometry.pose import pose_matrix

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
DEPTH_SUFFIXES = {"png_mm": ".png", "npz_depth": ".npz", "npz_disparity": ".npz"}
NOMINAL_RATE = 30.0


@dataclass(frozen=True)
class Frame:
    """One image of a sequence.

    Attributes:
        rgb: uint8 (H, W, 3).
        depth: float32 (H, W) planar metres, 0 where invalid; None where there is none.
        intrinsics: of this image; None where unknown.
        pose: 4x4 float64, optical frame to world; None where unknown.
        stamp: seconds.
    """

    name: str
    rgb: np.ndarray
    depth: np.ndarray | None
    intrinsics: Intrinsics | None
    pose: np.ndarray | None
    stamp: float


@dataclass(frozen=True)
class Sequence:
    """The frames of a folder; images are read when a frame is asked for.

    Attributes:
        relative: whether only a stereo disparity of unknown scale was measured.
        nanoseconds: stamps, strictly increasing; at 30 Hz where the folder gives none.
    """

    name: str
    images: tuple[Path, ...]
    depth_files: tuple[Path | None, ...]
    depth_format: str | None
    intrinsics: Intrinsics | None
    poses: tuple[np.ndarray, ...] | None
    nanoseconds: tuple[int, ...]

    @property
    def relative(self) -> bool:
        return self.depth_format == "npz_disparity"

    @property
    def stamps(self) -> tuple[float, ...]:
        """The stamps in seconds."""
        return tuple(stamp / 1e9 for stamp in self.nanoseconds)

    @property
    def rate(self) -> float:
        """Frames a second, from the median distance of the stamps."""
        if len(self.stamps) < 2:
            return NOMINAL_RATE
        return 1.0 / float(np.median(np.diff(self.stamps)))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Frame:
        """Reads one frame. Raises ImageError or DataError for files that do not fit."""
        rgb = read_rgb(self.images[index])
        depth_file = self.depth_files[index]
        depth = None
        if depth_file is not None and not self.relative:
            depth = read_depth(depth_file, self.depth_format)
            if depth.shape != rgb.shape[:2]:
                raise DataError(
                    f"{depth_file} is {depth.shape[1]}x{depth.shape[0]} pixels, its image "
                    f"{rgb.shape[1]}x{rgb.shape[0]}: depth must be registered to the image"
                )
        return Frame(
            name=self.images[index].stem,
            rgb=rgb,
            depth=depth,
            intrinsics=self.intrinsics,
            pose=None if self.poses is None else self.poses[index],
            stamp=self.nanoseconds[index] / 1e9,
        )

    def relative_depth(self, index: int) -> np.ndarray | None:
        """Depth of a `relative` sequence, float32 (H, W) with a median of 1, 0 where invalid; None
        where nothing was measured. Raises DataError for a file that does not fit."""
        path = self.depth_files[index]
        if path is None:
            return None
        disparity = _read_array(path, "disparity")
        measured = np.isfinite(disparity) & (disparity > 0)
        if not measured.any():
            return None
        depth = np.median(disparity[measured]) / np.where(measured, disparity, np.inf)
        return depth.astype(np.float32)

    def __iter__(self) -> Iterator[Frame]:
        return (self[index] for index in range(len(self)))


def is_sequence(folder: Path) -> bool:
    """Whether a folder holds a sequence itself, rather than folders of sequences."""
    return (folder / "rgb").is_dir()


def find_sequences(folder: str | Path) -> list[Path]:
    """The sequence folders at or directly below a folder, by name. Raises DataError for none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    if is_sequence(folder):
        return [folder]
    found = sorted(child for child in folder.iterdir() if is_sequence(child))
    if not found:
        raise DataError(
            f"{folder} holds no sequence: expected rgb/, depth/ and intrinsics.json in it "
            "or in the folders below it"
        )
    return found


def load_sequence(folder: str | Path) -> Sequence:
    """A sequence's files and camera; no image is read yet.

    Raises DataError where the folder lacks images or its files contradict each other.
    """
    folder = Path(folder)
    if not is_sequence(folder):
        raise DataError(f"{folder} is not a sequence: it has no folder rgb/")
    images = tuple(
        sorted(path for path in (folder / "rgb").iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    )
    if not images:
        raise DataError(f"{folder / 'rgb'} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    description = _read_description(folder / "intrinsics.json")
    depth_format = description.get("depth_format")
    depth_files: tuple[Path | None, ...] = (None,) * len(images)
    if (folder / "depth").is_dir():
        if depth_format not in DEPTH_SUFFIXES:
            raise DataError(
                f"{folder / 'intrinsics.json'}: depth_format is {depth_format!r}, expected one of "
                f"{', '.join(DEPTH_SUFFIXES)}"
            )
        names = [folder / "depth" / (path.stem + DEPTH_SUFFIXES[depth_format]) for path in images]
        depth_files = tuple(path if path.exists() else None for path in names)
    stamps, poses = _read_poses(folder / "poses.txt", len(images))
    if (folder / "stamps.txt").exists():
        stamps = _read_stamps(folder / "stamps.txt", len(images))
    return Sequence(
        name=folder.resolve().name,
        images=images,
        depth_files=depth_files,
        depth_format=depth_format,
        intrinsics=_intrinsics(description),
        poses=poses,
        nanoseconds=stamps or tuple(round(i * 1e9 / NOMINAL_RATE) for i in range(len(images))),
    )


def read_depth(path: Path, depth_format: str) -> np.ndarray:
    """A depth file as float32 (H, W) metres, 0 where invalid. Raises DataError."""
    if depth_format == "png_mm":
        try:
            depth = read_unchanged(path)
        except ImageError as error:
            raise DataError(str(error)) from error
        if depth.dtype != np.uint16 or depth.ndim != 2:
            raise DataError(f"{path} must be a 16-bit grey PNG of millimetres, is {depth.dtype}")
        return depth.astype(np.float32) * np.float32(1e-3)
    depth = _read_array(path, "depth")
    return np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(0))


def _read_array(path: Path, name: str) -> np.ndarray:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return arrays[name].astype(np.float32)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not an npz file with an array '{name}': {error}") from error


def _read_description(path: Path) -> dict:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"there is no {path}: a sequence needs its camera and its depth_format"
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(description, dict):
        raise DataError(f"{path} must hold a JSON object")
    return description


def _intrinsics(description: dict) -> Intrinsics | None:
    """None where the focal length is absent or 0: the camera was not calibrated."""
    if not description.get("fx") or not description.get("fy"):
        return None
    try:
        numbers = {key: float(description[key]) for key in ("fx", "fy", "cx", "cy")}
        return Intrinsics(
            **numbers, width=int(description["width"]), height=int(description["height"])
        )
    except (KeyError, TypeError) as error:
        raise DataError(f"intrinsics.json lacks a number for {error}") from error


def _read_poses(path: Path, count: int) -> tuple[tuple[int, ...], tuple[np.ndarray, ...] | None]:
    """Stamps in nanoseconds and poses; no stamps and None where there is no file."""
    if not path.exists():
        return (), None
    stamps, rows = read_trajectory(path)
    if len(rows) != count:
        raise DataError(
            f"{path} must have a line of 8 numbers for each of the {count} images, "
            f"it has {len(rows)} lines"
        )
    return stamps, tuple(pose_matrix(row[:3], row[3:]) for row in rows)


def read_trajectory(path: Path) -> tuple[tuple[int, ...], np.ndarray]:
    """Stamps in nanoseconds and rows (N, 7) tx ty tz qx qy qz qw of a TUM trajectory.

    Raises DataError where a line is not of 8 numbers or time does not increase.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        words = [found for line in lines if (found := line.split("#")[0].split())]
        rows = np.array([row[1:] for row in words], np.float64).reshape(len(words), 7)
        stamps = tuple(int(Decimal(row[0]) * 10**9) for row in words)
    except (OSError, ValueError, InvalidOperation) as error:
        raise DataError(
            f"{path} is not a TUM trajectory, with 8 numbers in each line: {error}"
        ) from error
    return _increasing(stamps, path), rows


def _read_stamps(path: Path, count: int) -> tuple[int, ...]:
    try:
        stamps = tuple(int(line) for line in path.read_text(encoding="ascii").split())
    except (OSError, ValueError) as error:
        raise DataError(f"{path} must hold whole nanoseconds, one in a line: {error}") from error
    if len(stamps) != count:
        raise DataError(f"{path} must have a line for each of the {count} images")
    return _increasing(stamps, path)


def _increasing(stamps: tuple[int, ...], path: Path) -> tuple[int, ...]:
    if any(later <= earlier for earlier, later in zip(stamps, stamps[1:])):
        raise DataError(f"{path}: time stamps must increase")
    return stamps
