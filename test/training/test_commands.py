"""Whole commands: every debug recipe trains; mistakes end with one line and status 2."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models.components import load_component
from depth_distill_ros.models.depth_model import DepthModel
from training.stage1 import Stage1Objective, Stage1Recipe

RECIPES = Path(__file__).parents[2] / "config" / "training"
OF_CLIPS = ["stream", "video_teacher", "video_stage1", "video_stage2"]
COMMANDS = [
    "autoencoder",
    "prior",
    "teacher",
    "stage1",
    "stage2",
    "stem",
    "apdepth",
    "fiffdepth",
    *OF_CLIPS,
]


def run(command: str, output: Path, shards: Path, *overrides: str) -> int:
    main = importlib.import_module(f"training.{command}").main
    recipe = RECIPES / f"debug_{command}.yaml"
    places = ["--run.output", str(output), "--data.folder", str(shards)]
    return main(["--config", str(recipe), *places, *overrides])


@pytest.mark.parametrize("command", COMMANDS)
def test_debug_recipes_train_and_their_models_load(
    command, shards, uneven_clips, photos, labels, tmp_path
):
    more = ("--photos.folder", str(photos), "--photos.labels", str(labels))
    more = more if command == "fiffdepth" else ()
    assert run(command, tmp_path, uneven_clips if command in OF_CLIPS else shards, *more) == 0
    if command in ("autoencoder", "prior"):
        assert load_component(tmp_path / "model", command) is not None
        return
    estimator = DepthEstimator.from_pretrained(tmp_path / "model", device="cpu")
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    disparity = estimator(image).disparity
    assert disparity.shape == (64, 96) and np.isfinite(disparity).all()


def test_the_whole_pipeline_hands_models_on(shards, tmp_path):
    few = ("--run.steps", "2")
    assert run("autoencoder", tmp_path / "ae", shards, *few) == 0
    assert run("prior", tmp_path / "prior", shards, *few) == 0
    parts = ("--autoencoder", f"{tmp_path}/ae/model", "--prior", f"{tmp_path}/prior/model")
    assert run("teacher", tmp_path / "teacher", shards, *few, *parts) == 0
    teacher = ("--teacher", f"{tmp_path}/teacher/model", "--teacher_licence", "Apache-2.0")
    assert run("stage1", tmp_path / "one", shards, *few, *teacher) == 0
    assert run("stage2", tmp_path / "two", shards, *few, "--model", f"{tmp_path}/one/model") == 0
    one, two = (DepthModel.from_pretrained(tmp_path / name / "model") for name in ("one", "two"))
    assert two.config.teachers == ("tiny-teacher (Apache-2.0)",)
    assert two.config.decoder == "head" and two.config.prior
    for part in ("autoencoder", "prior"):  # frozen all along
        before, after = (getattr(m, part).state_dict() for m in (one, two))
        assert all(torch.equal(before[key], after[key]) for key in before)
    changed = [
        not torch.equal(a, b)
        for a, b in zip(one.unet.parameters(), two.unet.parameters(), strict=True)
    ]
    assert sum(changed) > 0.9 * len(changed)


def test_stage2_gradients_flow_through_the_frozen_decoder(shards):
    from training.config import DataConfig, RunConfig
    from training.data.batches import StepBatches
    from training.data.shards import Shards
    from training.stage2 import Stage2Objective, Stage2Recipe

    data = DataConfig(folder=str(shards), size=(32, 64))
    recipe = Stage2Recipe(
        run=RunConfig(output="unused", batch_size=2), data=data, model="random:tiny"
    )
    objective = Stage2Objective(recipe).train()
    batch = StepBatches(Shards(shards), data, recipe.run)[0].tensors
    generators = [torch.Generator().manual_seed(0)] * 2
    objective(batch, generators, objective.counts(batch))["loss"].backward()
    assert all(p.grad is None for p in objective.model.autoencoder.parameters())
    named = objective.model.unet.named_parameters()
    convolutions = [p for name, p in named if "resnets" in name and "conv" in name]
    assert len(convolutions) > 30 and all(p.grad.abs().sum() > 0 for p in convolutions)


def test_a_depth_map_inside_out_is_not_rewarded_by_the_alignment(shards):
    from training.config import DataConfig, RunConfig
    from training.data.batches import StepBatches
    from training.data.shards import Shards
    from training.losses.affine import fit_scale_shift
    from training.stage2 import Stage2Objective, Stage2Recipe

    data = DataConfig(folder=str(shards), size=(32, 64))
    run = RunConfig(output="unused", batch_size=1)
    recipe = Stage2Recipe(run=run, data=data, model="random:tiny", head_width=8, anchor_weight=1)
    objective = Stage2Objective(recipe).eval()
    batch = StepBatches(Shards(shards), data, run)[0].tensors
    last = objective.model.head.refine[-1]
    ssi = {}
    with torch.no_grad():
        last.bias.zero_()
        for _ in range(2):
            predicted = torch.nn.functional.interpolate(objective.model(batch["rgb"]), (32, 64))
            scale, _ = fit_scale_shift(predicted, batch["disparity"], batch["valid"])
            losses = objective(batch, [torch.Generator()], objective.counts(batch))
            ssi[bool(scale > 0)] = float(losses["ssi"])
            assert losses["anchor"] > 0
            last.weight.neg_()
    assert ssi[False] == 0 < ssi[True]


def test_feature_pairs_of_unequal_shape_are_refused_before_the_first_step(tmp_path):
    from training.config import DataConfig, RunConfig

    recipe = Stage1Recipe(
        run=RunConfig(output=str(tmp_path)),
        data=DataConfig(size=(64, 64)),
        student="tiny",
        teacher="random:tiny",  # three blocks: there is no u3 to learn from
    )
    with pytest.raises(ConfigError, match="u3"):
        Stage1Objective(recipe)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (("--run.stepz", "3"), "stepz"),
        (("--pairs", "most"), "most"),
        (("--run.steps", "many"), "many"),
    ],
)
def test_unknown_keys_and_wrong_values_are_refused(overrides, message, shards, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        run("stage1", tmp_path, shards, *overrides)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("command", "overrides", "message"),
    [
        ("stage1", ("--teacher", "nowhere"), "there is no model 'nowhere'"),
        ("stage2", ("--model", "random:huge"), "no preset 'huge'"),
        ("teacher", ("--autoencoder", "nowhere"), "no autoencoder in 'nowhere'"),
        ("prior", ("--data.folder", "empty", "--data.render", "0"), "there are no shards"),
    ],
)
def test_mistakes_are_one_line_and_status_2(command, overrides, message, shards, tmp_path, capsys):
    assert run(command, tmp_path, shards, *overrides) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ") and message in error
