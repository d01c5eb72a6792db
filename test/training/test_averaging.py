"""Averages of weights, by hand."""

import torch

from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.presets import build_head
from training.averaging import average_models, average_networks


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


def test_running_statistics_are_averaged_and_counters_are_not():
    networks = [torch.nn.BatchNorm2d(2) for _ in range(2)]
    for value, network in zip((1.0, 4.0), networks, strict=True):
        network.running_var.fill_(value)
        network.num_batches_tracked.fill_(int(value))
    average_networks(networks, (1, 2))
    assert networks[0].running_var.tolist() == [3.0, 3.0]
    assert networks[0].num_batches_tracked == 1
    assert networks[1].running_var.tolist() == [4.0, 4.0]
