"""Assets and renderers, made once; what renders is skipped where there is no EGL."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from depth_distill_ros.errors import DataError
from training.scenes.assets import Assets, load_assets
from training.scenes.renderer import Renderer, create_context
from training.scenes.scene import Lighting, Scene, Sky


@pytest.fixture(scope="session")
def egl() -> None:
    """Skips where no OpenGL context can be made."""
    try:
        create_context().release()
    except DataError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def assets() -> Assets:
    """The procedural assets."""
    return load_assets("procedural")


@pytest.fixture(scope="session")
def plain_assets() -> SimpleNamespace:
    """Two textures: white, and one whose left half is cut out."""
    textures = np.full((2, 256, 256, 4), 255, np.uint8)
    textures[1, :, :128, 3] = 0
    return SimpleNamespace(textures=textures, skies=[])


@pytest.fixture(scope="session")
def plain_renderer(egl, plain_assets) -> Renderer:
    """A renderer of 160×120 pixels without textures to speak of."""
    return Renderer(plain_assets, (160, 120), supersampling=1)


@pytest.fixture(scope="session")
def renderer(egl, assets) -> Renderer:
    """A renderer of the procedural assets, 128×96 pixels."""
    return Renderer(assets, (128, 96), supersampling=1)


@pytest.fixture
def make_scene():
    """Builds a scene of given vertices under even light."""

    def make(vertices: np.ndarray, **lighting) -> Scene:
        light = Lighting(**{"ambient": np.full((6, 3), 0.5), **lighting})
        return Scene(vertices, "indoor/test", 1, light, Sky(), camera_sampler=None)

    return make
