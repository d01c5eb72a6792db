"""The loop: it learns, it resumes as if never stopped, it refuses what cannot go on."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from depth_distill_ros.errors import ConfigError, DataError
from training import checkpoint as ckpt
from training.config import CommonConfig, DataConfig, OptimizerConfig, RunConfig
from training.data.shards import Shards
from training.divergence import DivergenceError
from training.objective import Objective
from training.optimisation import schedule
from training.trainer import train


class Line(Objective):
    """Disparity as a linear function of brightness, with noise from the step's generator."""

    def __init__(self, stop_after: int = 10**9):
        super().__init__()
        self.layer = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
        self.last = torch.nn.Conv2d(4, 1, 1)
        self.still = torch.nn.BatchNorm2d(3)
        self.freeze(self.still)
        for index, parameter in enumerate(self.parameters()):
            torch.nn.init.constant_(parameter, 0.1 * (index + 1))
        self.epochs: list[float] = []
        self._calls, self._stop_after = 0, stop_after

    def forward(self, batch, generators, counts):
        self._calls += 1
        if self._calls > self._stop_after:
            raise KeyboardInterrupt
        shape = batch["rgb"].shape[1:]
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        predicted = self.last(self.layer(self.still(batch["rgb"] + 0.01 * noise)))
        return {"loss": (predicted - batch["disparity"]).square().mean()}

    def end_epoch(self, means):
        self.epochs.append(means["loss"])

    def extra_state(self):
        return {"epochs": self.epochs}

    def load_extra_state(self, state):
        self.epochs = state["epochs"]

    def save_model(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        weights = {k: v.tolist() for k, v in self.state_dict().items()}
        (folder / "line.json").write_text(json.dumps(weights))


def recipe(output: Path, **run) -> CommonConfig:
    settings = RunConfig(output=str(output), steps=20, batch_size=4, save_every=6, ema=0.9)
    return CommonConfig(
        run=replace(settings, **run),
        data=DataConfig(size=(16, 32), crop_min=0.7),
        optimizer=OptimizerConfig(learning_rate=0.05, schedule="cosine", warmup_steps=3),
    )


@pytest.fixture(scope="module")
def source(shards):
    return Shards(shards)


def test_it_learns_and_calls_back_once_an_epoch(source, tmp_path):
    objective = Line()
    train(objective, source, recipe(tmp_path))
    assert len(objective.epochs) == 20 // 6  # 24 images in batches of 4
    assert objective.epochs[-1] < 0.5 * objective.epochs[0]
    assert (tmp_path / "model" / "line.json").is_file()
    assert list((tmp_path / "logs").rglob("events.*"))


def test_a_resumed_run_equals_an_uninterrupted_one(source, tmp_path):
    train(Line(), source, recipe(tmp_path / "whole"))
    with pytest.raises(KeyboardInterrupt):
        train(Line(stop_after=15), source, recipe(tmp_path / "broken"))
    train(Line(), source, recipe(tmp_path / "broken"), resume=True)
    last = "checkpoints/step-00000020"
    for name in ("weights", "optimizer", "averages"):
        whole, broken = (
            load_file(tmp_path / run / last / f"{name}.safetensors") for run in ("whole", "broken")
        )
        assert whole.keys() == broken.keys() and len(whole) > 0
        assert all(torch.equal(whole[key], broken[key]) for key in whole)
    states = [
        json.loads((tmp_path / run / last / "state.json").read_text())["objective"]
        for run in ("whole", "broken")
    ]
    assert states[0] == states[1]
    models = [(tmp_path / run / "model" / "line.json").read_text() for run in ("whole", "broken")]
    assert models[0] == models[1]


def test_accumulation_equals_the_larger_batch(source, tmp_path):
    class Exact(Line):
        def forward(self, batch, generators, counts):
            predicted = self.last(batch["rgb"].repeat(1, 2, 1, 1)[:, :4])
            return {"loss": (predicted - batch["disparity"]).square().mean()}

    weights = []
    for name, size, micro in (("one", 4, 0), ("two", 4, 2)):
        objective = Exact()
        objective.layer.requires_grad_(False)
        settings = recipe(tmp_path / name, batch_size=size, micro_batch=micro, ema=0.0)
        train(objective, source, settings)
        weights.append(objective.last.weight.detach())
    assert torch.allclose(*weights, atol=1e-6)


def test_frozen_modules_stay_as_they_are(source, tmp_path):
    objective = Line()
    before = {k: v.clone() for k, v in objective.still.state_dict().items()}
    train(objective, source, recipe(tmp_path))
    assert all(torch.equal(before[k], v) for k, v in objective.still.state_dict().items())


def test_an_existing_run_is_not_overwritten(source, tmp_path):
    train(Line(), source, recipe(tmp_path, steps=2))
    with pytest.raises(ConfigError, match="--resume"):
        train(Line(), source, recipe(tmp_path, steps=2))


def test_resuming_with_another_recipe_names_the_difference(source, tmp_path):
    train(Line(), source, recipe(tmp_path, steps=2))
    with pytest.raises(ConfigError, match="run.seed was 42, now 7"):
        train(Line(), source, recipe(tmp_path, steps=2, seed=7), resume=True)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(source, tmp_path):
    class Breaks(Line):
        def forward(self, batch, generators, counts):
            losses = super().forward(batch, generators, counts)
            return {"loss": losses["loss"] * (float("nan") if self._calls > 8 else 1.0)}

    with pytest.raises(DivergenceError, match="of step 9 are not finite"):
        train(Breaks(), source, recipe(tmp_path))
    saved = ckpt.load_checkpoint(ckpt.list_checkpoints(tmp_path)[-1])
    assert saved.step == 6
    assert all(tensor.isfinite().all() for tensor in saved.weights.values())


def test_old_checkpoints_go_and_a_damaged_one_is_named(source, tmp_path):
    train(Line(), source, recipe(tmp_path))
    kept = ckpt.list_checkpoints(tmp_path)
    assert [folder.name for folder in kept] == ["step-00000018", "step-00000020"]
    (kept[-1] / "weights.safetensors").write_bytes(b"broken")
    with pytest.raises(DataError, match="step-00000020"):
        train(Line(), source, recipe(tmp_path), resume=True)


@pytest.mark.parametrize(
    ("kind", "step", "expected"),
    [
        ("constant", 0, 0.1),  # first of ten warm-up steps
        ("constant", 60, 1.0),
        ("cosine", 10, 1.0),
        ("cosine", 60, 0.505),  # half way: the mean of 1 and 0.01
        ("exponential", 60, 0.1),  # 0.01 to the power of one half
        ("exponential", 110, 0.01),
    ],
)
def test_schedules_by_hand(kind, step, expected):
    config = OptimizerConfig(schedule=kind, warmup_steps=10, final_ratio=0.01)
    assert schedule(config, step, 110) == pytest.approx(expected)


def test_a_run_that_diverged_may_go_on_with_a_lower_rate(source, tmp_path, capsys):
    train(Line(), source, recipe(tmp_path, steps=2))
    lower = recipe(tmp_path, steps=2)
    lower = replace(lower, optimizer=replace(lower.optimizer, learning_rate=0.01))
    train(Line(), source, lower, resume=True)
    assert "optimizer.learning_rate was 0.05, now 0.01" in capsys.readouterr().out


def test_losses_are_kept_to_the_last_digit(source, tmp_path):
    train(Line(), source, recipe(tmp_path, steps=4, log_every=2))
    records = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert [record["step"] for record in records] == [2, 4]
    assert set(records[0]) == {"step", "loss", "learning_rate"}


def test_half_precision_scales_its_losses_and_resumes(source, tmp_path):
    """fp16 on the CPU; the scale is part of the checkpoint."""
    half = recipe(tmp_path / "fp16", ema=0.0, mixed_precision="fp16")
    objective = Line()
    train(objective, source, half)
    assert objective.epochs[-1] < 0.5 * objective.epochs[0]
    saved = ckpt.load_checkpoint(ckpt.list_checkpoints(tmp_path / "fp16")[-1])
    assert saved.state["scaler"]["scale"] > 0


def test_a_checkpoint_of_another_network_is_refused(source, tmp_path):
    train(Line(), source, recipe(tmp_path, steps=2))
    other = Line()
    other.more = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(DataError, match="another network: more"):
        train(other, source, recipe(tmp_path, steps=2), resume=True)
