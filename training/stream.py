"""A temporal DPT head on the student: ``python -m training.stream --config RECIPE``.

The decoder distillation of one-step video depth (section 3.3), on the image student and causal:
the frozen autoencoder's decoder teaches the head (scale-invariant logarithm, affinity of features,
gradients), and where depth is known it is learned from as in D³epth's stage 2. One scale and one
shift hold for all frames of a clip, and adjacent frames must change as the truth does (temporal
gradient matching). What is trained on clips runs on a camera's frames one by one.
"""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import DPTHead
from depth_distill_ros.models.presets import build_head
from depth_distill_ros.models.temporal import Past, clip_ages
from depth_distill_ros.models.video_unet import is_video
from training.command import run_command
from training.config import CommonConfig
from training.data.clips import check_clip_kinds
from training.data.views import Batch
from training.decoder_teacher import decode_with_features, decoder_teacher
from training.history import next_stage
from training.latents import load_model
from training.losses.affinity import affinity_loss
from training.losses.clip_alignment import align_clips
from training.losses.gradient_l1 import gradient_l1_loss
from training.losses.gradient_matching import count_differences, gradient_matching_loss
from training.losses.masking import masked_mean
from training.losses.scale_shift_invariant import aligned_absolute_error
from training.losses.silog import silog_loss
from training.losses.temporal_gradient import count_temporal, temporal_gradient_loss
from training.objective import Counts, Losses, ModelObjective
from training.timing import span

RANGE = 2.0  # of targets in [-1, 1]


@dataclass(frozen=True)
class StreamRecipe(CommonConfig):
    """Recipe of the temporal head.

    A batch counts clips; ``data.kind`` must be one of those that are clips.

    Attributes:
        name: of the saved model.
        model: the model to start from, a student after stage 1 or 2: a folder, a bundled name, a
            pinned Hub id, or ``random:<preset>``.
        train: "head" alone, or the UNet with it, as the paper does.
        window: frames that the head sees, the newest among them.
        head_width: of a new head; 0 goes on with the model's own, whose weights are kept.
        temporal_heads: attention heads of the temporal modules; 8 in Video Depth Anything, whose
            modules are wider.
        delta: δ of the gradient loss, as in stage 2.
        label_weight: of the losses against known depth, aligned over the clip: absolute error, and
            gradient matching as in stage 2; 0 learns from the teacher alone.
        anchor_weight: of the absolute error without alignment, which ties the output to [-1, 1]
            and each frame to the same scale.
        temporal_weight: of temporal gradient matching.
        temporal_threshold: share of the target's range beyond which a pixel's change between two
            frames is not matched; 0.05 in Video Depth Anything.
        teacher_weight: of the distillation from the frozen decoder; 0 turns it off.
        teacher_frames: frames of a clip, in a row, drawn at random, that the teacher decodes; 0
            takes all.
        feature_weight: λ1 of the paper, on the affinity of features.
        gradient_weight: λ2 of the paper, on the teacher's gradients.
        unet_rate: share of the learning rate that the UNet trains with.
        head_rate: share that the head's convolutions train with; the temporal modules, which
            begin at zero, have all of it.
    """

    name: str = "d3epth-stream"
    model: str = ""
    train: Literal["head", "unet+head"] = "unet+head"
    window: int = 16
    head_width: int = 0
    temporal_heads: int = 8
    delta: float = 0.01
    label_weight: float = 1.0
    anchor_weight: float = 0.5
    temporal_weight: float = 1.0
    temporal_threshold: float = 0.05
    teacher_weight: float = 0.1
    teacher_frames: int = 1
    feature_weight: float = 0.1
    gradient_weight: float = 2.0
    unet_rate: float = 1.0
    head_rate: float = 1.0


class StreamObjective(ModelObjective):
    """Losses on clips at once; the head attends to the past alone."""

    command, whole_clips = "training.stream", False  # does the UNet see all of a clip at once?

    def __init__(self, recipe: StreamRecipe):
        super().__init__()
        self._recipe = recipe
        _check(recipe)
        start = load_model(recipe.model)
        if is_video(start.unet) != self.whole_clips:
            other = "training.stream" if self.whole_clips else "training.video_stage2"
            raise ConfigError(f"a head for {start.config.name} is trained by {other}")
        torch.manual_seed(recipe.run.seed)
        head = temporal_head(start, recipe)
        config = dataclasses.replace(start.config, name=recipe.name, decoder="head")
        history = next_stage(start.provenance, self.command, recipe)
        self._whole = recipe.train == "unet+head"
        unet = copy.deepcopy(start.unet) if self._whole and recipe.teacher_weight else start.unet
        frozen = (start.autoencoder, start.prior, start.image_encoder)
        parts = (unet, *frozen[:2], head, start.prompt, history, frozen[2])
        self.model = DepthModel(config, *parts)
        self.freeze(*(m for m in frozen if m is not None))
        # The head reads the blocks; the UNet's own output is not used.
        self.freeze(*((unet.conv_norm_out, unet.conv_out) if self._whole else (unet,)))
        self._teacher = decoder_teacher(start) if recipe.teacher_weight else None
        if self._teacher is not None:
            self.freeze(self._teacher)

    def rate_scale(self, parameter_name: str) -> float:
        """The UNet's and the head's share of the learning rate, and 1 for the temporal modules."""
        if ".unet." in parameter_name:
            return self._recipe.unet_rate
        return 1.0 if ".temporal." in parameter_name else self._recipe.head_rate

    def in_unit_range(self, maps: torch.Tensor) -> torch.Tensor:
        """The teacher's disparity of clips, (B, T, 1, H, W) about [-1, 1], in [0, 1]."""
        return (maps / 2 + 0.5).clamp(0, 1)

    def blocks(self) -> list[nn.Module]:
        """The UNet's blocks, where it trains."""
        return super().blocks() if self._whole else []

    def counts(self, batch: Batch) -> Counts:
        """Valid pixels, pairs of them in space, and pairs of them in time that hardly change."""
        valid = batch["valid"]
        return {
            "pixels": valid.sum(),
            "differences": count_differences(valid.flatten(0, 1)),
            "changes": count_temporal(
                batch["disparity"],
                valid,
                batch["starts"],
                self._recipe.temporal_threshold,
                RANGE,
            ),
        }

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "ssi", "gradient", "anchor", "temporal", of the teacher "silog", "feature" and
        "teacher_gradient", and their weighted sum."""
        images, frames = batch["rgb"].flatten(0, 1), batch["rgb"].shape[1]
        with span("encode"), torch.no_grad():
            latents, guide = self.model.encode(images)
            seen = (latents, self.model.context(images), frames if self.whole_clips else 1)
        with span("student"):
            with torch.set_grad_enabled(self._whole):
                features = self.model.features_from(*seen)
            ages = clip_ages(batch["stamps"], self._recipe.window, batch["starts"])
            fused, _ = self.model.head.fuse(features, Past.of_ages(ages), None)
            predicted = self.model.head.refine_map(fused, guide)
        losses = self._label_losses(_sized(predicted, batch["disparity"]), batch, counts)
        recipe = self._recipe
        loss = (
            recipe.label_weight * (losses["ssi"] + losses["gradient"])
            + recipe.anchor_weight * losses["anchor"]
            + recipe.temporal_weight * losses["temporal"]
        )
        if self._teacher is not None:
            taught = self._teacher_losses(seen, fused, predicted, generators)
            losses |= taught
            loss = loss + recipe.teacher_weight * (
                taught["silog"]
                + recipe.feature_weight * taught["feature"]
                + recipe.gradient_weight * taught["teacher_gradient"]
            )
        return {"loss": loss, **losses}

    def _label_losses(self, predicted: torch.Tensor, batch: Batch, counts: Counts) -> Losses:
        target, valid, starts = batch["disparity"], batch["valid"], batch["starts"]
        predicted = predicted.view_as(target)
        aligned, scale = align_clips(predicted, target, valid, starts)
        counted = valid & (scale > 0)  # as in stage 2: a map inside out is the anchor's alone
        recipe, pixels = self._recipe, counts["pixels"]
        maps = [maps.flatten(0, 1) for maps in (aligned, target, counted)]
        return {
            "ssi": aligned_absolute_error(*maps, pixels),
            "gradient": gradient_matching_loss(*maps, recipe.delta, counts["differences"]),
            "anchor": masked_mean((predicted - target).abs(), valid, pixels),
            "temporal": temporal_gradient_loss(
                aligned,
                target,
                counted,
                starts,
                recipe.temporal_threshold,
                counts["changes"],
                RANGE,
            ),
        }

    def _teacher_losses(
        self,
        seen: tuple[torch.Tensor, torch.Tensor | None, int],
        fused: torch.Tensor,
        predicted: torch.Tensor,
        generators: Sequence[torch.Generator],
    ) -> Losses:
        """Of frames drawn for each clip by its own generator; all maps in [0, 1]."""
        chosen = _drawn(len(fused), generators, self._recipe.teacher_frames)
        with span("teacher"):
            taught, features = decode_with_features(self._teacher, *seen, chosen)
        student = _sized(predicted[chosen.flatten()], taught) / 2 + 0.5
        student, taught = (maps.unflatten(0, chosen.shape) for maps in (student, taught))
        taught = self.in_unit_range(taught)
        everywhere = torch.ones_like(taught, dtype=torch.bool)
        frames = (maps.flatten(0, 1) for maps in (student, taught, everywhere))
        return {
            "silog": silog_loss(student, taught, everywhere),
            "feature": affinity_loss(fused[chosen.flatten()], features),
            "teacher_gradient": gradient_l1_loss(*frames),
        }


def temporal_head(model: DepthModel, recipe: StreamRecipe) -> DPTHead:
    """A head for a recipe, with temporal modules that change nothing yet.

    It goes on with the weights of the model's own head unless the recipe asks for a new one.

    Raises:
        ConfigError: the model has no head and no width was given, or the width cannot be dealt
            out to the attention heads.
    """
    if not recipe.head_width and model.head is None:
        raise ConfigError(
            f"the model {model.config.name} has no DPT head to go on with: give head_width"
        )
    width = recipe.head_width or model.head.config.width
    if width % recipe.temporal_heads:
        raise ConfigError(
            f"temporal_heads is {recipe.temporal_heads}: it must divide the head's width, {width}"
        )
    head = build_head(model.unet, width, recipe.window, recipe.temporal_heads)
    if not recipe.head_width:
        head.load_state_dict(model.head.state_dict(), strict=False)
    return head


def _check(recipe: StreamRecipe) -> None:
    check_clip_kinds(recipe.data)
    if recipe.window < 2:
        raise ConfigError(f"window is {recipe.window}: a head in time needs at least 2 frames")
    if not (recipe.label_weight or recipe.teacher_weight):
        raise ConfigError("label_weight and teacher_weight are both 0: there is nothing to learn")


def _drawn(frames: int, generators: Sequence[torch.Generator], count: int) -> torch.Tensor:
    """Numbers (clips, count) of frames in a row of each clip (0: all) among those of all clips."""
    length = frames // len(generators)
    count = min(count or length, length)
    places = length - count + 1
    firsts = [torch.randperm(places, generator=generator)[0] for generator in generators]
    clips = torch.arange(len(generators)) * length
    return (clips + torch.stack(firsts))[:, None] + torch.arange(count)


def _sized(maps: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Maps (N, 1, h, w) at the height and width of others, float32."""
    size = like.shape[-2:]
    return F.interpolate(maps.float(), size, mode="bilinear", align_corners=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stream``."""
    return run_command(StreamRecipe, StreamObjective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
