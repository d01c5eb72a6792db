"""What the loop and its processes ask of every method."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from training.apdepth import ApDepthObjective, ApDepthRecipe
from training.autoencoder import AutoencoderObjective, AutoencoderRecipe
from training.config import parse_recipe
from training.data.batches import StepBatches
from training.data.open import open_feeds
from training.fiffdepth import FiffDepthObjective, FiffDepthRecipe
from training.prior import PriorObjective, PriorRecipe
from training.stage1 import Stage1Objective, Stage1Recipe
from training.stage2 import Stage2Objective, Stage2Recipe
from training.stream import StreamObjective, StreamRecipe
from training.teacher import TeacherObjective, TeacherRecipe
from training.video_stage1 import VideoStage1Objective, VideoStage1Recipe
from training.video_stage2 import VideoStage2Objective, VideoStage2Recipe
from training.video_teacher import VideoTeacherObjective, VideoTeacherRecipe

RECIPES = Path(__file__).parents[2] / "config" / "training"
METHODS = {
    "autoencoder": (AutoencoderRecipe, AutoencoderObjective, ()),
    "prior": (PriorRecipe, PriorObjective, ()),
    "teacher": (TeacherRecipe, TeacherObjective, ()),
    "stage1": (Stage1Recipe, Stage1Objective, ()),
    "stage2": (Stage2Recipe, Stage2Objective, ()),
    "stage2 without head": (Stage2Recipe, Stage2Objective, ("--head_width", "0")),
    "stream": (StreamRecipe, StreamObjective, ()),
    "stream of the head": (StreamRecipe, StreamObjective, ("--train", "head")),
    "apdepth": (ApDepthRecipe, ApDepthObjective, ()),
    "apdepth of stage 2": (ApDepthRecipe, ApDepthObjective, ("--stage", "2")),
    "fiffdepth": (FiffDepthRecipe, FiffDepthObjective, ()),
    "fiffdepth without photos": (FiffDepthRecipe, FiffDepthObjective, ("--pseudo_labels", "off")),
    "video_teacher": (VideoTeacherRecipe, VideoTeacherObjective, ()),
    "video_stage1": (VideoStage1Recipe, VideoStage1Objective, ()),
    "video_stage1 from noise": (VideoStage1Recipe, VideoStage1Objective, ("--start", "noise")),
    "video_stage2": (VideoStage2Recipe, VideoStage2Objective, ()),
}


@pytest.fixture
def data(uneven_shards, uneven_clips, photos, labels) -> dict[bool | str, Path]:
    """Where a method finds its data, by whether it learns from clips; and what else there is."""
    return {False: uneven_shards, True: uneven_clips, "photos": photos, "labels": labels}


def build(method: str, data: dict[bool | str, Path]):
    recipe_class, objective_class, more = METHODS[method]
    config = str(RECIPES / f"debug_{method.split()[0]}.yaml")
    folder = str(data["stream" in method or "video" in method])
    arguments = ["--config", config, "--data.folder", folder, "--data.size", "[64, 64]", *more]
    batch = ["--run.batch_size", "2", "--run.micro_batch", "0"]
    if method.startswith("fiffdepth"):
        arguments += ["--photos.folder", str(data["photos"])]
        arguments += ["--photos.labels", str(data["labels"])]
    recipe, _ = parse_recipe(recipe_class, "", [*arguments, *batch])
    objective = objective_class(recipe).train()
    feeds = objective.feeds(open_feeds(recipe.data))
    return objective, StepBatches(feeds, recipe.data, recipe.run)[0]


@pytest.mark.parametrize("method", METHODS)
def test_every_trained_parameter_has_a_gradient(method, data):
    """DistributedDataParallel waits for the gradient of each of them."""
    objective, micro = build(method, data)
    generators = [torch.Generator().manual_seed(k) for k in range(2)]
    losses = objective(micro.tensors, generators, objective.counts(micro.tensors))
    assert all(value.ndim == 0 for value in losses.values())
    losses["loss"].backward()
    unused = [n for n, p in objective.named_parameters() if p.requires_grad and p.grad is None]
    assert unused == []
    trained = {id(p) for p in objective.parameters() if p.requires_grad}
    for block in objective.blocks():  # FSDP leaves what is frozen in a block whole
        assert trained & {id(p) for p in block.parameters()}


@pytest.mark.parametrize("method", sorted(set(METHODS) - {"prior"}))  # it has batch norms
def test_an_image_does_not_know_what_it_shares_a_micro_batch_with(method, data):
    objective, micro = build(method, data)

    def losses(rows, counts):
        batch = {key: value[rows] for key, value in micro.tensors.items()}
        generators = [torch.Generator().manual_seed(k) for k in rows]
        with torch.no_grad():
            return objective(batch, generators, counts)

    counts = objective.counts(micro.tensors)
    half = {name: value / 2 for name, value in counts.items()}
    whole, parts = losses([0, 1], counts), [losses([k], half) for k in (0, 1)]
    for name, value in whole.items():
        mean = sum(float(part[name]) for part in parts) / 2
        assert float(value) == pytest.approx(mean, rel=1e-4, abs=1e-6), name
