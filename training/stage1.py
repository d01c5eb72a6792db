"""D³epth stage 1, latent distillation: ``python -m training.stage1 --config RECIPE``.

L_stage1 = L_Latent + λ_LatentKD · L_LatentKD + λ_FeatKD · L_FeatKD (eq. 2, section 4.1): target
supervision on the depth and the reconstruction task, the teacher's predicted latents, and the
teacher's features over block pairs of equal shape.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from diffusers import UNet2DConditionModel

from depth_distill_ros.models import autoencoder as ae
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.feature_taps import FeatureTaps
from training.command import run_command
from training.config import CommonConfig
from training.data.views import Batch
from training.history import stage1_history, teacher_credit
from training.latent_cache import network_settings, stored_settings
from training.latents import (
    compose,
    count_latents,
    encode_batch,
    load_model,
    student_autoencoder,
)
from training.losses.feature import Pair, block_pairs, check_pairs, feature_kd_loss
from training.losses.latent import latent_kd_loss, latent_loss
from training.objective import Counts, Losses, ModelObjective
from training.speed import as_target
from training.student import Source, open_source
from training.timing import span

TASKS = ("depth", "reconstruction")


@dataclass(frozen=True)
class Stage1Recipe(CommonConfig):
    """Recipe of stage 1.

    Attributes:
        name: of the saved model.
        student: preset of the student's UNet.
        student_weights: what the UNet starts from: a diffusers pipeline or UNet folder, a pinned
            Hub id, or an original .safetensors checkpoint. The paper builds "upon SDXS-0.9"
            (section 5.1); empty starts at random.
        teacher: model folder, Lotus-D's pipeline folder, bundled name, pinned Hub id, or
            ``random:<preset>``. The student shares its frozen prior.
        teacher_licence: what the student's card says of the teacher; empty takes what the
            teacher's own card says.
        autoencoder: what the student is saved with: "teacher" (the same), "tiny" or "kl" (found
            beside ``student_weights``), a folder, a pinned Hub id, or ``random:<preset>``. The
            paper does not name it; its 332 M parameters fit the tiny one only.
        latents: whose encoder gives the latents of training. "teacher": those it was trained
            on, for targets, inputs and reconstruction alike; a tiny autoencoder shares that
            latent space by its own training. "student": the student's, for both networks. The
            paper has one frozen encoder (section 4.1) and says no more.
        text: what the student's cross-attention sees, "text conditioning disabled" (section 5.1):
            "empty" is the teacher's embedding of the empty prompt, as in Lotus; "zeros" is none.
        pairs: feature pairs of Table 3.
        posterior: "sample" draws the latents of images and maps from the autoencoder's posterior
            at every step, as Lotus does; "mean" takes its mean, which is what inference sees
            and what predictions of the teacher can be cached for.
        latent_kd_weight: λ_LatentKD; the paper gives no value, BK-SDM's is 1.
        feature_kd_weight: λ_FeatKD; the paper gives no value, BK-SDM's is 1.
    """

    name: str = "d3epth-stage1"
    student: str = "sdxs09"
    student_weights: str = ""
    teacher: str = ""
    teacher_licence: str = ""
    autoencoder: str = "teacher"
    latents: Literal["teacher", "student"] = "teacher"
    text: Literal["empty", "zeros"] = "empty"
    posterior: Literal["sample", "mean"] = "sample"
    pairs: Literal["shallow", "intermediate", "full"] = "full"
    latent_kd_weight: float = 1.0
    feature_kd_weight: float = 1.0


def load_frozen(
    recipe: Stage1Recipe, with_unet: bool = True
) -> tuple[DepthModel, Source | None, ae.Autoencoder]:
    """The teacher, the student's starting weights, and the student's autoencoder.

    Args:
        recipe: names them.
        with_unet: load the teacher's UNet too; otherwise it is left on the meta device.
    """
    teacher = load_model(recipe.teacher, empty_unet=not with_unet)
    source = open_source(recipe.student_weights, recipe.student)
    pipeline = source.pipeline if source else None
    return teacher, source, student_autoencoder(recipe.autoencoder, teacher, pipeline)


def needs_teacher(recipe: Stage1Recipe) -> bool:
    """Whether the teacher's UNet runs at every step.

    Its features are never cached. Its predictions may be; they are of the posterior's mean.
    """
    if recipe.feature_kd_weight:
        return True
    if not recipe.latent_kd_weight:
        return False
    cached = recipe.speed.cache and stored_settings(Path(recipe.speed.cache)).get("predictions")
    return not cached or recipe.posterior != "mean"


@torch.no_grad()
def check_shapes(
    student: UNet2DConditionModel,
    teacher: UNet2DConditionModel,
    pairs: Sequence[Pair],
    size: tuple[int, int],
) -> None:
    """Refuse feature pairs whose shapes differ, before the first step.

    Twins of the two networks run on the meta device: shapes alone, no time and no memory.

    Args:
        student: the student's UNet.
        teacher: the teacher's.
        pairs: (student block, teacher block).
        size: (height, width) of the training images.

    Raises:
        ConfigError: a block does not exist, or a pair's shapes differ.
    """
    taps = []
    for unet, blocks in zip((student, teacher), zip(*pairs, strict=True), strict=True):
        sides = (side // ae.DOWNSAMPLING for side in size)
        with torch.device("meta"):
            twin = UNet2DConditionModel.from_config(unet.config)
            prompt = torch.zeros(1, 2, unet.config.cross_attention_dim)
            latents, token = torch.zeros(1, unet.config.in_channels, *sides), torch.zeros(1, 4)
            with FeatureTaps(twin, blocks) as found:
                twin(latents, 999, encoder_hidden_states=prompt, class_labels=token)
        taps.append(found)
    check_pairs(*taps, pairs)


class Stage1Objective(ModelObjective):
    """The student learns the teacher's latents and features beside the targets."""

    def __init__(self, recipe: Stage1Recipe):
        super().__init__()
        self._recipe = recipe
        self._pairs = block_pairs(recipe.pairs) if recipe.feature_kd_weight else ()
        self._runs_teacher = needs_teacher(recipe)
        self.teacher, source, autoencoder = load_frozen(recipe, with_unet=self._runs_teacher)
        teacher = teacher_credit(self.teacher, recipe.teacher, recipe.teacher_licence)
        torch.manual_seed(recipe.run.seed)
        self.model = compose(
            recipe.name,
            recipe.student,
            autoencoder,
            self.teacher.prior,
            recipe.data.size,
            teachers=(f"{teacher.name} ({teacher.licence})" if teacher.licence else teacher.name,),
            source=source,
            prompt=self.teacher.prompt.clone() if recipe.text == "empty" else None,
            prior_input=self.teacher.config.prior_input,
        )
        self.model.provenance = stage1_history(
            recipe, teacher, source, recipe.autoencoder, autoencoder
        )
        if not self._runs_teacher:
            self.teacher.unet = None
        self.freeze(self.teacher, autoencoder)
        if self._pairs:
            sizes = {recipe.data.size, *(part.size for part in recipe.data.mix if part.size)}
            for size in sorted(sizes):
                check_shapes(self.model.unet, self.teacher.unet, self._pairs, size)

    def _student_taps(self) -> FeatureTaps:
        return FeatureTaps(self.model.unet, [student for student, _ in self._pairs])

    def _teacher_taps(self) -> FeatureTaps:
        return FeatureTaps(self.teacher.unet, [teacher for _, teacher in self._pairs])

    def counts(self, batch: Batch) -> Counts:
        """The valid latents of the depth task."""
        return {"latents": count_latents(batch)}

    def forward(
        self, batch: Batch, generators: Sequence[torch.Generator], counts: Counts
    ) -> Losses:
        """ "latent", "latent_kd" and "feature_kd", and their weighted sum."""
        recipe = self._recipe
        encoder = self.teacher if recipe.latents == "teacher" else self.model
        drawn = generators if recipe.posterior == "sample" else None
        latents = encode_batch(encoder, batch, drawn)
        taught, theirs = self._teach(batch, latents.inputs)
        with span("student"), self._student_taps() as ours:
            predicted = self.model.predict_latents(latents.inputs, TASKS)
        depth, image = predicted.chunk(2)
        count = counts["latents"]
        latent = latent_loss(depth, latents.depth, image, latents.image, latents.mask, count)
        losses = {"latent": latent}
        if recipe.latent_kd_weight:
            losses["latent_kd"] = latent_kd_loss(predicted, taught)
        if recipe.feature_kd_weight:
            losses["feature_kd"] = feature_kd_loss(ours, theirs, self._pairs)
        weights = {"latent_kd": recipe.latent_kd_weight, "feature_kd": recipe.feature_kd_weight}
        added = sum(weights[name] * losses[name] for name in weights if name in losses)
        return {"loss": latent + added, **losses}

    def _teach(
        self, batch: Batch, inputs: torch.Tensor
    ) -> tuple[torch.Tensor | None, dict[str, torch.Tensor]]:
        """The teacher's predictions of both tasks, as stacked by ``TASKS``, and its features."""
        if not self._runs_teacher:
            cached = batch.get("prediction")
            return (None if cached is None else torch.cat(cached.float().chunk(2, dim=1))), {}
        with span("teacher"), torch.inference_mode(), self._teacher_taps() as features:
            taught = self.teacher.predict_latents(inputs, TASKS)
        return as_target(taught), {name: as_target(value) for name, value in features.items()}

    def cache_settings(self) -> dict[str, Any]:
        """Digests of the encoder, and of the teacher where its cached predictions are read."""
        encoder = self.teacher if self._recipe.latents == "teacher" else self.model
        reads = self._recipe.latent_kd_weight and not self._runs_teacher
        prompt = self.teacher.prompt if reads else None
        settings = network_settings(
            self._recipe.teacher, encoder.autoencoder, self.teacher.prior, prompt
        )
        if not reads:
            del settings["predictions"]  # whosever they are
        return settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point of ``python -m training.stage1``."""
    return run_command(Stage1Recipe, Stage1Objective, __doc__, arguments)


if __name__ == "__main__":
    sys.exit(main())
