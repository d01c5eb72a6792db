"""The miniature benchmarks that bench/ writes, in the official layouts."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture(scope="session")
def miniature() -> ModuleType:
    """bench/miniature.py, which is no package."""
    spec = importlib.util.spec_from_file_location("miniature", BENCH / "miniature.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def benchmarks(miniature, tmp_path_factory) -> Path:
    """A folder with the five miniatures. Not to be written to."""
    root = tmp_path_factory.mktemp("benchmarks")
    miniature.write_benchmarks(root)
    return root


@pytest.fixture(scope="session")
def predictions(miniature, tmp_path_factory) -> Path:
    """{disparity,depth}/<benchmark>/<image>.npy of all images with depth."""
    folder = tmp_path_factory.mktemp("predictions")
    miniature.write_predictions(folder)
    return folder
