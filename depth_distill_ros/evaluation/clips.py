"""Clips on disk: short streams of frames with exact depth, times and cuts, as they are rendered.

``python -m training.scenes --clips DIR`` writes such a folder. A shard is three files:

- ``clips-00000-rgb.npy``    uint8 (n, T, H, W, 3)
- ``clips-00000-depth.npy``  float16 (n, T, H, W), planar z in metres, 0 = sky or none
- ``clips-00000-info.json``  a list of n objects: ``kind``, ``seed``, ``stamps`` (T seconds, strictly
  increasing, with gaps where frames were dropped), ``cuts`` (frames at which another scene begins),
  ``moving`` (whether objects move), ``intrinsics`` (T times fx, fy, cx, cy) and ``poses`` (T times
  4×4, optical frame to world)
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from depth_distill_ros.errors import DataError
from depth_distill_ros.geometry.camera import Intrinsics


@dataclass(frozen=True)
class Clip:
    """T frames of one camera in the order of time.

    Attributes:
        name: ``clips-00003/17``, unique in its folder.
        kind: what is shown, such as ``indoor/kitchen``.
        rgb: uint8 (T, H, W, 3).
        depth: float32 (T, H, W), planar z in metres; 0 = sky or unknown.
        stamps: float64 (T,), seconds, strictly increasing.
        cuts: frames (each > 0) at which another scene begins.
        moving: whether objects move of their own.
        intrinsics: one camera a frame, or None where they are unknown.
        poses: float64 (T, 4, 4), optical frame to world, or None where they are unknown.
    """

    name: str
    kind: str
    rgb: np.ndarray
    depth: np.ndarray
    stamps: np.ndarray
    cuts: tuple[int, ...]
    moving: bool
    intrinsics: tuple[Intrinsics, ...] | None = None
    poses: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rgb)


class Clips:
    """The clips of all shards of a folder, memory-mapped; indexing gives a :class:`Clip`.

    It can be pickled: worker processes open the files anew.

    Raises:
        DataError: the folder has no clips, or files of a shard are missing or do not fit together.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._open(sorted(self.folder.glob("clips-*-info.json")))
        if not self._shards:
            raise DataError(
                f"there are no clips in {folder}: render some with "
                f"python -m training.scenes --clips {folder}"
            )
        self._ends = np.cumsum([len(shard[2]) for shard in self._shards])

    def _open(self, paths: list[Path]) -> None:
        self._paths = paths
        self._shards = [_open_shard(path) for path in paths]

    def __getstate__(self) -> dict:
        return {"folder": self.folder, "_paths": self._paths, "_ends": self._ends}

    def __setstate__(self, state: dict) -> None:
        self.folder, self._ends = state["folder"], state["_ends"]
        self._open(state["_paths"])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> Clip:
        shard, offset = self._place(index)
        rgb, depth, about = self._shards[shard]
        entry, (height, width) = about[offset], rgb.shape[2:4]
        cameras = entry.get("intrinsics")
        return Clip(
            name=self.name(index),
            kind=entry["kind"],
            rgb=np.asarray(rgb[offset]),
            depth=depth[offset].astype(np.float32),
            stamps=np.asarray(entry["stamps"], np.float64),
            cuts=tuple(entry["cuts"]),
            moving=bool(entry["moving"]),
            intrinsics=tuple(Intrinsics(*k, width, height) for k in cameras) if cameras else None,
            poses=np.asarray(entry["poses"], np.float64) if entry.get("poses") else None,
        )

    def name(self, index: int) -> str:
        """``clips-00003/17``: the shard, and the clip in it."""
        shard, offset = self._place(index)
        return f"{self._paths[shard].name.removesuffix('-info.json')}/{offset}"

    def _place(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return shard, index - (int(self._ends[shard - 1]) if shard else 0)


def _open_shard(path: Path) -> tuple[np.ndarray, np.ndarray, list[dict[str, Any]]]:
    """Images, depths and descriptions of the shard whose info file is ``path``."""
    stem = path.name.removesuffix("-info.json")
    try:
        rgb, depth = (
            np.load(path.with_name(f"{stem}-{name}.npy"), mmap_mode="r", allow_pickle=False)
            for name in ("rgb", "depth")
        )
        about = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"the clips {path.with_name(stem)} cannot be read: {error}") from error
    if rgb.dtype != np.uint8 or rgb.ndim != 5 or rgb.shape[4] != 3 or depth.shape != rgb.shape[:4]:
        raise DataError(
            f"the clips {path.with_name(stem)} do not fit their depth: "
            f"{rgb.dtype} {rgb.shape} against {depth.shape}"
        )
    if not isinstance(about, list) or len(about) != len(rgb):
        raise DataError(f"{path} does not describe {len(rgb)} clips")
    for entry in about:
        _check(entry, path, rgb.shape[1])
    return rgb, depth, about


def _check(entry: Any, path: Path, frames: int) -> None:
    """Refuse a description whose times or cuts do not fit ``frames`` frames."""
    try:
        stamps, cuts = np.asarray(entry["stamps"], np.float64), entry["cuts"]
        fits = stamps.shape == (frames,) and bool((np.diff(stamps) > 0).all())
        fits &= all(0 < cut < frames for cut in cuts)
        fits &= isinstance(entry["kind"], str) and isinstance(entry["moving"], bool)
        fits &= all(
            len(entry.get(name) or range(frames)) == frames for name in ("intrinsics", "poses")
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} does not describe clips: {error!r}") from error
    if not fits:
        raise DataError(
            f"{path} has a clip whose times, cuts or cameras do not fit {frames} frames"
        )
