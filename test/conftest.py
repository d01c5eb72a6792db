"""Fixtures for all tests: a small sequence with known depth, and the real frames."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import settings

# pipeline_folders is for several packages of tests; the root comes before the folder test/, in
# which test/training would pass for the package training
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

# Engines that somebody has exported on this machine are not what is tested.
os.environ["D3EPTH_CACHE"] = tempfile.mkdtemp(prefix="d3epth-tests-")
atexit.register(shutil.rmtree, os.environ["D3EPTH_CACHE"], ignore_errors=True)

# The suite runs beside DDS graphs and trainings on two cores: a slow example is no failure.
settings.register_profile("shared-cores", deadline=None)
settings.load_profile("shared-cores")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real sequences; the test is skipped where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real frames (../shared/data) are not on this machine")
    return folder


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A model folder that runs in milliseconds; its depth means nothing."""
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("model") / "small"
    DepthModel.from_preset("tiny", seed=0, resolution=(64, 96)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def stream_model(tmp_path_factory) -> Path:
    """The same with a temporal head, whose depth depends on what it remembers of 3 past frames."""
    import torch

    from depth_distill_ros.models.depth_model import DepthModel
    from depth_distill_ros.models.presets import build_head

    folder = tmp_path_factory.mktemp("model") / "small-stream"
    model = DepthModel.from_preset("tiny-prior", seed=0, resolution=(64, 96), name="small-stream")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        head = build_head(model.unet, 32, window=4)
        for module in head.temporal:
            torch.nn.init.normal_(module.outward.weight, std=0.2)
            torch.nn.init.normal_(module.outward.bias, std=0.2)
    head.load_state_dict(model.head.state_dict(), strict=False)
    model.head = head
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def exported(tmp_path_factory) -> Path:
    """A cache (for D3EPTH_CACHE) with an engine of the bundled streaming model, for any size."""
    import torch

    from depth_distill_ros import cli

    if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 13):
        pytest.skip("exporting is tested with PyTorch 2.13 and newer")
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("D3EPTH_CACHE", str(cache))
        assert cli.main(["export", "d3epth-tiny-stream"]) == 0
    return cache


@pytest.fixture(scope="session")
def video_model(tmp_path_factory) -> Path:
    """The same for a video model, which sees 5 frames at once; neighbouring windows share 2."""
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("model") / "small-video"
    model = DepthModel.from_preset(
        "tiny-video", seed=0, resolution=(64, 96), name="small-video", frames=5, overlap=2
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def plane_depth() -> np.ndarray:
    """Metres, float32 (48, 64): a floor that comes nearer downwards, and a box in front of it."""
    rows = np.linspace(0, 1, 48, dtype=np.float32)[:, None]
    depth = np.repeat(1 / (0.1 + 0.9 * rows), 64, axis=1)
    depth[20:40, 10:30] = 0.9
    depth.setflags(write=False)
    return depth


@pytest.fixture(scope="session")
def make_sequence(plane_depth) -> Callable[..., Path]:
    """Writes images of the plane, each brighter than the one before, with depth, at 10 Hz."""

    def make(folder: Path, frames: int = 3, depth_format: str = "png_mm", poses=False) -> Path:
        (folder / "rgb").mkdir(parents=True)
        (folder / "depth").mkdir()
        for index in range(frames):
            grey = (255 * (0.2 + 0.06 * plane_depth) + 10 * index).astype(np.uint8)
            rgb = np.stack([grey, grey // 2, 255 - grey], axis=-1)
            cv2.imwrite(str(folder / "rgb" / f"{index:06d}.png"), rgb[..., ::-1])
            _write_depth(folder / "depth" / f"{index:06d}", plane_depth, depth_format)
        camera = {"width": 64, "height": 48, "fx": 60.0, "fy": 60.0, "cx": 31.5, "cy": 23.5}
        content = {**camera, "depth_format": depth_format}
        (folder / "intrinsics.json").write_text(json.dumps(content))
        if poses:
            lines = [f"{0.1 * index:.6f} {0.01 * index} 0 0 0 0 0 1" for index in range(frames)]
            (folder / "poses.txt").write_text("# t x y z qx qy qz qw\n" + "\n".join(lines) + "\n")
        return folder

    return make


def _write_depth(path: Path, depth: np.ndarray, depth_format: str) -> None:
    if depth_format == "png_mm":
        cv2.imwrite(f"{path}.png", np.round(depth * 1000).astype(np.uint16))
    elif depth_format == "npz_depth":
        np.savez(f"{path}.npz", depth=depth)
    else:
        np.savez(f"{path}.npz", disparity=10 / depth)
