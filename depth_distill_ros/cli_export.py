"""`d3epth export`: a model as an engine that runs without PyTorch, and faster."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from depth_distill_ros.errors import ConfigError, DataError

PICTURES = Path(__file__).parent / "inference" / "pictures"
"""Rendered: a room, a street, a table."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add = parser.add_argument
    model = "bundled model, folder, or owner/name@commit on the Hub; the default model without one"
    add("model", nargs="?", metavar="MODEL", help=model)
    add("--engine", choices=("onnx",), default="onnx", help="a graph for ONNX Runtime")
    precision = "fp16 is for GPUs, int8 for CPUs and models without a memory (default fp32)"
    add("--precision", choices=("fp32", "fp16", "int8"), default="fp32", help=precision)
    size = "HEIGHTxWIDTH of what the network sees, or dynamic: any (default)"
    add("--size", default="dynamic", metavar="HxW", help=size)
    provider = "what will run it (default cpu)"
    add("--provider", choices=("cpu", "cuda", "tensorrt"), default="cpu", help=provider)
    output = "a folder of its own; by default the cache, where the node and all commands find it"
    add("--output", type=Path, metavar="DIR", help=output)
    frames = (
        "images to compare its numbers with PyTorch's on, and to take int8's ranges from; three "
        "rendered ones by default"
    )
    add("--frames", type=Path, metavar="DIR", help=frames)
    add("--if-missing", action="store_true", help="do nothing where the cache has a usable one")


def export(options: argparse.Namespace) -> int:
    """Writes a model as an ONNX engine, which is used from then on if its numbers are PyTorch's."""
    size = _size(options.size)
    if options.if_missing and _is_there(options.model):
        print("there is a usable engine of this model already")
        return 0
    from depth_distill_ros.inference.export import ExportOptions, export_model

    wanted = ExportOptions(options.model, options.precision, size, options.provider, options.output)
    export_model(wanted, _images(options.frames), say=lambda line: print(line, flush=True))
    return 0


def _size(text: str) -> tuple[int, int] | None:
    if text == "dynamic":
        return None
    if match := re.fullmatch(r"(\d+)x(\d+)", text):
        return int(match[1]), int(match[2])
    raise ConfigError(f"--size {text}: give HEIGHTxWIDTH, as in 224x288, or dynamic")


def _is_there(model: str | None) -> bool:
    from depth_distill_ros.inference.choice import open_engine
    from depth_distill_ros.inference.engines import EngineError

    try:
        open_engine(model, "auto", "onnxruntime", "float32")
    except EngineError:
        return False
    return True


def _images(folder: Path | None) -> list:
    """Three images of a folder, from its beginning, middle and end."""
    from depth_distill_ros.evaluation.frames import IMAGE_SUFFIXES
    from depth_distill_ros.evaluation.images import read_rgb

    folder = folder or PICTURES
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}")
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f"{folder} has no images: give a folder of {', '.join(IMAGE_SUFFIXES)}")
    return [read_rgb(files[round(share * (len(files) - 1))]) for share in (0, 0.5, 1)]
