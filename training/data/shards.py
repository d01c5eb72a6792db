"""Rendered shards on disk: memory-mapped arrays of images and planar depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError


class Shards:
    """Images and depths of all ``shard-*-rgb.npy`` / ``shard-*-depth.npy`` pairs of a folder.

    Indexing gives ``(rgb uint8 (H, W, 3), depth float32 (H, W) in metres, 0 = infinitely far)``.

    Raises:
        DataError: the folder has no shards, or a pair does not fit together.
    """

    def __init__(self, folder: str | Path):
        self._open(sorted(Path(folder).glob("shard-*-rgb.npy")))
        if not self._pairs:
            raise DataError(
                f"there are no shards in {folder}: render some with "
                f"python -m training.scenes --output {folder}"
            )
        self._ends = np.cumsum([len(rgb) for rgb, _ in self._pairs])

    def _open(self, paths: list[Path]) -> None:
        self._paths = paths
        self._pairs = [_open_pair(path) for path in paths]

    def __getstate__(self) -> dict:
        return {"_paths": self._paths, "_ends": self._ends}  # a pickled memory map is a copy

    def __setstate__(self, state: dict) -> None:
        self._ends = state["_ends"]
        self._open(state["_paths"])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        shard, offset = self._place(index)
        rgb, depth = self._pairs[shard]
        return np.asarray(rgb[offset]), depth[offset].astype(np.float32)

    def name(self, index: int) -> str:
        """``shard-00003/17``: the shard, and the image in it."""
        shard, offset = self._place(index)
        return f"{self._paths[shard].name.removesuffix('-rgb.npy')}/{offset}"

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - (int(self._ends[shard - 1]) if shard else 0)


def _open_pair(rgb_path: Path) -> tuple[np.ndarray, np.ndarray]:
    depth_path = rgb_path.with_name(rgb_path.name.replace("-rgb.npy", "-depth.npy"))
    try:
        rgb = np.load(rgb_path, mmap_mode="r", allow_pickle=False)
        depth = np.load(depth_path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"the shard {rgb_path} cannot be read: {error}") from error
    if rgb.dtype != np.uint8 or rgb.ndim != 4 or depth.shape != rgb.shape[:3]:
        raise DataError(
            f"the shard {rgb_path} does not fit its depth: "
            f"{rgb.dtype} {rgb.shape} against {depth.shape}"
        )
    return rgb, depth
