"""Outdoor scenes: streets, roads to drive along, parks and yards."""

from training.scenes.outdoor.scene import KINDS, outdoor

__all__ = ["KINDS", "outdoor"]
