"""What models there are, how large, and where their weights lie."""

from __future__ import annotations

from dataclasses import dataclass

from depth_distill_ros.models.components import stored_parameters
from depth_distill_ros.models.hub import bundled_models
from depth_distill_ros.models.presets import PRESETS, preset_parameters


@dataclass(frozen=True)
class ModelSummary:
    """One line of ``d3epth models``: name, parameters in millions by part, where the weights are."""

    name: str
    parts: dict[str, float]
    location: str

    @property
    def total(self) -> float:
        """Parameters of all parts, in millions."""
        return sum(self.parts.values())


def list_models() -> list[ModelSummary]:
    """Bundled models with their real sizes, then the presets whose weights are elsewhere."""
    summaries = [
        ModelSummary(name, _millions(stored_parameters(folder)), str(folder))
        for name, folder in bundled_models().items()
    ]
    for name, preset in PRESETS.items():
        if preset.weights:
            parts = _millions(preset_parameters(name))
            summaries.append(ModelSummary(name, parts, preset.weights))
    return summaries


def _millions(counts: dict[str, int]) -> dict[str, float]:
    return {part: count / 1e6 for part, count in counts.items()}
