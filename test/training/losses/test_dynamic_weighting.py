"""Dynamic weight averaging: eq. 5 by hand, its guards, and its state."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depth_distill_ros.errors import ConfigError
from training.losses.dynamic_weighting import DynamicWeightAverage

NAMES = ("ssi", "grad")


def after(*epochs: tuple[float, ...], temperature: float = 2.0) -> dict[str, float]:
    weighting = DynamicWeightAverage(NAMES, temperature)
    for losses in epochs:
        weighting.update(dict(zip(NAMES, losses, strict=True)))
    return weighting.weights


def test_the_first_two_epochs_weigh_all_alike():
    assert after() == {"ssi": 1, "grad": 1}
    assert after((0.4, 7.0)) == {"ssi": 1, "grad": 1}


def test_third_epoch_by_hand():
    # w = 1/2 and 1, τ = 2: λ = 2 e^¼ / (e^¼ + e^½) and the rest
    weights = after((1.0, 3.0), (0.5, 3.0))
    assert weights["ssi"] == pytest.approx(2 / (1 + math.exp(0.25)))
    assert weights["grad"] == pytest.approx(2 / (1 + math.exp(-0.25)))


def test_only_the_last_two_epochs_count():
    assert after((9.0, 0.1), (4.0, 5.0), (1.0, 3.0), (0.5, 3.0)) == after((1.0, 3.0), (0.5, 3.0))


def test_temperature():
    sharp = after((1.0, 1.0), (0.5, 1.0), temperature=0.5)
    assert sharp["grad"] == pytest.approx(2 / (1 + math.exp(-1)))


def test_three_losses():
    weighting = DynamicWeightAverage(("a", "b", "c"))
    weighting.update({"a": 1, "b": 1, "c": 1})
    weighting.update({"c": 1, "b": 1, "a": 3})
    assert weighting.weights["a"] == pytest.approx(3 * math.e / (math.e + 2))
    assert weighting.weights["b"] == weighting.weights["c"]


def test_a_loss_that_was_zero_has_no_quotient():
    assert after((0.0, 1.0), (0.0, 1.0)) == {"ssi": 1, "grad": 1}
    assert after((0.0, 1.0), (5.0, 1.0)) == {"ssi": 1, "grad": 1}
    falls_to_zero = after((1.0, 1.0), (0.0, 1.0))  # w = 0 and 1
    assert falls_to_zero["ssi"] == pytest.approx(2 / (1 + math.exp(0.5)))


def test_a_huge_quotient_does_not_overflow():
    weights = after((1e-9, 1.0), (1e9, 1.0))
    assert weights == pytest.approx({"ssi": 2, "grad": 0})


losses = st.tuples(st.floats(0, 1e6), st.floats(0, 1e6))


@given(st.lists(losses, max_size=5))
def test_weights_sum_to_the_number_of_losses(epochs):
    weights = after(*epochs)
    assert sum(weights.values()) == pytest.approx(2)
    assert all(0 <= weight <= 2 for weight in weights.values())


@given(st.lists(losses, max_size=4), st.lists(losses, min_size=1, max_size=4))
def test_a_restored_state_goes_on_as_if_never_stopped(before, later):
    whole = DynamicWeightAverage(NAMES)
    for epoch in before:
        whole.update(dict(zip(NAMES, epoch, strict=True)))
    resumed = DynamicWeightAverage(NAMES)
    resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
    assert resumed.weights == whole.weights
    for epoch in later:
        for weighting in (whole, resumed):
            weighting.update(dict(zip(NAMES, epoch, strict=True)))
        assert resumed.weights == whole.weights


@pytest.mark.parametrize(
    "other", [DynamicWeightAverage(("ssi",)), DynamicWeightAverage(NAMES, temperature=1.0)]
)
def test_a_state_of_other_losses_is_refused(other):
    with pytest.raises(ConfigError, match="resume with the recipe"):
        other.load_state_dict(DynamicWeightAverage(NAMES).state_dict())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -0.1])
def test_a_bad_loss_is_refused_and_changes_nothing(bad):
    weighting = DynamicWeightAverage(NAMES)
    weighting.update({"ssi": 1.0, "grad": 1.0})
    before = weighting.state_dict()
    with pytest.raises(ValueError, match="'grad'"):
        weighting.update({"ssi": 1.0, "grad": bad})
    assert weighting.state_dict() == before


def test_other_names_are_refused():
    with pytest.raises(ValueError, match="ssi"):
        DynamicWeightAverage(NAMES).update({"ssi": 1.0})


@pytest.mark.parametrize("arguments", [((),), (("a", "a"),), (NAMES, 0.0), (NAMES, math.inf)])
def test_impossible_settings_are_refused(arguments):
    with pytest.raises(ValueError, match="must be"):
        DynamicWeightAverage(*arguments)
