"""Takes whose errors are known, and a folder of clips as `python -m training.scenes` writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from depth_distill_ros.evaluation.frames import Frame
from depth_distill_ros.evaluation.streams.sources import Take
from depth_distill_ros.geometry.camera import Intrinsics

CAMERA = Intrinsics(fx=60.0, fy=60.0, cx=31.5, cy=23.5, width=64, height=48)


@pytest.fixture
def make_take(plane_depth) -> Callable[..., Take]:
    """A camera that stands still; `scales` make the depth of the plane larger, frame by frame.

    The images are blank but for their number, `rgb[0, 0, 0]`. A scale of None: no depth measured.
    """

    def make(scales, cuts=(), moving=None, group="in_room", posed=True) -> Take:
        frames = [
            Frame(
                name=str(index),
                rgb=np.full((48, 64, 3), index, np.uint8),
                depth=None if scale is None else np.float32(scale) * plane_depth,
                intrinsics=CAMERA if posed else None,
                pose=np.eye(4) if posed else None,
                stamp=0.1 * index,
            )
            for index, scale in enumerate(scales)
        ]
        return Take("take", group, cuts, moving, frames)

    return make


@pytest.fixture
def make_clips(plane_depth) -> Callable[..., Path]:
    """Writes two clips of 8 frames: a room with a cut at 5, and a street where things move."""

    def make(folder: Path) -> Path:
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        rgb = rng.integers(0, 256, (2, 8, 48, 64, 3), dtype=np.uint8)
        growth = np.linspace(1, 1.07, 8)[:, None, None]
        depth = np.stack([growth * plane_depth, 5 * growth * plane_depth]).astype(np.float16)
        np.save(folder / "clips-00000-rgb.npy", rgb)
        np.save(folder / "clips-00000-depth.npy", depth)
        camera = [CAMERA.fx, CAMERA.fy, CAMERA.cx, CAMERA.cy]
        common = {
            "stamps": [0.1 * index for index in range(8)],
            "intrinsics": [camera] * 8,
            "poses": [np.eye(4).tolist()] * 8,
        }
        entries = [
            {"kind": "indoor/kitchen", "seed": 1, "cuts": [5], "moving": False, **common},
            {"kind": "outdoor/street", "seed": 2, "cuts": [], "moving": True, **common},
        ]
        (folder / "clips-00000-info.json").write_text(json.dumps(entries))
        (folder / "dataset.json").write_text("{}")
        return folder

    return make
