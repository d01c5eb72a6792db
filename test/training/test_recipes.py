"""Every shipped recipe is one that its command accepts; the papers' values stand where they should."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from training.config import CommonConfig, parse_recipe

RECIPES = Path(__file__).parents[2] / "config" / "training"
COMMANDS = {
    "autoencoder": "AutoencoderRecipe",
    "prior": "PriorRecipe",
    "teacher": "TeacherRecipe",
    "stage1": "Stage1Recipe",
    "stage2": "Stage2Recipe",
    "stem": "StemRecipe",
    "stream": "StreamRecipe",
    "apdepth": "ApDepthRecipe",
    "fiffdepth": "FiffDepthRecipe",
    "video_teacher": "VideoTeacherRecipe",
    "video_stage1": "VideoStage1Recipe",
    "video_stage2": "VideoStage2Recipe",
}
WHOLE_NAMES = {
    "d2epth": "stage2",
    "tiny_ablation": None,
    "tiny_methods": None,
    "apdepth_stage1": "apdepth",
    "apdepth_stage2": "apdepth",
    "tiny_apdepth_stage2": "apdepth",
    "lite_prior_start": "prior",
    "lite_prior_more": "prior",
    "lite_prior_longer": "prior",
    "lite_prior_traffic": "prior",
    "tiny_stream_second": "stream",
    "tiny_video": "video_stage1",
    **{
        f"{scale}video_{name}": f"video_{name}"
        for scale in ("", "debug_", "tiny_")
        for name in ("teacher", "stage1", "stage2")
    },
}
"""Recipes whose name does not end in their command; None: not a training command's recipe."""


def command_of(path: Path) -> str | None:
    if path.stem in WHOLE_NAMES:
        return WHOLE_NAMES[path.stem]
    return path.stem.split("_")[-1]


def parse(path: Path, *overrides: str) -> CommonConfig:
    command = command_of(path)
    recipe = getattr(importlib.import_module(f"training.{command}"), COMMANDS[command])
    return parse_recipe(recipe, "test", ["--config", str(path), *overrides])[0]


@pytest.mark.parametrize(
    "path", sorted(p for p in RECIPES.glob("*.yaml") if command_of(p)), ids=lambda path: path.stem
)
def test_every_recipe_fills_its_dataclass(path):
    recipe = parse(path)
    assert recipe.run.output.startswith("runs/")
    if recipe.run.micro_batch:
        assert recipe.run.batch_size % recipe.run.micro_batch == 0


@pytest.mark.parametrize("name", ["d3epth_stage1", "d3epth_stage2", "d2epth"])
def test_the_papers_values(name):
    recipe = parse(RECIPES / f"{name}.yaml")
    assert recipe.run.steps == 4000
    assert recipe.data.size == (576, 768)
    mix = {part.kind: part for part in recipe.data.mix}
    assert mix["hypersim"].share == 0.9 and mix["hypersim"].size is None
    assert mix["virtual_kitti"].share == 0.1 and mix["virtual_kitti"].size == (352, 1216)
    assert recipe.data.block == 16 and recipe.data.flip and recipe.data.crop_min == 1.0
    assert recipe.optimizer.learning_rate == 3e-5 and recipe.optimizer.weight_decay == 1e-2
    assert recipe.run.micro_batch == 1 and recipe.speed.gradient_checkpointing


def test_the_stages_hand_on():
    one, two, large = (
        parse(RECIPES / f"{n}.yaml") for n in ("d3epth_stage1", "d3epth_stage2", "d2epth")
    )
    assert (one.student, one.autoencoder, one.pairs) == ("sdxs09", "tiny", "full")
    assert two.model == f"{one.run.output}/model"
    assert large.model == one.teacher and "disparity" in one.teacher


def test_apdepths_values():
    one, two = (parse(RECIPES / f"apdepth_stage{stage}.yaml") for stage in (1, 2))
    assert (one.stage, one.run.steps, two.stage, two.run.steps) == (1, 24000, 2, 1000)
    for recipe in (one, two):
        optimizer = recipe.optimizer
        assert (optimizer.learning_rate, optimizer.weight_decay) == (3e-5, 0)
        assert (optimizer.schedule, optimizer.warmup_steps) == ("exponential", 100)
        assert optimizer.final_ratio == 0.01
        assert recipe.run.batch_size == 32 and recipe.data.size == (480, 640)
        assert [(part.share, part.size) for part in recipe.data.mix] == [
            (0.9, None),
            (0.1, (352, 1216)),
        ]
    assert two.model == f"{one.run.output}/model"
    assert (two.latent_weight, two.frequency_weight, two.frequency_power) == (0, 0.5, 1)
    tiny = [parse(RECIPES / f"tiny_apdepth{end}.yaml") for end in ("", "_stage2")]
    assert tiny[1].model == f"{tiny[0].run.output}/model" and tiny[1].stage == 2


def test_the_values_of_one_step_video_depth():
    one, two = (parse(RECIPES / f"video_stage{stage}.yaml") for stage in (1, 2))
    for recipe in (one, two):
        assert (recipe.optimizer.learning_rate, recipe.optimizer.weight_decay) == (1e-5, 0)
        assert (recipe.run.batch_size, recipe.run.micro_batch) == (16, 1)
        assert recipe.run.steps == -(-55_000 // recipe.run.batch_size)
        assert not recipe.train_temporal
    assert (one.teacher_steps, one.gradient_share, one.start) == (5, 0.5, "image")
    assert (two.teacher_weight, two.feature_weight, two.gradient_weight) == (1, 0.1, 2)
    assert two.label_weight == two.anchor_weight == two.temporal_weight == 0
    assert two.model == f"{one.run.output}/model"
    names = ("video_teacher", "video", "video_stage2")
    first, second, third = (parse(RECIPES / f"tiny_{name}.yaml") for name in names)
    assert second.teacher == f"{first.run.output}/model"
    assert third.model == f"{second.run.output}/model"


def test_a_small_run_by_overrides():
    random = ("--teacher", "random:lotus-d", "--student_weights", "", "--autoencoder")
    data = ("--data.mix", "[]", "--data.folder", "shards", "--data.size", "[256, 256]")
    recipe = parse(RECIPES / "d3epth_stage1.yaml", *random, "random:taesd", *data)
    assert recipe.data.size == (256, 256) and recipe.data.mix == ()
    assert recipe.teacher == "random:lotus-d" and recipe.student_weights == ""
