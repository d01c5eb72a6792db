"""Whether an image shows another scene than the one before it.

Images of one scene agree in some half of the picture, up to a small shift and whatever the
exposure: a hand before the camera, or a car that passes, covers the rest. So the four halves of
small grey pictures are compared by their correlation, and there is a cut where none agrees.

Measured on the four sequences of real frames (`test/inference/test_scene_cut.py`): of 81 pairs of
consecutive frames none is taken for a cut, nor with the second exposed 8 times longer or shorter,
nor where 7 frames between the two were lost; with 35 % of the second covered at once 1 % are, with
half of it 11 %. Of pairs from different places 99.6 % are (the least, 81 %, from one desk to
another).
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

SIZE = (48, 64)
"""Height and width of a thumbnail."""

SHIFT = 3
"""Thumbnail pixels that the scene may move from one image to the next: a twentieth of the width."""

AGREEMENT = 0.7
"""Correlation of a half from which on the scene is the same."""

FLAT = 2.0
"""Deviation in grey levels below which a half shows noise alone."""


def thumbnail(rgb: np.ndarray) -> np.ndarray:
    """The small grey picture, float32 SIZE, of an image, uint8 (H, W, 3)."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, SIZE[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)


def is_cut(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether two thumbnails are of different scenes; not where both show nothing."""
    pairs = zip(_halves(before), _halves(after), strict=True)
    agreements = [
        _agreement(first, second)
        for first, second in pairs
        if max(first.std(), second.std()) >= FLAT
    ]
    return bool(agreements) and max(agreements) < AGREEMENT


def _halves(picture: np.ndarray) -> Iterator[np.ndarray]:
    rows, columns = SIZE[0] // 2, SIZE[1] // 2
    yield from (picture[:rows], picture[rows:], picture[:, :columns], picture[:, columns:])


def _agreement(before: np.ndarray, after: np.ndarray) -> float:
    """The largest correlation of the inner part of one half with the other, over all shifts."""
    inner = before[SHIFT:-SHIFT, SHIFT:-SHIFT]
    if min(inner.std(), after.std()) < FLAT:
        return 0.0
    return float(cv2.matchTemplate(after, inner, cv2.TM_CCOEFF_NORMED).max())
