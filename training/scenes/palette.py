"""Random but plausible surfaces: paints, textured materials, tints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from training.scenes.mesh import Material

if TYPE_CHECKING:
    from training.scenes.assets import Assets


class Palette:
    """Draws materials from the surfaces of a set of assets."""

    def __init__(self, assets: Assets, rng: np.random.Generator) -> None:
        self.assets, self.rng = assets, rng

    def layer(self, *surfaces: str) -> int:
        """A texture layer of any of the named surfaces."""
        layers = [layer for name in surfaces for layer in self.assets.surfaces.get(name, ())]
        return int(layers[self.rng.integers(len(layers))])

    def grey(self, low: float = 0.5, high: float = 0.95) -> tuple[float, float, float]:
        """A nearly neutral colour."""
        return _triple(self.rng.uniform(low, high) * (1 + self.rng.normal(0, 0.02, 3)))

    def colour(self, low: float = 0.08, high: float = 0.85) -> tuple[float, float, float]:
        """Any colour of paint or plastic: a hue mixed with white and black."""
        hue = np.clip(np.abs((self.rng.random() * 6 + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
        white, value = self.rng.uniform(0.1, 0.8), self.rng.uniform(low, high)
        return _triple(value * (hue * (1 - white) + white))

    def tint(self, spread: float = 0.06) -> tuple[float, float, float]:
        """A factor for albedo: lighter or darker, with a slight cast and never another hue."""
        cast = 1 + np.clip(self.rng.normal(0, spread, 3), -2 * spread, 2 * spread)
        return _triple(self.rng.uniform(0.6, 1.12) * cast)

    def plain(self, gloss: float = 0.3) -> Material:
        """Plastic, lacquer or painted metal without a texture."""
        colour = self.grey() if self.rng.random() < 0.5 else self.colour()
        return Material(-1, 1.0, colour, self.rng.uniform(0, 2 * gloss))

    def paint(self) -> Material:
        """Wall paint: mostly pale and little coloured, at times strong."""
        if self.rng.random() < 0.84:
            shade = self.rng.uniform(0.5, 0.9) + self.rng.uniform(-0.12, 0.12, 3)
        else:
            shade = 0.25 + 0.7 * np.array(self.colour(0.2, 0.8))
        return Material(
            self.layer("paint"),
            self.rng.uniform(1, 3),
            _triple(np.clip(shade, 0.05, 0.95)),
            self.rng.uniform(0, 0.2),
        )

    def surface(self, *names: str, low: float = 0.6, high: float = 2.5, gloss=0.35) -> Material:
        """A textured material; ``low`` and ``high`` bound the metres per repeat."""
        tint = self.rng.uniform(0.8, 1.12) * (1 + self.rng.normal(0, 0.04, 3))
        return Material(
            self.layer(*names),
            self.rng.uniform(low, high),
            _triple(np.clip(tint, 0.4, 1.25)),
            self.rng.uniform(0, gloss),
        )

    def floor(self) -> Material:
        """Tiles, boards, carpet or screed."""
        kind, rng = self.rng.random(), self.rng
        if kind < 0.34:
            material = self.surface("wood", low=0.7, high=2.0)
        elif kind < 0.62:
            material = self.surface("tile", "floor", low=0.6, high=2.2)
        elif kind < 0.84:
            material = self.surface("carpet", low=0.5, high=2.0, gloss=0.05)
        else:
            material = self.surface("concrete", "floor", low=1.0, high=3.0)
        if kind < 0.62 and rng.random() < 0.5:
            gloss = rng.uniform(0.35, 0.95)
            material = Material(material.layer, material.tile, material.colour, gloss)
        return material

    def reflectance(self, material: Material) -> np.ndarray:
        """Mean linear albedo (3,) of a material."""
        colour = np.asarray(material.colour, np.float64)
        return colour if material.layer < 0 else colour * self.assets.mean_albedo[material.layer]


def _triple(values) -> tuple[float, float, float]:
    return tuple(float(v) for v in values)
