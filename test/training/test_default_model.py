"""The command that makes the bundled models of single images, and its plans."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from depth_distill_ros.inference.estimator import DepthEstimator
from depth_distill_ros.models.hub import DEFAULT_MODEL
from training import default_model
from training.model_plans import PLANS

RECIPES = Path(__file__).parents[2] / "config" / "training"


def recipe_of(plan, step: str) -> dict:
    return yaml.safe_load((RECIPES / f"{plan.recipes}_{step}.yaml").read_text())


def test_the_default_model_has_a_plan():
    assert DEFAULT_MODEL in PLANS


@pytest.mark.parametrize("name", PLANS)
def test_each_step_learns_from_what_the_plan_makes(name):
    plan = PLANS[name]
    made = {str(plan.runs / scenes.folder) for scenes in plan.scenes}
    for step, _ in plan.steps:
        recipe = recipe_of(plan, step)
        assert recipe["run"]["output"] == str(plan.runs / step)
        feeds = recipe["data"].get("mix") or [recipe["data"]]
        assert {feed["folder"] for feed in feeds} <= made
        parts = [recipe.get(key, "") for key in ("model", "teacher", "prior", "autoencoder")]
        parts += recipe.get("average", [])
        for part in (Path(part) for part in parts if part.startswith("runs/")):
            assert part.name == "model" and part.parent.name in dict(plan.steps)
            made_before = [s for s, _ in plan.steps].index(part.parent.name)
            assert made_before < [s for s, _ in plan.steps].index(step)
        made.add(str(plan.runs / step / "model"))
    assert recipe["name"] == name


def test_a_training_needs_a_process(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert default_model.main(["--processes", "0"]) != 0
    assert "--processes 0: give 1 or more" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is rendered first"


@pytest.mark.slow
def test_from_nothing_to_a_model_with_a_card(tmp_path, monkeypatch, capsys):
    name = "d3epth-lite"
    plan = PLANS[name]
    small = replace(
        plan,
        scenes=tuple(
            replace(s, count=2, size=(96, 64) if s.kinds is None else (96, 32)) for s in plan.scenes
        ),
    )
    monkeypatch.setitem(PLANS, name, small)
    monkeypatch.setattr(
        default_model, "UNSEEN", replace(default_model.UNSEEN, count=2, size=(96, 64))
    )
    monkeypatch.chdir(tmp_path)
    for step, _ in plan.steps:
        recipe = recipe_of(plan, step)
        recipe["run"] |= {"steps": 1, "batch_size": 2}
        recipe["data"]["size"] = [64, 96]
        for feed in recipe["data"].get("mix", []):
            feed |= {"size": [32, 96]} if "size" in feed else {}
        (tmp_path / f"lite_{step}.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["--model", name, "--recipes", ".", "--tier", "procedural", "--workers", "1"]
    assert default_model.main([*arguments, "--processes", "2"]) == 0
    folder = tmp_path / "runs" / "lite" / name
    assert DepthEstimator.from_pretrained(folder).name == name
    card = (folder / "README.md").read_text()
    assert "Unseen rendered scenes" in card and f"--model {name}" in card
    assert str(tmp_path) not in card and "{" not in card.replace("```", "")
    assert f"{name}: " in capsys.readouterr().out
