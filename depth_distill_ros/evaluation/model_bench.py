"""What decoding and streams cost, side by side in one run: `d3epth bench`.

Weights may be random: they do not change how long a network takes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.side_by_side import Comparison, Part, compare, machine
from depth_distill_ros.inference.estimator import choose_device
from depth_distill_ros.models import hub
from depth_distill_ros.models.autoencoder import DOWNSAMPLING, build_autoencoder, decode_map
from depth_distill_ros.models.depth_model import DepthModel
from depth_distill_ros.models.dpt_head import LEVEL_STRIDES, Memory
from depth_distill_ros.models.layout import to_channels_last
from depth_distill_ros.models.presets import GUIDE_CHANNELS, PRESETS, build_head
from depth_distill_ros.models.temporal import Past
from depth_distill_ros.models.unet import build_unet

FULL_SIDE, FULL_WIDTH, WINDOW = 512, 128, 16
"""Side of the images (pixels), channels of the head and frames in sight at the full size."""

SIDE_MULTIPLE = 32

STREAM_MODEL = "d3epth-tiny-stream"
"""The model of the streams, where it is bundled and no other is asked for."""

FRAME_SECONDS = 0.1
"""Between the frames that a full memory holds."""


@dataclass(frozen=True)
class ModelBenchOptions:
    """What to measure: the model of the streams, and how long.

    Attributes:
        rounds: turns of each comparison at least.
        seconds: of each comparison, as long as its turns are short enough.
        threads: of PyTorch; None leaves them.
        full: measure the streams of the full-size student as well.
        side: of the images that are decoded, and of the full-size student's; pixels.
    """

    model: str | None = None
    device: str = "auto"
    rounds: int = 3
    seconds: float = 10.0
    threads: int | None = None
    full: bool = False
    side: int = FULL_SIDE

    def __post_init__(self) -> None:
        threads = 1 if self.threads is None else self.threads
        if self.rounds < 1 or self.seconds < 0 or threads < 1:
            raise ConfigError("--rounds and --threads must be positive, --seconds not negative")
        if self.side < SIDE_MULTIPLE or self.side % SIDE_MULTIPLE:
            raise ConfigError(f"--side must be a multiple of {SIDE_MULTIPLE}, not {self.side}")


def bench_models(options: ModelBenchOptions, say: Callable[[str], None] = print) -> dict:
    """Measures and returns the report.

    Args:
        options: what.
        say: takes lines about the progress.

    Raises:
        ModelError: the model does not exist.
        ConfigError: the device does not.
    """
    device = choose_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    bundled = STREAM_MODEL if STREAM_MODEL in hub.bundled_models() else None
    model = DepthModel.from_pretrained(options.model or bundled)
    makers = [
        lambda: streaming(model, device, model.config.resolution),
        lambda: decoding(device, options.side),
    ]
    if options.full:
        makers.append(lambda: streaming(_full_student(), device, (options.side, options.side)))
    report: dict = {"machine": machine(device), "comparisons": []}
    for make in makers:
        comparison = make()
        report["comparisons"].append(compare(comparison, options.rounds, options.seconds, say))
    return report


def decoding(
    device: str,
    side: int = FULL_SIDE,
    preset: str = "d3epth",
    autoencoder: str = "kl",
    width: int = FULL_WIDTH,
) -> Comparison:
    """One image's decoding: by the autoencoder's decoder, and by the heads from UNet features.

    Args:
        device: where.
        side: of the image, pixels.
        preset: whose UNet's features the heads read.
        autoencoder: preset of the decoder.
        width: channels of the heads.
    """
    with torch.device("meta"):
        unet = build_unet(PRESETS[preset].unet)
    decoder = _ready(build_autoencoder(autoencoder), device)
    head, temporal = (_ready(build_head(unet, width, window), device) for window in (0, WINDOW))
    small = side // DOWNSAMPLING
    latents = torch.randn(1, decoder.config.latent_channels, small, small, device=device)
    guide = torch.randn(1, GUIDE_CHANNELS, side // 2, side // 2, device=device)
    features = tuple(
        _channels_last(torch.randn(1, channels, side // stride, side // stride, device=device))
        for channels, stride in zip(head.config.feature_channels, LEVEL_STRIDES, strict=True)
    )
    ages, memory = _full_memory(temporal, side, side, WINDOW)

    def by_head(guide: torch.Tensor, *features: torch.Tensor) -> None:
        head(features, guide)

    def by_temporal_head(guide: torch.Tensor, ages: torch.Tensor, *rest: torch.Tensor) -> None:
        features, memory = rest[: len(LEVEL_STRIDES)], list(rest[len(LEVEL_STRIDES) :])
        past = Past.of_ages(nn.functional.pad(ages, (0, 1))[:, None])
        _remember(memory, temporal.forward_frames(features, guide, past, memory)[1])

    return Comparison(
        f"decoding at {side}x{side}, head of {width} channels",
        (
            Part(
                f"autoencoder {autoencoder}",
                lambda z: decode_map(decoder, z),
                (latents,),
                (decoder,),
            ),
            Part("DPT head", by_head, (guide, *features), (head,)),
            Part(
                f"temporal DPT head, {WINDOW - 1} frames remembered",
                by_temporal_head,
                (guide, ages, *features, *memory),
                (temporal,),
            ),
        ),
    )


def streaming(model: DepthModel, device: str, size: tuple[int, int]) -> Comparison:
    """A model's frame by itself, and with a full memory; a temporal head is made if it has none.

    Args:
        model: moved to the device.
        device: where.
        size: (height, width) of the images, multiples of the model's.
    """
    trained = model.temporal_window > 0
    if not trained:
        model = _with_temporal_head(model)
    model = _ready(model, device)
    images = _channels_last(torch.rand(1, 3, *size, device=device) * 2 - 1)
    window = model.temporal_window
    ages, memory = _full_memory(model.head, *size, window)

    def frame(images: torch.Tensor, ages: torch.Tensor, *memory: torch.Tensor) -> None:
        _remember(memory, model.step(images, ages, list(memory))[1])

    kind = "" if trained else ", untrained temporal head"
    return Comparison(
        f"a frame of {model.config.name} at {size[1]}x{size[0]}{kind}",
        (
            Part("by itself", model, (images,), (model,)),
            Part(f"{window - 1} frames remembered", frame, (images, ages, *memory), (model,)),
        ),
    )


def _full_student() -> DepthModel:
    """The student of the full size, with random weights and a temporal head."""
    return _with_temporal_head(DepthModel.from_preset("d3epth"), FULL_WIDTH)


def _with_temporal_head(model: DepthModel, width: int | None = None) -> DepthModel:
    """A model with an untrained temporal head, as wide as the one it has."""
    if width is None:
        width = FULL_WIDTH if model.head is None else model.head.config.width
    return DepthModel(
        dataclasses.replace(model.config, decoder="head"),
        model.unet,
        model.autoencoder,
        prior=model.prior,
        head=build_head(model.unet, width, WINDOW),
        prompt=model.prompt,
    )


def _full_memory(
    head: nn.Module, height: int, width: int, window: int
) -> tuple[torch.Tensor, Memory]:
    """Ages (1, M) and a memory of M = window - 1 frames."""
    memory = [kept.normal_() for kept in head.new_memory(1, height, width, window - 1)]
    return torch.arange(1, window, device=memory[0].device)[None] * FRAME_SECONDS, memory


def _remember(memory: Sequence[torch.Tensor], entries: Memory) -> None:
    """A frame takes the place of another, as in a stream."""
    for kept, entry in zip(memory, entries, strict=True):
        kept[..., 0, :] = entry[..., 0, :]


def _ready(network: nn.Module, device: str) -> nn.Module:
    """As `DepthEstimator` runs it."""
    return to_channels_last(network.eval().to(device))


def _channels_last(maps: torch.Tensor) -> torch.Tensor:
    return maps.contiguous(memory_format=torch.channels_last)
