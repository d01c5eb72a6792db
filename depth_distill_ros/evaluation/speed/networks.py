"""Teacher and students of the full size, whole and by their parts, with random weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from depth_distill_ros.evaluation.speed.roofline import PRECISIONS
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, Part
from depth_distill_ros.models.autoencoder import DOWNSAMPLING, build_autoencoder, encode
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.folded_unet import FoldedUNet
from depth_distill_ros.models.folding import FoldedModel, fold
from depth_distill_ros.models.layout import to_channels_last
from depth_distill_ros.models.presets import PRESETS, build_head
from depth_distill_ros.models.unet import task_token

TEACHER, STUDENT, FAST, SMALL = "lotus-d", "d3epth", "d3epth-fast", "d3epth-small"
"""Presets: Lotus-D with the KL autoencoder, the paper's student, and the ones made for speed."""

WIDTHS = (64, 128)
"""Channels of the DPT heads, narrow and wide."""


class StockModel(DepthModel):
    """A model unfolded, for its task alone, whose constants are on the device from the start.

    A copy from the host cannot be part of a CUDA graph.
    """

    def __init__(self, *parts, **more):
        super().__init__(*parts, **more)
        self.register_buffer("timestep", torch.tensor([self.config.timestep]))
        self.register_buffer("labels", task_token("depth", 1))

    def predict_latents(self, latents: torch.Tensor, **_) -> torch.Tensor:
        """One UNet step; see ``DepthModel.predict_latents``."""
        prompt, labels = (given.to(latents.dtype) for given in (self.prompt, self.labels))
        return self.unet(
            latents, self.timestep, encoder_hidden_states=prompt, class_labels=labels
        ).sample


def whole(
    device: str, precision: str, side: int, presets: Sequence[str] | None = None
) -> Comparison:
    """An image's disparity, by the teacher and by students: from pixels to the map.

    Args:
        device: where.
        precision: of all of them.
        side: of the image, pixels.
        presets: of teacher, student, fast student and small one; the full sizes by default.
    """
    teacher, student, fast, small = presets or (TEACHER, STUDENT, FAST, SMALL)
    networks = {
        f"teacher {teacher}": ready(StockModel.from_preset(teacher), device, precision),
        f"student {student}": ready(StockModel.from_preset(student), device, precision),
    }
    wide = with_head(StockModel.from_preset(student), WIDTHS[1])
    folded = ready(fold(wide), device, precision)  # rounded once, after the folds
    networks |= {
        f"{student}, DPT head {WIDTHS[1]}": ready(wide, device, precision),
        f"{student}, DPT head {WIDTHS[1]}, folded": folded,
    }
    for preset in (fast, small):
        network = fold(DepthModel.from_preset(preset))
        networks[f"{preset}, folded"] = ready(network, device, precision)
    names = list(networks)
    ratios = dict(
        zip(
            (
                "teacher_over_stock_student",
                "teacher_over_student_with_head",
                "teacher_over_folded_student",
                "teacher_over_student",
                "teacher_over_small_student",
            ),
            ((names[0], name) for name in names[1:]),
            strict=True,
        )
    )
    images = random_images(device, precision, side, side)
    parts = [Part(name, network, (images,), (network,)) for name, network in networks.items()]
    title = f"an image of {side}x{side}, pixels to disparity"
    return Comparison(title, tuple(parts), ratios, device, precision, whole=True)


def encoders(device: str, precision: str, side: int) -> Comparison:
    """An image's latents: by the KL encoder, the tiny one, and the stem."""
    images = random_images(device, precision, side, side)
    parts = []
    for name in (PRESETS[preset].autoencoder for preset in (TEACHER, STUDENT, FAST)):
        network = build_autoencoder(name)
        network.decoder = None
        ready(network, device, precision)
        call = lambda x, network=network: encode(network, x)  # noqa: E731
        parts.append(Part(f"encoder {name}", call, (images,), (network,)))
    names = [part.name for part in parts]
    ratios = {
        "kl_encoder_over_tiny_encoder": (names[0], names[1]),
        "kl_encoder_over_stem": (names[0], names[2]),
    }
    return Comparison(f"encoding {side}x{side}", tuple(parts), ratios, device, precision)


def unets(device: str, precision: str, side: int) -> Comparison:
    """One step in latent space: teacher, student, student folded, small student folded."""
    latents = random_latents(device, precision, side)
    parts = [
        Part("UNet " + TEACHER, *stock_unet(TEACHER, latents)),
        Part("UNet " + STUDENT, *stock_unet(STUDENT, latents)),
    ]
    for preset in (STUDENT, SMALL):
        network = ready(folded_unet(preset), device, precision)
        parts.append(Part(f"UNet {preset}, folded", network, (latents,), (network,)))
    names = [part.name for part in parts]
    ratios = {
        "teacher_unet_over_student_unet": (names[0], names[1]),
        "teacher_unet_over_folded_unet": (names[0], names[2]),
        "teacher_unet_over_small_unet": (names[0], names[3]),
    }
    title = f"one UNet step at {side}x{side}"
    return Comparison(title, tuple(parts), ratios, device, precision)


def stock_unet(preset: str, latents: torch.Tensor) -> tuple:
    """``call``, ``arguments`` and ``networks`` of a part: a preset's UNet as diffusers runs it."""
    model = StockModel.from_preset(preset)
    model.autoencoder = None
    model.eval().to(latents.device, latents.dtype)
    return model.predict_latents, (latents,), (to_channels_last(model),)


def folded_unet(preset: str) -> nn.Module:
    """A preset's UNet, folded, latents in and latents out; float32 on the CPU."""
    model = DepthModel.from_preset(preset)
    return FoldedUNet(model.unet, model.config.timestep, task_token("depth", 1), model.prompt)


def with_head(model: DepthModel, width: int, window: int = 0) -> DepthModel:
    """The same model with a new head of that width, and temporal modules for a window of frames."""
    return type(model)(
        dataclasses.replace(model.config, decoder="head"),
        model.unet,
        model.autoencoder,
        prior=model.prior,
        head=build_head(model.unet, width, window),
        prompt=model.prompt,
    )


def ready(network: nn.Module, device: str, precision: str = "fp32") -> nn.Module:
    """In evaluation mode, on the device, in the precision and the layout that engines use."""
    network, dtype = network.eval().to(device), PRECISIONS[precision]
    lowered = network.lower(dtype) if isinstance(network, FoldedModel) else network.to(dtype)
    return to_channels_last(lowered)


def random_images(device: str, precision: str, height: int, width: int) -> torch.Tensor:
    """(1, 3, height, width) in [-1, 1], channels last."""
    images = torch.rand(1, 3, height, width, device=device, dtype=PRECISIONS[precision]) * 2 - 1
    return images.contiguous(memory_format=torch.channels_last)


def random_latents(device: str, precision: str, side: int, channels: int = 4) -> torch.Tensor:
    """(1, channels, side / 8, side / 8) of unit variance, channels last."""
    shape = (1, channels, side // DOWNSAMPLING, side // DOWNSAMPLING)
    latents = torch.randn(shape, device=device).to(PRECISIONS[precision])
    return latents.contiguous(memory_format=torch.channels_last)
