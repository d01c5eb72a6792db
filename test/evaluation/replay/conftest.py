"""What the tests of replays share: bags whose depth is known, and a model that reads it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def wall_bag(tmp_path) -> Path:
    """A bag of 12 images at 10 Hz with depth and poses."""
    from replay_bags import write_wall_bag

    return write_wall_bag(tmp_path / "wall")
