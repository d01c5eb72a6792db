"""Clips as training samples: a stretch of frames, cropped alike, normalised as a whole."""

from __future__ import annotations

from typing import Protocol, get_args

import cv2
import numpy as np
import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.clips import Clip
from training.config import ClipKind, DataConfig
from training.data.disparity import depth_to_disparity, normalise_disparity
from training.data.views import Batch, View, draw_view

CLIP_KINDS = set(get_args(ClipKind))

THINNED = 0.25
"""Share of the samples of which every other frame is left out, where the clip is long enough."""


class ClipSet(Protocol):
    """Clips of one length by index: of rendered scenes, or of drives."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Clip: ...

    def name(self, index: int) -> str: ...


class ClipSource:
    """Clips as a data set: see :class:`training.data.batches.Source`.

    Samples have ``data.frames`` frames, in either direction of time: rgb (T, 3, H, W) in [-1, 1];
    disparity (T, 1, H, W) in [-1, 1], normalised over all frames of a scene; valid (T, 1, H, W)
    bool; stamps (T,) float64, from 0 s; starts (T,) bool, where another scene begins.
    """

    def __init__(self, clips: ClipSet, frames: int):
        """Raises ConfigError where the clips are shorter than the samples, ``frames``."""
        length = len(clips[0])
        if not 1 <= frames <= length:
            raise ConfigError(f"data.frames is {frames}, and the clips have {length} frames")
        self._clips = clips

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, index: int) -> tuple[Clip]:
        return (self._clips[index],)

    def name(self, index: int) -> str:
        """That of the clip."""
        return self._clips.name(index)

    @staticmethod
    def make_sample(clip: Clip, data: DataConfig, rng: np.random.Generator) -> Batch:
        """A sample of a clip: which frames, which part of the image, mirrored or not."""
        frames = draw_frames(len(clip), data.frames, rng)
        scenes = np.searchsorted(clip.cuts, frames, side="right")
        starts = np.concatenate([[False], scenes[1:] != scenes[:-1]])
        view = draw_view(*clip.depth.shape[1:], data, rng)
        rgb, disparity, valid = _look(clip, frames, view, data.size)
        for scene in np.unique(scenes):
            mine = scenes == scene
            disparity[mine] = normalise_disparity(disparity[mine], valid[mine])
        return {
            "rgb": torch.from_numpy(rgb).permute(0, 3, 1, 2).float() / 127.5 - 1,
            "disparity": torch.from_numpy(disparity)[:, None],
            "valid": torch.from_numpy(valid)[:, None],
            "stamps": torch.from_numpy(np.abs(clip.stamps[frames] - clip.stamps[frames[0]])),
            "starts": torch.from_numpy(starts),
        }


def check_clip_kinds(data: DataConfig) -> None:
    """Raise ConfigError unless all data of a recipe are clips."""
    kinds = {part.kind for part in data.mix} or {data.kind}
    if not kinds <= CLIP_KINDS:
        raise ConfigError(
            f"this training learns from clips, and data.kind is {min(kinds - CLIP_KINDS)}: "
            f"take {' or '.join(sorted(CLIP_KINDS))}"
        )


def draw_frames(length: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Indices (count,) of consecutive frames, or of every other one, forwards or backwards."""
    step = 2 if rng.random() < THINNED and 2 * count - 1 <= length else 1
    first = int(rng.integers(length - step * (count - 1)))
    frames = first + step * np.arange(count)
    return frames[::-1] if rng.random() < 0.5 else frames


def _look(
    clip: Clip, frames: np.ndarray, view: View, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (T, H, W, 3), disparity in 1/m and its mask (T, H, W) of a view, at a size."""
    rgb, depth = (values[frames][:, view.rows, view.columns] for values in (clip.rgb, clip.depth))
    if view.flipped:
        rgb, depth = rgb[:, :, ::-1], depth[:, :, ::-1]
    target = (size[1], size[0])
    shrinks = rgb.shape[1] * rgb.shape[2] > size[0] * size[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    images = [cv2.resize(np.ascontiguousarray(i), target, interpolation=method) for i in rgb]
    maps = [
        cv2.resize(np.ascontiguousarray(d), target, interpolation=cv2.INTER_NEAREST) for d in depth
    ]
    metres = np.stack(maps)
    valid = np.isfinite(metres)
    return np.stack(images), depth_to_disparity(np.where(valid, metres, 0)), valid
