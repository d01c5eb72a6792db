"""Turns the npm package's panoramas (EXR inside JavaScript modules) into skies and pictures."""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path

import cv2
import numpy as np

from depth_distill_ros.errors import DataError
from training.scenes.fetched.collection import Collection
from training.scenes.textures.noise import SIZE
from training.scenes.textures.skies import HEIGHT, WIDTH

MAX_RADIANCE = 60.0  # keeps a photographed sun from outshining the whole ambient light
CROPS = 6  # pictures cut out of each panorama


def require_reader() -> None:
    """Raise DataError when the package that reads EXR files is absent."""
    try:
        import OpenEXR  # noqa: F401
    except ImportError as error:
        raise DataError(
            "reading panoramas needs the Python package OpenEXR: pip install 'OpenEXR>=3.3'"
        ) from error


def read_exr(data: bytes) -> np.ndarray:
    """Linear RGB float32 (H, W, 3) of an EXR file's bytes."""
    import OpenEXR

    with tempfile.NamedTemporaryFile(suffix=".exr") as file:
        file.write(data)
        file.flush()
        with OpenEXR.File(file.name) as image:
            channels = image.channels()
            for name in ("RGB", "RGBA"):
                if name in channels:
                    return np.asarray(channels[name].pixels[..., :3], np.float32)
            return np.dstack([channels[c].pixels for c in "RGB"]).astype(np.float32)


def repaired(radiance: np.ndarray) -> np.ndarray:
    """Radiance clipped to [0, MAX_RADIANCE], with a white sun.

    Lossy compression leaves wild values of either sign around the sun, some in one channel only.
    """
    wild = (radiance.max(2) > MAX_RADIANCE) | (radiance.min(2) < -1.0)
    image = np.clip(radiance, 0.0, MAX_RADIANCE)
    image[wild] = MAX_RADIANCE
    return image


def tone_mapped(radiance: np.ndarray, exposure: float) -> np.ndarray:
    """A photograph of linear radiance: sRGB uint8 by an exponential film curve."""
    return (255 * (1 - np.exp(-radiance * exposure)) ** (1 / 2.2)).astype(np.uint8)


def _crops(panorama: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Pictures from around the horizon, RGBA uint8 (256, 256, 4)."""
    height, width = panorama.shape[:2]
    pictures = []
    for _ in range(CROPS):
        size = int(height * rng.uniform(0.3, 0.6))
        x = int(rng.integers(0, width - size))
        y = int(height * rng.uniform(0.22, 0.62) - size * 0.2)
        crop = panorama[y : y + size, x : x + size]
        exposure = rng.uniform(0.5, 1.1) / max(float(np.median(crop)), 1e-3)
        photo = cv2.resize(tone_mapped(crop, exposure), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC)
        pictures.append(np.dstack([photo, np.full((SIZE, SIZE), 255, np.uint8)]))
    return pictures


def collect(root: Path, collection: Collection, seed: int = 0) -> None:
    """Add every panorama below `root` as a sky, and crops of them as pictures.

    Raises:
        DataError: `root` holds no panorama that can be read.
    """
    rng = np.random.default_rng(seed)
    for path in sorted(root.glob("**/hdri/*.exr.js")):
        match = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text(encoding="utf-8"))
        if not match:
            continue
        panorama = repaired(read_exr(base64.b64decode(match[1])))
        sky = cv2.resize(panorama, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        collection.skies.append(sky.astype(np.float16))
        collection.sky_names.append(path.name.removesuffix(".exr.js"))
        for picture in _crops(panorama, rng):
            layer = collection.add_texture(picture)
            collection.surfaces.setdefault("picture", []).append(layer)
    if not collection.skies:
        raise DataError(f"no panorama (hdri/*.exr.js) found in the download below {root}")
    collection.licences.append("@pmndrs/assets (npm): panoramas by Poly Haven, CC0-1.0")
