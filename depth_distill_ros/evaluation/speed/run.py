"""All comparisons of `d3epth bench`, one after the other: each is built, takes its turns, and is freed."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from diffusers.utils import logging

from depth_distill_ros.errors import ConfigError
from depth_distill_ros.evaluation.speed import networks
from depth_distill_ros.evaluation.speed.bundled import IMAGE, from_pixels
from depth_distill_ros.evaluation.speed.engines import engines, whole_engines
from depth_distill_ros.evaluation.speed.peers import peers
from depth_distill_ros.evaluation.speed.roofline import (
    Roofline,
    choose_precision,
    machine,
    measure_roofline,
)
from depth_distill_ros.evaluation.speed.side_by_side import Comparison, compare
from depth_distill_ros.evaluation.speed.streams import decoding, streaming
from depth_distill_ros.inference.torch_engine import choose_device
from depth_distill_ros.models import hub
from depth_distill_ros.models.depth_model import DepthModel

FULL_SIDE, SIDE_MULTIPLE = 512, 32
"""Side of the full-size networks' images, and what it must be a multiple of; pixels."""

STREAM_MODEL = "d3epth-tiny-stream"
"""The model of the streams, where it is bundled and no other is asked for."""

QUICK = ("model", "streams", "decoding")
FULL = (*QUICK, "whole", "encoders", "unets", "engines", "whole-engines", "peers", "full-streams")
"""Names of the comparisons: of a few minutes, and all."""


@dataclass(frozen=True)
class SpeedOptions:
    """What to measure, and how long.

    Attributes:
        engine: that runs the model, "torch" or "onnxruntime"; "auto": both.
        model: whose path from an image, and whose streams, are measured; the bundled ones by default.
        rounds: turns of each comparison at least.
        seconds: of each comparison, as long as its turns are short enough.
        threads: of PyTorch and ONNX Runtime; None leaves PyTorch's own choice.
        precision: of the full-size networks, see ``choose_precision``.
        full: also what takes many minutes on a CPU: the networks of the full size.
        only: names of comparisons, of ``FULL``, instead.
        side: of the images of full-size networks; pixels.
    """

    model: str | None = None
    device: str = "auto"
    engine: str = "auto"
    rounds: int = 3
    seconds: float = 10.0
    threads: int | None = None
    precision: str = "auto"
    full: bool = False
    only: tuple[str, ...] = ()
    side: int = FULL_SIDE

    def __post_init__(self) -> None:
        threads = 1 if self.threads is None else self.threads
        if self.rounds < 1 or self.seconds < 0 or threads < 1:
            raise ConfigError("--rounds and --threads must be positive, --seconds not negative")
        if self.side < SIDE_MULTIPLE or self.side % SIDE_MULTIPLE:
            raise ConfigError(f"--side must be a multiple of {SIDE_MULTIPLE}, not {self.side}")
        if unknown := sorted(set(self.only) - set(FULL)):
            raise ConfigError(f"there is no comparison '{unknown[0]}': use {', '.join(FULL)}")


def bench_speed(options: SpeedOptions, say: Callable[[str], None] = print) -> dict:
    """Measures and returns the report.

    Args:
        options: what.
        say: takes lines about the progress.

    Raises:
        ModelError: the model does not exist.
        ConfigError: the device does not, or a package that a comparison needs.
    """
    device = choose_device(options.device)
    if options.threads is not None:
        torch.set_num_threads(options.threads)
        os.environ["OMP_NUM_THREADS"] = str(options.threads)  # what ONNX Runtime's engines go by
    torch.backends.cudnn.benchmark = True  # algorithms are chosen by trial: shapes stay the same
    logging.set_verbosity_error()  # diffusers comments every conversion
    precision = choose_precision(options.precision, device)
    report: dict = {
        "machine": machine(device),
        "precision": precision,
        "roofline": {},
        "comparisons": [],
        "ratios": {},
    }
    peaks: dict[str, Roofline] = {}
    makers = _makers(options, device, precision, say)
    for name in options.only or (FULL if options.full else QUICK):
        comparison = makers[name]()
        of = comparison.precision
        peaks[of] = measure_roofline(device, of).best(peaks.get(of))  # again and again, for quiet
        measured = compare(comparison, options.rounds, options.seconds, say)
        report["comparisons"].append(measured)
        report["ratios"] |= measured["ratios"]
        del comparison
        gc.collect()
    _add_roofline(report, peaks)
    return report


def _add_roofline(report: dict, peaks: dict[str, Roofline]) -> None:
    """Puts the peaks into a report, and into each part how much of them it reaches."""
    for name, peak in peaks.items():
        numbers = {"gflop_per_s": peak.operations / 1e9, "gb_per_s": peak.bandwidth / 1e9}
        report["roofline"][name] = numbers
    for comparison in report["comparisons"]:
        for part in comparison["parts"].values():
            part["roofline"] = peaks[comparison["precision"]].reached(part)


def _makers(
    options: SpeedOptions, device: str, precision: str, say: Callable[[str], None]
) -> dict[str, Callable[[], Comparison]]:
    side = options.side

    def streams() -> Comparison:
        bundled = STREAM_MODEL if STREAM_MODEL in hub.bundled_models() else None
        model = DepthModel.from_pretrained(options.model or bundled)
        return streaming(model, device, "fp32", model.config.resolution)

    def full_streams() -> Comparison:
        model = DepthModel.from_preset(networks.STUDENT)
        return streaming(model, device, precision, (side, side))

    return {
        "model": lambda: from_pixels(options.model, device, IMAGE, options.engine, say),
        "streams": streams,
        "decoding": lambda: decoding(device, precision, side),
        "whole": lambda: networks.whole(device, precision, side),
        "encoders": lambda: networks.encoders(device, precision, side),
        "unets": lambda: networks.unets(device, precision, side),
        "engines": lambda: engines(device, precision, side),
        "whole-engines": lambda: whole_engines(device, precision, side),
        "peers": lambda: peers(device, precision, side),
        "full-streams": full_streams,
    }
