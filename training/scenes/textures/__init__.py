"""Procedural textures and skies, drawn from a seed."""

from training.scenes.textures.catalogue import GENERATORS, TILE_METRES, procedural_textures

__all__ = ["GENERATORS", "TILE_METRES", "procedural_textures"]
