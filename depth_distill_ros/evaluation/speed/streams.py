"""What decoding and streams cost: heads against decoders, a memory against none."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from depth_distill_ros.evaluation.speed.networks import (
    STUDENT,
    WIDTHS,
    random_images,
    random_latents,
    ready,
    with_head,
)
from depth_distill_ros.evaluation.speed.roofline import PRECISIONS
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part
from depth_distill_ros.models.autoencoder import build_autoencoder, decode_map
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import LEVEL_STRIDES, Memory
from depth_distill_ros.models.presets import GUIDE_CHANNELS, PRESETS, build_head
from depth_distill_ros.models.temporal import Past
from depth_distill_ros.models.unet import build_unet

WINDOW = 16
"""Frames in sight of a temporal head that is made here."""

FRAME_SECONDS = 0.1
"""Between the frames that a full memory holds."""


def decoding(
    device: str,
    precision: str,
    side: int,
    preset: str = STUDENT,
    autoencoders: Sequence[str] = ("kl", "taesd"),
    widths: Sequence[int] = WIDTHS,
) -> Comparison:
    """One image's decoding: by autoencoders' decoders, and by the heads from UNet features.

    Args:
        device: where.
        precision: of all of them.
        side: of the image, pixels.
        preset: whose UNet's features the heads read.
        autoencoders: presets of the decoders; the first is what the ratios are of.
        widths: channels of the narrow head and of the wide one.
    """
    with torch.device("meta"):
        unet = build_unet(PRESETS[preset].unet)
    parts = [_decoder(name, device, precision, side) for name in autoencoders]
    for width in widths:
        head = ready(build_head(unet, width), device, precision)
        inputs = _head_inputs(head, device, precision, side)
        parts.append(Part(f"DPT head {width}", _by_head(head), inputs, (head,)))
    head = ready(build_head(unet, widths[-1], WINDOW), device, precision)
    memory = _full_memory(head, side, side, WINDOW)
    inputs = (*_head_inputs(head, device, precision, side), *memory)
    name = f"temporal DPT head {widths[-1]}, {WINDOW - 1} frames remembered"
    parts.append(Part(name, _by_temporal_head(head), inputs, (head,)))

    names = [part.name for part in parts]
    narrow, wide = names[len(autoencoders) :][:2]
    ratios = {
        "kl_decoder_over_head": (names[0], narrow),
        "kl_decoder_over_wide_head": (names[0], wide),
    }
    return Comparison(f"decoding at {side}x{side}", tuple(parts), ratios, device, precision)


def _decoder(autoencoder: str, device: str, precision: str, side: int) -> Part:
    network = build_autoencoder(autoencoder)
    network.encoder = None
    ready(network, device, precision)
    latents = random_latents(device, precision, side, network.config.latent_channels)
    call = lambda z: decode_map(network, z)  # noqa: E731
    return Part(f"autoencoder {autoencoder}", call, (latents,), (network,))


def _head_inputs(head: nn.Module, device: str, precision: str, side: int) -> tuple:
    """The guide, and the features coarse to fine."""
    shapes = [(GUIDE_CHANNELS, 2), *zip(head.config.feature_channels, LEVEL_STRIDES, strict=True)]
    maps = [
        torch.randn(1, channels, side // stride, side // stride, device=device)
        for channels, stride in shapes
    ]
    layout = torch.channels_last
    return tuple(m.to(PRECISIONS[precision]).contiguous(memory_format=layout) for m in maps)


def _by_head(head: nn.Module):
    def call(guide: torch.Tensor, *features: torch.Tensor) -> torch.Tensor:
        return head(features, guide)

    return call


def _by_temporal_head(head: nn.Module):
    def call(guide: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        features, (ages, *memory) = rest[: len(LEVEL_STRIDES)], rest[len(LEVEL_STRIDES) :]
        past = Past.of_ages(nn.functional.pad(ages, (0, 1))[:, None])
        disparity, entries = head.forward_frames(features, guide, past, memory)
        _remember(memory, entries)
        return disparity

    return call


def streaming(
    model: DepthModel, device: str, precision: str, size: tuple[int, int], width: int | None = None
) -> Comparison:
    """A model's frame by itself, and with a full memory; a temporal head is made if it has none.

    Args:
        model: moved to the device.
        device: where.
        precision: of the weights.
        size: (height, width) of the images, multiples of the model's.
        width: of a head that is made; by default as the model's own.
    """
    trained = model.temporal_window > 0
    if not trained:
        own = WIDTHS[-1] if model.head is None else model.head.config.width
        model = with_head(model, width or own, WINDOW)
    model = ready(model, device, precision)
    images = random_images(device, precision, *size)
    memory = _full_memory(model.head, *size, model.temporal_window)

    def frame(images: torch.Tensor, ages: torch.Tensor, *memory: torch.Tensor) -> torch.Tensor:
        disparity, entries = model.step(images, ages, list(memory))
        _remember(memory, entries)
        return disparity

    kind = "" if trained else ", untrained temporal head"
    return Comparison(
        f"a frame of {model.config.name} at {size[1]}x{size[0]}{kind}",
        (
            Part("by itself", model, (images,), (model,)),
            Part(
                f"{model.temporal_window - 1} frames remembered",
                frame,
                (images, *memory),
                (model,),
            ),
        ),
        device=device,
        precision=precision,
    )


def _full_memory(head: nn.Module, height: int, width: int, window: int) -> tuple[torch.Tensor, ...]:
    """Ages (1, M), and a memory of M = window - 1 frames."""
    memory = [kept.normal_() for kept in head.new_memory(1, height, width, window - 1)]
    ages = torch.arange(1, window, device=memory[0].device)[None] * FRAME_SECONDS
    return ages, *memory


def _remember(memory: Sequence[torch.Tensor], entries: Memory) -> None:
    """A frame takes the place of another, as in a stream."""
    for kept, entry in zip(memory, entries, strict=True):
        kept[..., 0, :] = entry[..., 0, :]
