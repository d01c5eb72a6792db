"""Models built from boxes, cylinders and curved surfaces: no downloads, real sizes in metres."""

from training.scenes.parametric.recipes import RECIPES, parametric_models

__all__ = ["RECIPES", "parametric_models"]
