"""What may differ between the recipe of a run and the one it is resumed with."""

from __future__ import annotations

import copy

import pytest

from depth_distill_ros.errors import ConfigError
from training.config import CommonConfig, RunConfig, to_plain
from training.resume import check_recipe

BEFORE = to_plain(CommonConfig(run=RunConfig(output="run")))


def changed(key: str, value: object) -> dict:
    now = copy.deepcopy(BEFORE)
    section, name = key.split(".")
    now[section][name] = value
    return now


@pytest.mark.parametrize(
    ("key", "value"),
    [("run.output", "elsewhere"), ("run.workers", 3), ("run.micro_batch", 1),
     ("run.save_every", 7), ("run.max_skipped", 0.5), ("speed.compile", True)],
)  # fmt: skip
def test_how_a_run_is_carried_out_may_change(key, value):
    assert check_recipe(BEFORE, changed(key, value), "run") == []


@pytest.mark.parametrize(
    ("key", "value"), [("optimizer.clip", 0.5), ("run.mixed_precision", "bf16")]
)
def test_what_helps_a_run_that_diverged_is_reported(key, value):
    (change,) = check_recipe(BEFORE, changed(key, value), "run")
    assert change.startswith(f"{key} was ") and change.endswith(f"now {value}")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("run.batch_size", 99),
        ("run.steps", 7),
        ("data.size", [8, 8]),
        ("optimizer.warmup_steps", 9),
    ],
)
def test_anything_else_is_refused_and_named(key, value):
    with pytest.raises(ConfigError, match=f"{key} was .*, now "):
        check_recipe(BEFORE, changed(key, value), "run")


def test_a_field_that_is_newer_than_the_run_is_no_difference():
    before = copy.deepcopy(BEFORE)
    del before["data"]["block"]
    assert check_recipe(before, BEFORE, "run") == []
    assert check_recipe(BEFORE, BEFORE, "run") == []
