"""The camera model: linear radiance in, an 8-bit photograph with a real camera's faults out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class CameraLook:
    """One camera and its settings; drawn once a still, once a sequence."""

    key: float
    bloom_width: float
    bloom: float
    white_balance: tuple[float, float, float]
    vignette: float
    filmic: bool
    gamma: float
    contrast: float
    saturation: float
    blur: float
    noise: float
    sharpen: float
    jpeg_quality: int | None


def random_look(rng: np.random.Generator, jpeg: bool = True) -> CameraLook:
    """Draw a camera: most are good, some dim, noisy, soft or over-sharpened."""
    return CameraLook(
        key=rng.uniform(0.32, 0.62) * rng.uniform(0.7, 1.15) * 0.55,
        bloom_width=rng.uniform(25, 80),
        bloom=rng.uniform(0.05, 0.25) if rng.random() < 0.6 else 0.0,
        white_balance=tuple(np.exp(rng.normal(0, 0.07, 3))),
        vignette=rng.uniform(0, 0.35),
        filmic=bool(rng.random() < 0.5),
        gamma=rng.uniform(0.85, 1.2),
        contrast=rng.uniform(0.85, 1.25),
        saturation=rng.uniform(0.6, 1.2),
        blur=rng.uniform(0.3, 0.95) if rng.random() < 0.55 else 0.0,
        noise=rng.uniform(0, 0.035) if rng.random() < 0.7 else 0.0,
        sharpen=rng.uniform(0.2, 0.8) if rng.random() < 0.3 else 0.0,
        jpeg_quality=int(rng.integers(40, 96)) if jpeg and rng.random() < 0.7 else None,
    )


def auto_exposure(radiance: np.ndarray, key: float) -> float:
    """The gain that brings a mix of median and mean brightness to ``key``."""
    brightness = radiance.mean(2)
    level = 0.6 * float(np.quantile(brightness, 0.5)) + 0.24 * float(brightness.mean())
    return key / max(level, 1e-4)


def photograph(
    radiance: np.ndarray,
    look: CameraLook,
    rng: np.random.Generator,
    exposure: float | None = None,
) -> np.ndarray:
    """Turn linear radiance float32 (H, W, 3) into a photograph uint8 (H, W, 3), sRGB.

    ``exposure`` fixes the gain, as for the frames of a sequence; by default it is measured.
    ``rng`` draws the noise only.
    """
    height, width = radiance.shape[:2]
    image = np.nan_to_num(radiance, nan=0.0, posinf=50.0)
    gain = auto_exposure(image, look.key) if exposure is None else exposure
    image = np.minimum(image * np.float32(gain), 30)
    if look.bloom:
        glare = np.clip(image - 1, 0, 6)
        image = image + cv2.GaussianBlur(glare, (0, 0), width / look.bloom_width) * look.bloom
    image = image * np.asarray(look.white_balance, np.float32)
    image = image * _vignette(height, width, look.vignette)
    image = _tone_curve(image, look)
    if look.blur:
        image = cv2.GaussianBlur(image, (0, 0), look.blur * width / 256)
    if look.noise:
        grain = rng.standard_normal((height, width, 4), np.float32) * np.float32(look.noise)
        image = image + grain[..., :1] * 0.7 + grain[..., 1:] * 0.5
    if look.sharpen:
        image = image + (image - cv2.GaussianBlur(image, (0, 0), 1.2)) * look.sharpen
    image = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if look.jpeg_quality is not None:
        quality = [cv2.IMWRITE_JPEG_QUALITY, look.jpeg_quality]
        code = cv2.imencode(".jpg", image[..., ::-1], quality)[1]
        image = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
    return np.ascontiguousarray(image)


def _vignette(height: int, width: int, strength: float) -> np.ndarray:
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return (1 - np.float32(strength) * (x * x + y * y) / 2)[..., None]


def _tone_curve(image: np.ndarray, look: CameraLook) -> np.ndarray:
    """Highlights roll off, then gamma, contrast about the mean, and saturation."""
    if look.filmic:
        image = image * (2.51 * image + 0.03) / (image * (2.43 * image + 0.59) + 0.14)
    else:
        image = 1 - np.exp(-1.25 * image)
    image = np.clip(image, 0, 1) ** np.float32(look.gamma / 2.2)
    mean = image.mean()
    image = (image - mean) * np.float32(look.contrast) + mean
    grey = image.mean(2, keepdims=True)
    return (grey + (image - grey) * np.float32(look.saturation)).astype(np.float32)
