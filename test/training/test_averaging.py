"""Averages of weights, by hand."""

import torch

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.presets import build_head
from training.averaging import average_models


def filled(value: float, window: int) -> DepthModel:
    model = DepthModel.from_preset("tiny-prior", seed=0)
    model.head = build_head(model.unet, 32, window)
    for parameter in model.parameters():
        torch.nn.init.constant_(parameter, value)
    return model


def test_shares_are_relative_and_missing_weights_do_not_count():
    models = [filled(1.0, window=4), filled(3.0, window=4), filled(9.0, window=0)]
    found = average_models(models, (1, 2, 1))
    assert found is models[0]
    for name, parameter in found.head.named_parameters():
        expected = 7 / 3 if name.startswith("temporal.") else 4.0  # (1 + 2 · 3) / 3, (7 + 9) / 4
        assert torch.allclose(parameter, torch.tensor(expected)), name
    assert {float(p.detach().mean()) for p in found.unet.parameters()} == {4.0}
    assert {float(p.detach().mean()) for p in found.autoencoder.parameters()} == {1.0}
