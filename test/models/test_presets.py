"""Sizes and shapes of the presets: spec figures, counted without allocating anything."""

from __future__ import annotations

import pytest
import torch

from depth_distill_ros.errors import ConfigError, ModelError
from depth_distill_ros.models.autoencoder import build_autoencoder
from depth_distill_ros.models.presets import find_preset, preset_parameters
from depth_distill_ros.models.unet import build_unet, latent_multiple, task_token


@pytest.mark.parametrize(
    ("preset", "unet", "autoencoder"),
    [("lotus-d", 867.56, 83.65), ("d3epth", 329.82, 2.45), ("tiny", 7.25, 0.98)],
)
def test_parameter_counts_in_millions(preset, unet, autoencoder):
    counts = preset_parameters(preset)
    assert counts["unet"] / 1e6 == pytest.approx(unet, abs=0.006)
    assert counts["autoencoder"] / 1e6 == pytest.approx(autoencoder, abs=0.006)


def test_totals_are_the_papers():
    assert sum(preset_parameters("lotus-d").values()) / 1e6 == pytest.approx(951.2, abs=0.05)
    assert sum(preset_parameters("d3epth").values()) / 1e6 == pytest.approx(332.3, abs=0.05)


def test_tiny_teacher_is_the_size_of_the_specification():
    assert preset_parameters("tiny-teacher")["unet"] / 1e6 == pytest.approx(19.3, abs=0.1)


def test_task_token_is_sine_and_cosine_of_the_one_hot_task():
    sin1, cos1 = 0.8414709848, 0.5403023059
    depth, image = task_token("depth", 2), task_token("reconstruction", 1)
    assert torch.allclose(depth, torch.tensor([[sin1, 0.0, cos1, 1.0]] * 2))
    assert torch.allclose(image, torch.tensor([[0.0, sin1, 1.0, cos1]]))


def test_latent_multiples():
    assert latent_multiple(build_unet("tiny")) == 4
    assert latent_multiple(build_unet("tiny-teacher")) == 8


@pytest.mark.parametrize(
    "build",
    [lambda: build_unet("huge"), lambda: build_autoencoder("huge"), lambda: task_token("x", 1)],
)
def test_unknown_names_list_the_known_ones(build):
    with pytest.raises(ConfigError, match="choose one of"):
        build()


def test_unknown_preset():
    with pytest.raises(ModelError, match="choose one of .*tiny"):
        find_preset("huge")
