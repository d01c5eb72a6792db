"""Half synthetic, half real: a photo with its pseudo-label beside every image with depth.

FiffDepth (section 4.1): "Synthetic data and real data each account for half of each batch".
"""

from __future__ import annotations

import numpy as np

from training.data.batches import Source, read_or_next
from training.data.photos import Photos
from training.data.views import Batch, draw_view, make_sample, sample_of, take_view

PREFIX = "photo_"
"""Of the names of the photo's tensors in a sample."""


class Pairs:
    """A data set whose samples have a photo each: see :class:`training.data.batches.Source`.

    Beside its own tensors a sample has ``photo_rgb``, ``photo_disparity`` and ``photo_valid``, made
    like ``rgb``, ``disparity`` and ``valid`` and of their size (:mod:`training.data.views`). Length,
    names and order are the data set's; which photo is drawn is up to the sample's generator. The
    place of a photo that cannot be read is taken by the next one.

    Args:
        source: the data set.
        photos: what the photos are drawn from.
    """

    def __init__(self, source: Source, photos: Photos):
        self._source, self._photos = source, photos
        self._make = getattr(source, "make_sample", make_sample)
        if hasattr(source, "order"):
            self.order = source.order

    def __len__(self) -> int:
        return len(self._source)

    def name(self, index: int) -> str:
        """The sample's name in the data set."""
        return self._source.name(index)

    def __getitem__(self, index: int) -> tuple:
        return self._source[index]

    def make_sample(self, *arguments) -> Batch:
        """The data set's own sample, of (\\*item, data, rng), and a photo.

        Raises:
            DataError: a hundred photos in a row cannot be read.
        """
        sample = self._make(*arguments)
        data, rng = arguments[-2:]
        (rgb, label), _, _ = read_or_next(self._photos, int(rng.integers(len(self._photos))))
        view = aspect_view(*label.shape, data.size, rng)
        rgb, label = rgb[view], label[view]
        rgb, label = take_view(rgb, label, data.size, draw_view(*label.shape, data, rng))
        known = np.isfinite(label)
        photo = sample_of(rgb, np.where(known, label, 0), known)
        return sample | {PREFIX + name: tensor for name, tensor in photo.items()}


def photos_of(batch: Batch) -> Batch:
    """The photos of a batch of pairs, as a batch of their own."""
    return {k.removeprefix(PREFIX): v for k, v in batch.items() if k.startswith(PREFIX)}


def aspect_view(
    height: int, width: int, size: tuple[int, int], rng: np.random.Generator
) -> tuple[slice, slice]:
    """Rows and columns of the largest part with the aspect of ``size`` (height, width), at a place
    that is drawn: photos of all shapes are cropped, not stretched."""
    scale = min(height / size[0], width / size[1])
    rows, columns = (
        max(1, min(side, round(scale * wanted)))
        for side, wanted in zip((height, width), size, strict=True)
    )
    top, left = rng.integers(height - rows + 1), rng.integers(width - columns + 1)
    return slice(top, top + rows), slice(left, left + columns)
