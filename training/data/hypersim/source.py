"""Hypersim's official layout as a training source."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from depth_distill_ros.errors import DataError
from training.data.hypersim.files import (
    SPLIT_FILE,
    Row,
    Scene,
    check_archive,
    find_scene,
    read_list,
    read_split,
)
from training.data.hypersim.images import Filters, read_frame


class Hypersim:
    """The official layout as a training source: developed when it is read.

    Without a list the frames of the partition come unfiltered: the filters need every pixel, and
    the preparation command makes the list (``frames.txt``) that has passed them.

    Args:
        root: folder of scenes or archives, with the split file.
        frames: a list of frames; None takes the training partition of the split file.
        max_depth: metres; depth beyond is unknown.

    Raises:
        DataError: scenes are missing or damaged.
    """

    def __init__(
        self, root: str | Path, frames: Path | None = None, max_depth: float = Filters.max_depth
    ):
        self._root, self._max_depth = Path(root), max_depth
        check_root(self._root)
        self._rows = read_list(frames) if frames else read_split(self._root / SPLIT_FILE, "train")
        self._places, problems = find_scenes(self._root, self._rows)
        if problems:
            raise DataError(lacking(problems, "give a list of the frames that you have"))
        self._scene: tuple[str, Scene] | None = None

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_scene": None}

    def __len__(self) -> int:
        return len(self._rows)

    def name(self, index: int) -> str:
        """``ai_001_001/cam_00/0000``."""
        return self._rows[index].name

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        row = self._rows[index]
        try:
            frame = read_frame(self._open(row.scene), row, self._max_depth)
        except FileNotFoundError as error:
            raise DataError(f"{row.name} has no file {error}") from error
        return frame.rgb, frame.depth

    def _open(self, scene: str) -> Scene:
        if not self._scene or self._scene[0] != scene:
            if self._scene:
                self._scene[1].close()
            self._scene = None
            self._scene = (scene, Scene(self._places[scene]))
        return self._scene[1]


def check_root(root: Path) -> None:
    """Raises DataError where there is no such folder."""
    if not root.is_dir():
        raise DataError(f"there is no folder {root}")


def find_scenes(root: Path, rows: list[Row]) -> tuple[dict[str, Path], dict[str, str]]:
    """Places of the scenes that are there and whole, and what is wrong with the others."""
    places, problems = {}, {}
    for scene in dict.fromkeys(row.scene for row in rows):
        place = find_scene(root, scene)
        problem = check_archive(place) if place else f"there is no {root / scene}[.zip]"
        if problem:
            problems[scene] = problem
        else:
            places[scene] = place
    return places, problems


def lacking(problems: dict[str, str], advice: str) -> str:
    """The message about missing scenes, with what to do instead of completing them."""
    first = list(problems.values())[:3]
    return (
        f"{len(problems)} scenes are missing or damaged: {'; '.join(first)}"
        f"{' …' if len(problems) > 3 else ''}. Complete them, or {advice}"
    )
