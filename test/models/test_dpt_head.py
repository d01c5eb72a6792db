"""The DPT head: sizes, the guide, gradients into every part."""

from __future__ import annotations

import torch

from depth_distill_ros.models.dpt_head import DPTHead


def features() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(1, 12, 4, 6), (1, 8, 8, 12), (1, 4, 8, 12)]
    return [torch.randn(s, generator=generator, requires_grad=True) for s in shapes]


def test_output_is_half_of_the_input_size():
    head = DPTHead(feature_channels=(12, 8, 4), width=8)
    assert head(features()).shape == (1, 1, 32, 48)  # latents 8×12 are an image of 64×96


def test_gradients_reach_features_and_weights():
    head = DPTHead(feature_channels=(12, 8, 4), width=8, guide_channels=2)
    inputs = features()
    head(inputs, torch.randn(1, 2, 32, 48)).square().mean().backward()
    assert all(f.grad.abs().sum() > 0 for f in inputs)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_the_guide_changes_the_result():
    head = DPTHead(feature_channels=(12, 8, 4), width=8, guide_channels=1).eval()
    with torch.inference_mode():
        dark, bright = (head(features(), torch.full((1, 1, 32, 48), v)) for v in (0.0, 1.0))
    assert not torch.allclose(dark, bright)
