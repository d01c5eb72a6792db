"""One-step video depth, stage 2: ``python -m training.video_stage2 --config RECIPE``.

The decoder of the deterministic student of stage 1 gives way to a temporal DPT head on its UNet's
features; the frozen student with that decoder teaches both, UNet and head (section 3.3). It is
``training.stream`` on a UNet that sees whole clips, with the paper's losses alone.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from depth_distill_ros.errors import ConfigError
from training.command import run_command
from training.stream import StreamObjective, StreamRecipe
from training.video_models import freeze_temporal

NORMALISATION = "minimum and maximum of a clip to -1 and 1"


@dataclass(frozen=True)
class VideoStage2Recipe(StreamRecipe):
    """Recipe of stage 2: that of ``training.stream``, whose weights of known depth are 0.

    Attributes:
        train_temporal: train the UNet's layers in time too. Section 4.1 freezes them in stage 1
            and does not say so of stage 2.
    """

    name: str = "one-step-video-head"
    label_weight: float = 0.0
    anchor_weight: float = 0.0
    temporal_weight: float = 0.0
    teacher_weight: float = 1.0
    teacher_frames: int = 0
    train_temporal: bool = False


class VideoStage2Objective(StreamObjective):
    """The losses of streams against a clip decoded as a whole."""

    command, whole_clips = "training.video_stage2", True

    def __init__(self, recipe: VideoStage2Recipe):
        super().__init__(recipe)
        if self.model.config.start == "noise":
            raise ConfigError(
                f"{recipe.model} starts from noise, and the features inside its UNet keep it: a head "
                "on them cannot be sharp (section 5). Take a student with start: image"
            )
        self.model.config = dataclasses.replace(self.model.config, normalisation=NORMALISATION)
        if not recipe.train_temporal:
            freeze_temporal(self.model.unet)

    def in_unit_range(self, maps: torch.Tensor) -> torch.Tensor:
        """Disparity of clips, (B, T, 1, H, W), from its least value in a clip to its greatest."""
        low, high = (each[:, None, None, None, None] for each in maps.flatten(1).aminmax(dim=1))
        return (maps - low) / (high - low).clamp_min(1e-6)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.video_stage2``."""
    return run_command(VideoStage2Recipe, VideoStage2Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
