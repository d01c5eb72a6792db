"""Converted assets on their way into the cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Collection:
    """What was converted so far; model rows count their layers into `textures`."""

    rows: list[np.ndarray] = field(default_factory=list)
    models: list[dict] = field(default_factory=list)
    textures: list[np.ndarray] = field(default_factory=list)
    surfaces: dict[str, list[int]] = field(default_factory=dict)
    skies: list[np.ndarray] = field(default_factory=list)
    sky_names: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    _known: dict[bytes, int] = field(default_factory=dict)

    def add_texture(self, image: np.ndarray) -> int:
        """The layer of an RGBA image; the same image is stored once."""
        key = hashlib.sha256(image.tobytes()).digest()
        if key not in self._known:
            self._known[key] = len(self.textures)
            self.textures.append(image)
        return self._known[key]

    def add_model(self, entry: dict, rows: np.ndarray, textures: list[np.ndarray]) -> None:
        """Add a model whose rows count their layers into its own `textures`."""
        layers = np.array([self.add_texture(t) for t in textures] + [-1], np.float32)
        rows = rows.copy()
        rows[:, 8] = layers[rows[:, 8].astype(np.int64)]
        start = sum(map(len, self.rows))
        self.rows.append(rows)
        self.models.append({**entry, "start": start, "count": len(rows)})
