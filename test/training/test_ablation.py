"""The ablation: rows and spreads by hand, and the whole command on two variants."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from training.ablation import EQUAL_BUDGET, VARIANTS, AblationRecipe, _checked_variants, main
from training.ablation_report import collect, markdown, write_report

RECIPES = Path(__file__).parents[2] / "config" / "training"


def report(abs_rel: float, delta1: float) -> dict:
    errors = {"model": {"abs_rel": abs_rel, "delta1": delta1}}
    means = {"indoor": {"n": 9, "errors": errors}, "all": {"n": 15, "errors": errors}}
    return {"benchmarks": [{"split": "real", "alignment": "in disparity", "means": means}]}


REPORTS = {
    ("baseline", 1): report(0.20, 0.60),
    ("baseline", 2): report(0.24, 0.50),
    ("two-stage", 1): report(0.15, 0.70),
    ("two-stage", 2): report(0.15, 0.72),
}


def test_means_and_spreads_by_hand():
    numbers = collect(REPORTS, ["baseline", "two-stage"])
    assert [entry["setting"] for entry in numbers] == ["indoor"]  # the mean of all is left out
    assert numbers[0]["variants"]["baseline"]["abs_rel"] == [0.20, 0.24]
    lines = markdown(numbers, ["baseline", "two-stage"], [1, 2], steps=400)
    # standard deviation of two values: their distance over the square root of two
    assert "22.0 ± 2.8 / 55.0 ± 7.1" in lines[-2] and "7.8 / 94.3" in lines[-2]
    assert "15.0 ± 0.0 / 71.0 ± 1.4" in lines[-1] and "Two-Stage" in lines[-1]
    assert "400" in lines[0] and "in disparity" in lines[0]


def test_one_seed_has_no_spread_and_the_plot_is_drawn(tmp_path):
    page = write_report(tmp_path, REPORTS, ["baseline", "two-stage"], [1], steps=8)
    assert "±" not in page.read_text().split("\n", 1)[1]
    assert (tmp_path / "ablation.png").read_bytes().startswith(b"\x89PNG")
    saved = json.loads((tmp_path / "ablation.json").read_text())
    assert saved["sets"][0]["variants"]["two-stage"]["delta1"] == [0.70]


def test_variants_of_equal_budget_train_the_same_number_of_steps():
    for name, parts in VARIANTS.items():
        assert (sum(part.share for part in parts) == 1) == (name in EQUAL_BUDGET)


def test_kd_is_full_and_unknown_variants_are_refused(capsys):
    recipe = AblationRecipe("out", "one", "two", variants=("kd", "full"), frames="f")
    assert _checked_variants(recipe) == ("full",)
    required = ["--output=out", "--stage1=one", "--stage2=two"]
    assert main([*required, "--frames=f", '--variants=["best"]']) == 2
    assert "unknown variants best" in capsys.readouterr().err
    assert main(required) == 2
    assert "give frames, shards, or both" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_trains_evaluates_and_goes_on(shards, described_shards, tmp_path):
    recipe = {
        "output": str(tmp_path / "ablation"),
        "stage1": str(RECIPES / "debug_stage1.yaml"),
        "stage2": str(RECIPES / "debug_stage2.yaml"),
        "overrides": [f"--data.folder={shards}"],
        "variants": ["kd", "ssi", "two-stage"],
        "seeds": [1],
        "steps": 2,
        "processes": 2,
        "shards": str(described_shards),
    }
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    assert main(["--config", str(path)]) == 0
    page = (tmp_path / "ablation" / "ablation.md").read_text()
    assert page.count("\n| ") == 4 and "| full (" in page
    # the ssi variant starts from the student as stage 1 initialises it, and nothing else
    logs = sorted(p.name for p in (tmp_path / "ablation" / "ssi-seed1").glob("*.log"))
    assert logs == ["0-stage1.log", "1-stage2.log", "evaluation.log"]
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "ablation").rglob("*.safetensors")}
    assert main(["--config", str(path)]) == 0
    assert before == {p: p.stat().st_mtime_ns for p in before}


@pytest.mark.slow
def test_a_training_that_fails_names_its_log(shards, tmp_path, capsys):
    required = [f"--output={tmp_path}", f"--stage1={RECIPES / 'debug_stage1.yaml'}"]
    required += [f"--stage2={RECIPES / 'debug_stage2.yaml'}", f"--shards={shards}"]
    options = ["--seeds=[1]", "--steps=2", '--variants=["baseline"]']
    assert main([*required, *options, '--overrides=["--teacher=nowhere"]']) == 2
    error = capsys.readouterr().err
    assert "0-stage1.log" in error and "there is no model 'nowhere'" in error
