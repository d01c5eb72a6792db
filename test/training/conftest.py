"""Small shards on disk: real files, made here, so that training tests need no renderer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(scope="session")
def shards(tmp_path_factory) -> Path:
    """24 images of 64×128 whose brightness falls with depth, in two shards; some sky."""
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :128]
    for number, count in enumerate((16, 8)):
        slopes = rng.uniform(0.02, 0.2, (count, 2, 1, 1))
        depth = 1 + slopes[:, 0] * rows + slopes[:, 1] * columns
        rgb = np.repeat((255 / depth)[..., None], 3, axis=-1) + rng.normal(0, 5, depth.shape + (3,))
        depth[:, :4] = 0
        name = f"shard-{number:05d}"
        np.save(folder / f"{name}-rgb.npy", rgb.clip(0, 255).astype(np.uint8))
        np.save(folder / f"{name}-depth.npy", depth.astype(np.float16))
    return folder
