"""`d3epth predict`: the disparity of images, videos and folders of images."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from depth_distill_ros.errors import ConfigError, DataError, ImageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds what the command has beside --model and --device."""
    add = parser.add_argument
    inputs = "image, video file, or folder of images: a video in the order of their names"
    add("inputs", type=Path, nargs="+", metavar="INPUT", help=inputs)
    add("--output", type=Path, required=True, metavar="DIR", help="made if missing")
    rate = "frames a second of videos; a file's own, 30 of a folder"
    add("--rate", type=float, metavar="HZ", help=rate)
    add("--preview", action="store_true", help="of videos also preview.mp4, coloured")


def predict(options: argparse.Namespace) -> int:
    """Writes the disparity of images (<name>.npy, coloured <name>.png) and videos (<name>/)."""
    from depth_distill_ros.evaluation.video_files import is_video, video_name

    _refuse_equal_names([(video_name(path), path) for path in options.inputs])
    if options.rate is not None and not options.rate > 0:
        raise ConfigError(f"--rate {options.rate:g}: give a number of frames a second above 0")
    estimate = load_estimator(options)
    options.output.mkdir(parents=True, exist_ok=True)
    failed = 0
    for path in options.inputs:
        try:
            if is_video(path):
                print(_predict_video(estimate, path, options))
            else:
                print(_predict_image(estimate, path, options.output))
        except (ImageError, DataError) as error:
            where = "" if str(path) in str(error) else f"{path}: "
            print(f"error: {where}{error}", file=sys.stderr)
            failed += 1
    return 2 if failed else 0


def _predict_image(estimate: Any, path: Path, output: Path) -> Path:
    """Writes <stem>.npy (float32 disparity) and a coloured <stem>.png, whose path it returns."""
    from depth_distill_ros.evaluation.benchmarks import with_invalid
    from depth_distill_ros.evaluation.images import read_rgb, write_image
    from depth_distill_ros.evaluation.tables import write_array
    from depth_distill_ros.geometry.colour import colourise

    disparity = with_invalid(estimate(read_rgb(path)))
    write_array(output / f"{path.stem}.npy", disparity)
    write_image(output / f"{path.stem}.png", colourise(disparity))
    return output / f"{path.stem}.png"


def _predict_video(estimate: Any, path: Path, options: argparse.Namespace) -> Path:
    """Writes the folder <name>/ of `evaluation/depth_video.py`, and returns it.

    Raises DataError or ImageError where the video cannot be read, or not to its end: what was read
    is written then.
    """
    from tqdm import tqdm

    from depth_distill_ros.evaluation.benchmarks import checkpoint_digest
    from depth_distill_ros.evaluation.depth_video import DepthVideo
    from depth_distill_ros.evaluation.video_files import open_frames, video_name
    from depth_distill_ros.inference.video import predict_video, way
    from depth_distill_ros.models import hub

    video = open_frames(path, options.rate)
    about = {
        "source": path.name,
        "model": estimate.name,
        "checkpoint": checkpoint_digest(hub.resolve(options.model)),
        "seen": way(estimate),
    }
    folder = options.output / video_name(path)
    hidden = not sys.stderr.isatty()
    with (
        tqdm(total=video.count, unit="frame", desc=path.name, disable=hidden, leave=False) as bar,
        DepthVideo(folder, video.rate, about, options.preview) as written,
    ):
        try:
            for disparity in predict_video(estimate, video):
                written.write(disparity)
                bar.update()
        except KeyboardInterrupt:
            bar.close()
            if written.count:
                print(f"{folder} has the first {written.count} frames", file=sys.stderr)
            raise
        if video.problem is not None:
            raise video.problem
    return folder


def load_estimator(options: argparse.Namespace) -> Any:
    """The `DepthEstimator` of --model on --device. Raises ModelError, ConfigError."""
    from depth_distill_ros.models import hub

    hub.resolve(options.model)  # a wrong name is refused before PyTorch is imported
    from depth_distill_ros.inference.estimator import DepthEstimator

    return DepthEstimator.from_pretrained(options.model, options.device, options.engine)


def _refuse_equal_names(inputs: list[tuple[str, Path]]) -> None:
    by_name: dict[str, Path] = {}
    for name, path in inputs:
        if name in by_name:
            raise ConfigError(
                f"{by_name[name]} and {path} would both be written as {name}: "
                "predict them into different folders"
            )
        by_name[name] = path
