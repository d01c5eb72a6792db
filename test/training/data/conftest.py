"""Miniature data sets in the official formats, written here: Hypersim, Virtual KITTI 2."""

from __future__ import annotations

import csv
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import h5py
import numpy as np
import pytest

HYPERSIM_SIZE = (48, 64)  # any 4:3 image has the same field of view
SPLIT_COLUMNS = (
    "scene_name", "camera_name", "frame_id", "included_in_public_release", "exclude_reason",
    "split_partition_name",
)  # fmt: skip


def hypersim_arrays(seed: int) -> dict[str, np.ndarray]:
    """A good frame: linear colours, distances of 2 to 6 m, entities; 1 % has no surface."""
    rng = np.random.default_rng(seed)
    height, width = HYPERSIM_SIZE
    distance = np.linspace(2, 6, height)[:, None] + rng.uniform(0, 0.5, HYPERSIM_SIZE)
    entity = rng.integers(1, 9, HYPERSIM_SIZE).astype(np.int32)
    entity[0, : height * width // 100] = -1
    distance[entity == -1] = np.nan
    return {
        "color": rng.uniform(0, 3, (*HYPERSIM_SIZE, 3)).astype(np.float16),
        "depth_meters": distance.astype(np.float16),
        "render_entity_id": entity,
    }


def write_hypersim_frame(root: Path, scene: str, camera: str, frame: int, arrays: dict) -> None:
    for what, array in arrays.items():
        kind = "final" if what == "color" else "geometry"
        folder = root / scene / "images" / f"scene_{camera}_{kind}_hdf5"
        folder.mkdir(parents=True, exist_ok=True)
        with h5py.File(folder / f"frame.{frame:04d}.{what}.hdf5", "w") as file:
            file.create_dataset("dataset", data=array, compression="gzip")


def write_split(root: Path, rows: list[tuple]) -> Path:
    path = root / "metadata_images_split_scene_v1.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(SPLIT_COLUMNS)
        table.writerows(rows)
    return path


@pytest.fixture
def hypersim(tmp_path) -> Callable[..., Path]:
    """Writes scenes ai_001_001, ai_001_002 … of good frames and their split file."""

    def write(name: str = "hypersim", scenes: int = 2, frames: int = 3) -> Path:
        root = tmp_path / name
        rows = []
        for number in range(1, scenes + 1):
            scene = f"ai_001_{number:03d}"
            for frame in range(frames):
                arrays = hypersim_arrays(100 * number + frame)
                write_hypersim_frame(root, scene, "cam_00", frame, arrays)
                rows.append((scene, "cam_00", frame, "True", "", "train"))
            flagged = "CONTENT FLAGGED FOR REMOVAL"
            rows.append((scene, "cam_00", frames, "False", flagged, ""))
        rows.append(("ai_009_009", "cam_00", 0, "True", "", "test"))
        write_split(root, rows)
        return root

    return write


def zip_scenes(root: Path) -> None:
    """Replace the folders of scenes by archives, as they are downloaded."""
    for folder in sorted(root.glob("ai_*_*")):
        with zipfile.ZipFile(root / f"{folder.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*.hdf5")):
                archive.write(path, path.relative_to(root).as_posix())
        shutil.rmtree(folder)


VKITTI_CENTIMETRES = (150, 7999, 8000, 65535)
"""Depths of the four columns of a miniature frame; the last two are sky."""


def vkitti_frame(seed: int) -> tuple[bytes, bytes]:
    """A JPEG and a 16-bit PNG of the official 1242×375."""
    grey = np.random.default_rng(seed).integers(0, 255, (15, 46), np.uint8)
    image = cv2.resize(grey, (1242, 375), interpolation=cv2.INTER_LINEAR)
    rgb = np.stack([image, 255 - image, image // 2], axis=-1)
    depth = np.repeat(np.array(VKITTI_CENTIMETRES, np.uint16), (300, 300, 300, 342))
    depth = np.tile(depth, (375, 1))
    depth[:30] = 200 + seed  # the sky's part, which the crop leaves out for 23 rows
    return cv2.imencode(".jpg", rgb)[1].tobytes(), cv2.imencode(".png", depth)[1].tobytes()


def vkitti_paths(scene: str, condition: str, camera: int, frame: int) -> tuple[str, str]:
    folder = f"{scene}/{condition}/frames/{{}}/Camera_{camera}"
    rgb = f"{folder.format('rgb')}/rgb_{frame:05d}.jpg"
    return rgb, f"{folder.format('depth')}/depth_{frame:05d}.png"


@pytest.fixture
def virtual_kitti(tmp_path) -> Callable[..., tuple[Path, Path]]:
    """Writes a folder of the official layout and a list of its frames; returns both."""

    def write(frames: int = 2, conditions=("clone", "sunset"), cameras=(0, 1)):
        root, lines, seed = tmp_path / "vkitti", [], 0
        for condition in conditions:
            for camera in cameras:
                for frame in range(frames):
                    paths = vkitti_paths("Scene02", condition, camera, frame)
                    for path, data in zip(paths, vkitti_frame(seed), strict=True):
                        (root / path).parent.mkdir(parents=True, exist_ok=True)
                        (root / path).write_bytes(data)
                    lines.append(f"rgb/{paths[0]} depth/{paths[1]}")
                    seed += 1
        listing = tmp_path / "vkitti_train.txt"
        listing.write_text("\n".join(lines))
        return root, listing

    return write


def tar_vkitti(root: Path) -> None:
    """Replace the folder Scene02 by the two official archives."""
    for what in ("rgb", "depth"):
        with tarfile.open(root / f"vkitti_2.0.3_{what}.tar", "w") as tar:
            for path in sorted(root.glob(f"Scene*/*/frames/{what}/*/*")):
                info = tarfile.TarInfo(f"./{path.relative_to(root).as_posix()}")
                data = path.read_bytes()
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    shutil.rmtree(root / "Scene02")


@pytest.fixture
def official():
    """The helpers that change a miniature data set, by name."""

    class Official:
        arrays = staticmethod(hypersim_arrays)
        frame = staticmethod(write_hypersim_frame)
        split = staticmethod(write_split)
        zip = staticmethod(zip_scenes)
        tar = staticmethod(tar_vkitti)
        size = HYPERSIM_SIZE

    return Official
