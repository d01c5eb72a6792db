"""Streams to score: sequences of real frames and rendered clips, one frame at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from depth_distill_ros.errors import DataError
from depth_distill_ros.evaluation.benchmarks import is_outdoor
from depth_distill_ros.evaluation.clips import Clip, Clips
from depth_distill_ros.evaluation.frames import Frame, Sequence, find_sequences, load_sequence


@dataclass(frozen=True)
class Take:
    """One camera's frames in the order of time.

    Attributes:
        group: its row in the tables: the sequence's name, or the clip's kind.
        cuts: frames (each > 0) at which another scene begins.
        moving: whether objects move of their own; None where that is not known.
        frames: a sequence, which reads an image when it is asked for, or a clip's.
    """

    name: str
    group: str
    cuts: tuple[int, ...]
    moving: bool | None
    frames: Sequence | list[Frame]

    @property
    def outdoor(self) -> bool:
        return is_outdoor(self.group)


@dataclass
class Source:
    """The takes of a folder, read when they come up, and what was left out.

    Attributes:
        split: what the numbers are about.
        count: how many takes there are.
    """

    split: str
    count: int
    takes: Iterator[Take]
    left_out: list[str] = field(default_factory=list)


def sequences(folder: str | Path) -> Source:
    """The sequences at or below a folder that have depth in metres. DataError without any."""
    found, left_out = [], []
    for path in find_sequences(folder):
        sequence = load_sequence(path)
        if sequence.relative:
            left_out.append(f"{sequence.name} (stereo disparity of unknown scale)")
        elif not any(sequence.depth_files):
            left_out.append(f"{sequence.name} (no depth)")
        else:
            found.append(sequence)
    if not found:
        raise DataError(f"no sequence in {folder} has depth in metres to compare with")
    takes = (Take(each.name, each.name, (), None, each) for each in found)
    return Source(str(folder), len(found), takes, left_out)


def clips(folder: str | Path) -> Source:
    """Rendered clips, a row a kind. Raises DataError where the folder holds none."""
    found = Clips(folder)
    takes = (_take(found[index]) for index in range(len(found)))
    return Source(f"{folder} (rendered clips)", len(found), takes)


def _take(clip: Clip) -> Take:
    frames = [
        Frame(
            name=f"{clip.name}/{index}",
            rgb=clip.rgb[index],
            depth=clip.depth[index],
            intrinsics=None if clip.intrinsics is None else clip.intrinsics[index],
            pose=None if clip.poses is None else clip.poses[index],
            stamp=float(clip.stamps[index]),
        )
        for index in range(len(clip))
    ]
    return Take(clip.name, clip.kind.split("/")[0], clip.cuts, clip.moving, frames)
