"""Peers of the full size, built from their public configurations with random weights.

Each sees an image of the size that it was made for, where our networks see 512x512 pixels. Speed does not depend on weights; accuracy does,
so none is given. Sources: the ``config.json`` of Depth Anything V2 Small, Base and Large and of
DPT-Large (MiDaS 3.0) on the Hugging Face Hub; Stable Diffusion 2's UNet and autoencoder for the
pipelines that take one step of it (Lotus, GenPercept, Marigold-E2E-FT).
"""

from __future__ import annotations

from typing import Any

from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed.networks import (
    FAST,
    SMALL,
    StockModel,
    random_images,
    ready,
)
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folding import fold

DEPTH_ANYTHING_SIDE, DPT_SIDE = 518, 384
_PATCH = {DEPTH_ANYTHING_SIDE: 14, DPT_SIDE: 16}
_OUR_SIDE = 512

# Width, heads, layers, layers that are read, channels of the neck, and of its fusion
_DEPTH_ANYTHING_V2 = {
    "s": (384, 6, 12, (3, 6, 9, 12), (48, 96, 192, 384), 64),
    "b": (768, 12, 12, (3, 6, 9, 12), (96, 192, 384, 768), 128),
    "l": (1024, 16, 24, (5, 12, 18, 24), (256, 512, 1024, 1024), 256),
}


def peers(device: str, precision: str, side: int) -> Comparison:
    """An image's depth by the fast students and by their peers, all in one precision.

    Args:
        device: where.
        precision: of all of them.
        side: of the students' image and of Stable Diffusion's; the others' changes in proportion.

    Raises:
        ConfigError: transformers is not installed.
    """
    square = random_images(device, precision, side, side)
    parts = []
    for preset in (FAST, SMALL):
        network = ready(fold(DepthModel.from_preset(preset)), device, precision)
        parts.append(Part(f"{preset}, folded", network, (square,), (network,)))
    peer = ready(StockModel.from_preset("sd2"), device, precision)
    parts.append(Part("Stable Diffusion 2, one step", peer, (square,), (peer,)))
    ratios = {"sd2_over_student": (parts[-1].name, parts[0].name)}
    others = {f"depth_anything_v2_{size}": (_depth_anything, size) for size in _DEPTH_ANYTHING_V2}
    for name, (build, size) in (others | {"dpt_large": (_dpt_large, None)}).items():
        network, made_for, title = build(size)
        network = ready(network, device, precision)
        patch = _PATCH[made_for]
        own_side = round(made_for * side / _OUR_SIDE / patch) * patch
        images = random_images(device, precision, own_side, own_side)
        parts.append(Part(f"{title} at {own_side}", _predict(network), (images,), (network,)))
        ratios[f"{name}_over_student"] = (parts[-1].name, parts[0].name)
        ratios[f"{name}_over_small_student"] = (parts[-1].name, parts[1].name)
    title = f"peers, our networks at {side}x{side}"
    return Comparison(title, tuple(parts), ratios, device, precision, whole=True)


def _predict(network: nn.Module):
    return lambda pixels: network(pixels).predicted_depth


def _depth_anything(size: str) -> tuple[nn.Module, int, str]:
    width, heads, layers, read, neck, fusion = _DEPTH_ANYTHING_V2[size]
    library = _transformers()
    backbone = library.Dinov2Config(
        hidden_size=width,
        num_attention_heads=heads,
        num_hidden_layers=layers,
        image_size=DEPTH_ANYTHING_SIDE,
        patch_size=14,
        out_features=[f"stage{layer}" for layer in read],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = library.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=width,
        neck_hidden_sizes=list(neck),
        fusion_hidden_size=fusion,
        head_hidden_size=32,
    )
    network = library.DepthAnythingForDepthEstimation(config)
    return network, DEPTH_ANYTHING_SIDE, f"Depth Anything V2 {size.upper()}"


def _dpt_large(_: None) -> tuple[nn.Module, int, str]:
    library = _transformers()
    config = library.DPTConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        image_size=DPT_SIDE,
        patch_size=16,
        backbone_out_indices=[5, 11, 17, 23],
        readout_type="project",
        neck_hidden_sizes=[256, 512, 1024, 1024],
        fusion_hidden_size=256,
    )
    return library.DPTForDepthEstimation(config), DPT_SIDE, "DPT-Large (MiDaS 3.0)"


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise ConfigError(
            "the peers need transformers: pip install 'depth_distill_ros[peers]'"
        ) from error
    return transformers
