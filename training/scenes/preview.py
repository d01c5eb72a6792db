"""A contact sheet of every kind of scene: each photograph above its disparity."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from training.scenes.assets import Assets, Tier, load_assets
from training.scenes.catalogue import all_kinds, mixture
from training.scenes.dataset import views
from training.scenes.files import replace_file
from training.scenes.renderer import Renderer

COLUMNS, CANDIDATES = 6, 4


def disparity_colours(depth: np.ndarray) -> np.ndarray:
    """Colour (H, W, 3) BGR uint8 of 1/z: bright is near, black is sky."""
    disparity = np.where(depth > 0, 1 / np.maximum(depth, 0.05), 0)
    disparity = disparity / max(np.quantile(disparity, 0.98), 1e-6)
    return cv2.applyColorMap(
        (np.clip(disparity, 0, 1) * 255).astype(np.uint8), cv2.COLORMAP_INFERNO
    )


def contact_sheet(
    path: str | Path,
    size: tuple[int, int] = (256, 192),
    seed: int = 0,
    tier: Tier = "procedural",
    kinds: tuple[str, ...] | None = None,
) -> None:
    """Write a PNG with two scenes of every kind, or a page of scenes where ``kinds`` are named."""
    mixture(kinds)
    names = list(kinds or all_kinds())
    names *= max(2, COLUMNS * 4 // len(names))
    assets = load_assets(tier)
    renderer = Renderer(assets, size, supersampling=2)
    tiles = [_tile(assets, renderer, name, seed + i) for i, name in enumerate(sorted(names))]
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[i : i + COLUMNS]) for i in range(0, len(tiles), COLUMNS)]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    code = cv2.imencode(".png", np.vstack(rows))[1]
    replace_file(path, lambda file: file.write(code.tobytes()))


def _tile(assets: Assets, renderer: Renderer, kind: str, seed: int) -> np.ndarray:
    """The deepest of a few views of a kind, from scene ``seed`` on: BGR (2 H, W, 3)."""
    for scene_seed in range(seed, seed + 1000):
        found = list(views(assets, renderer, kind, scene_seed, limit=CANDIDATES))
        if found:
            frame, name = max(found, key=lambda entry: _depth_spread(entry[0].depth))
            picture = np.ascontiguousarray(frame.rgb[..., ::-1])
            cv2.rectangle(picture, (0, 0), (8 * len(name) + 6, 16), (0, 0, 0), cv2.FILLED)
            font, white = cv2.FONT_HERSHEY_SIMPLEX, (255, 255, 255)
            cv2.putText(picture, name, (4, 12), font, 0.4, white, 1, cv2.LINE_AA)
            return np.vstack([picture, disparity_colours(frame.depth)])
    raise RuntimeError(f"no useful view in a thousand scenes of kind '{kind}'")


def _depth_spread(depth: np.ndarray) -> float:
    return float(np.log(depth[depth > 0]).std())
