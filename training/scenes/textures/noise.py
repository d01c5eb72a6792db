"""Building blocks of the procedural textures: tileable noise, cell grids, colours.

Everything here works on float32 images of :data:`SIZE` × :data:`SIZE` pixels that repeat without a
seam, because scenes tile them over walls and floors.
"""

from __future__ import annotations

import colorsys
from functools import lru_cache

import numpy as np

SIZE = 256


@lru_cache(maxsize=1)
def _frequencies() -> tuple[np.ndarray, np.ndarray]:
    fy = np.fft.fftfreq(SIZE, 1 / SIZE).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(SIZE, 1 / SIZE).astype(np.float32)[None, :]
    return fx, fy


@lru_cache(maxsize=1)
def pixel_grid() -> tuple[np.ndarray, np.ndarray]:
    """(u, v) in [0, 1) of every pixel, each float32 (SIZE, SIZE); v grows downwards."""
    v, u = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) / SIZE
    return u, v


def noise(
    rng: np.random.Generator,
    exponent: float = 1.0,
    stretch: tuple[float, float] = (1.0, 1.0),
    low: float = 1.0,
    high: float = 128.0,
) -> np.ndarray:
    """Tileable Gaussian noise with a power-law spectrum, zero mean and unit variance.

    `exponent` is that of the amplitude (0 white, 1 natural images, 2 smooth clouds); `stretch`
    lengthens the features along (x, y); only frequencies in [low, high] cycles an image remain.
    """
    fx, fy = _frequencies()
    radius = np.hypot(fx * np.float32(stretch[0]), fy * np.float32(stretch[1]))
    length = np.hypot(fx, fy)
    band = (length >= low) & (length <= high)
    gain = np.where(band, np.maximum(radius, 1.0) ** np.float32(-exponent), np.float32(0.0))
    phase = rng.random(gain.shape, dtype=np.float32) * np.float32(2 * np.pi)
    spectrum = np.empty(gain.shape, np.complex64)
    spectrum.real, spectrum.imag = gain * np.cos(phase), gain * np.sin(phase)
    field = np.fft.irfft2(spectrum, s=(SIZE, SIZE)).astype(np.float32)
    return field / np.float32(max(float(field.std()), 1e-9))


def colour(
    rng: np.random.Generator,
    hue: tuple[float, float] = (0.0, 1.0),
    saturation: tuple[float, float] = (0.0, 1.0),
    value: tuple[float, float] = (0.0, 1.0),
) -> np.ndarray:
    """A random sRGB colour, float32 (3,), from ranges of hue, saturation and value in [0, 1]."""
    h, s, v = rng.uniform(*hue), rng.uniform(*saturation), rng.uniform(*value)
    return np.array(colorsys.hsv_to_rgb(h % 1.0, s, v), np.float32)


def shade(base: np.ndarray, field: np.ndarray, contrast: float) -> np.ndarray:
    """`base` (3,) or (H, W, 3) brightened and darkened by a zero-mean `field` (H, W)."""
    return base * (1.0 + contrast * field[..., None])


def blend(a: np.ndarray, b: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(1 − mask)·a + mask·b for a mask (H, W) clipped to [0, 1]."""
    m = np.clip(mask, 0.0, 1.0)[..., None]
    return a * (1.0 - m) + b * m


class Cells:
    """Rows of bricks, planks or tiles: which cell a pixel is in, and how far from its edge.

    Attributes (all (SIZE, SIZE)): `row`, `column` int indices; `u`, `v` position inside the cell in
    [0, 1); `edge` distance to the nearest border in pixels.
    """

    def __init__(self, rows: int, columns: int, offset: np.ndarray | float = 0.0) -> None:
        u, v = pixel_grid()
        self.rows, self.columns = rows, columns
        self.row = np.minimum((v * rows).astype(np.int32), rows - 1)
        shift = np.broadcast_to(np.asarray(offset, np.float32), (rows,))[self.row]
        along = (u * columns + shift) % columns
        self.column = np.minimum(along.astype(np.int32), columns - 1)
        self.u, self.v = along - self.column, v * rows - self.row
        in_x = np.minimum(self.u, 1 - self.u) * SIZE / columns
        in_y = np.minimum(self.v, 1 - self.v) * SIZE / rows
        self.edge = np.minimum(in_x, in_y)

    def values(self, rng: np.random.Generator, channels: int = 0) -> np.ndarray:
        """Standard normal values, one a cell, spread over its pixels: (H, W[, channels])."""
        shape = (self.rows, self.columns) + ((channels,) if channels else ())
        return rng.standard_normal(shape).astype(np.float32)[self.row, self.column]

    def gap(self, width: float) -> np.ndarray:
        """Mask (H, W) in [0, 1] of the joints, `width` pixels on either side of a border."""
        return np.clip(width + 0.5 - self.edge, 0.0, 1.0)


def rolled(field: np.ndarray, dx: int, dy: int) -> np.ndarray:
    """The field moved by (dx, dy) pixels with wrap-around."""
    return np.roll(field, (dy, dx), (0, 1))
