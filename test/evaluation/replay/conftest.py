"""What the tests of replays share: bags whose depth is known, and a model that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def small_model(tmp_path_factory) -> Path:
    """A model folder that runs in milliseconds; its depth means nothing."""
    from depth_distill_ros.models.depth_model import DepthModel

    folder = tmp_path_factory.mktemp("model") / "small"
    DepthModel.from_preset("tiny", seed=0, resolution=(64, 96)).save_pretrained(folder)
    return folder


@pytest.fixture
def wall_bag(tmp_path) -> Path:
    """A bag of 12 images at 10 Hz with depth and poses."""
    from replay_bags import write_wall_bag

    return write_wall_bag(tmp_path / "wall")
