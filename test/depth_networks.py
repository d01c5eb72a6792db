"""A miniature Depth Anything in transformers' layout, as its authors would publish it."""

from __future__ import annotations

import json
from pathlib import Path

import torch


def depth_anything(**changes) -> torch.nn.Module:
    """Two layers of random weights; ``changes`` are fields of its configuration."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config

    backbone = Dinov2Config(
        image_size=28,
        patch_size=14,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        out_indices=[1, 2],
        reshape_hidden_states=False,
        initializer_range=0.2,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        reassemble_factors=[2, 1],
        neck_hidden_sizes=[8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        initializer_range=0.2,
        **changes,
    )
    torch.manual_seed(0)
    return DepthAnythingForDepthEstimation(config).eval()


def publish(network: torch.nn.Module, folder: Path, side: int) -> Path:
    """The network's folder, with an image processor of its own numbers."""
    network.save_pretrained(folder)
    stated = {
        "size": {"height": side, "width": side},
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.3],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(stated))
    return folder
